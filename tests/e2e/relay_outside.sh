#!/usr/bin/env bash
# What the relay does to the world outside it: it runs no program and listens nowhere (S26, S29), two sinks to one host
# share no connection (S34), and where the file system has no shared memory it says so (R32).
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"
# shellcheck source=tests/support/webhook.sh
. "$ROOT/tests/support/webhook.sh"

# ---- Two sinks to one host, each with credentials of its own

# A receiver that keeps connections open, and notes of each request over which of them it came and what it brought.
cat >"$TMP/keeper.py" <<'END'
import http.server, itertools, os

numbers = itertools.count(1)

class Keeper(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.number = next(numbers)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        os.write(1, f"{self.number} {self.headers['Authorization']}\n".encode())  # whole, whoever else writes
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
print("port", server.server_port, flush=True)
server.serve_forever()
END
python3 "$TMP/keeper.py" >"$TMP/kept" &
await 10 grep -q '^port' "$TMP/kept"
port=$(sed -n 's/^port //p' "$TMP/kept")
new_database
for name in red blue; do
    (umask 077 && echo "Authorization: Bearer $name" >"$TMP/$name.header")
    printf 'sink %s {\n    webhook = "http://127.0.0.1:%s/hook"\n    header = {"file:%s"}\n    concurrency = 4\n}\n' \
        "$name" "$port" "$TMP/$name.header"
done >"$TMP/relay.conf"
emit 40
sql "UPDATE change_log SET key = key || seq" # forty keys, so that several connections are wanted
relay --config "$TMP/relay.conf" --once
is 'two sinks of one host are drained' "$code" 0
is 'each with its own credentials' "$(grep -c 'Bearer red' "$TMP/kept") $(grep -c 'Bearer blue' "$TMP/kept")" '40 40'
is 'and none went over a connection of the other' \
    "$(grep Bearer "$TMP/kept" | sort -u | cut -d' ' -f1 | uniq -d)" ''
ok 'though connections were used again' [ "$(grep Bearer "$TMP/kept" | cut -d' ' -f1 | sort -u | wc -l)" -le 16 ]

# ---- What it calls

export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" # the leak checker works in no traced process
if strace -f -o /dev/null true 2>/dev/null; then
    new_database
    receiver
    emit 5
    strace -f -qq -o "$TMP/trace" -e trace=execve,execveat,listen,bind,accept,accept4 \
        outbox-relay --db "$DB" --webhook "$URL" --jsonl "$TMP/events.jsonl" --once 2>"$TMP/err"
    is 'a relay with a file and an endpoint delivers' "$? $(requests) $(wc -l <"$TMP/events.jsonl")" '0 5 5'
    is 'it runs no program but itself' "$(grep -c 'execve' "$TMP/trace")" 1
    is 'and listens nowhere' "$(grep -E '(listen|accept|accept4)\(' "$TMP/trace")" ''

    # ---- Without shared memory: mmap of the -shm refused, as some file systems do

    strace -f -qq -o "$TMP/trace" -P "$DB-shm" -e trace=mmap -e inject=mmap:error=ENODEV \
        outbox-relay --db "$DB" --jsonl "$TMP/other.jsonl" --consumer other --once 2>"$TMP/err"
    code=$?
    ok 'shared memory was refused' grep -q 'INJECTED' "$TMP/trace"
    ok "without shared memory it ends ($code)" [ "$code" = 100 -o "$code" = 111 ]
    is 'in one line' "$(grep -c . "$TMP/err")" 1
    like 'that says why' "$(cat "$TMP/err")" 'shared memory'
    is 'and delivers nothing' "$(cat "$TMP/other.jsonl" 2>/dev/null)" ''
    said=$(strace -f -qq -o "$TMP/trace" -P "$TMP/new.db-shm" -e trace=mmap -e inject=mmap:error=ENODEV \
        outboxctl --db "$TMP/new.db" init 2>&1)
    like 'nor is a database made there, in silence' "$? $said" 'shared memory'
else
    skip 'what the relay calls, and without shared memory' 'strace is missing or not permitted'
fi
done_testing
