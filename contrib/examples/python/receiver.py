#!/usr/bin/env python3
"""Receives webhooks: verifies each signature, does its work once for each event. Standard library only.

    receiver.py --secret-file FILE --db FILE [--port N]

Delivery is at least once: after a crash or a lost answer the same event comes again, under the same id. So the id is
kept in the database that the work goes to, in the same transaction: both, or neither, and a repeat changes nothing.
The work here is one row of `inbox` for each event.

--port 0, the default, lets the kernel choose; the first line printed is "listening on 127.0.0.1:PORT". Behind a reverse
proxy that speaks TLS it is ready for the world.
"""

import argparse
import base64
import hashlib
import hmac
import json
import signal
import socket
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
BODY_MAX = 4 << 20
SCHEMA = "CREATE TABLE IF NOT EXISTS inbox(id TEXT PRIMARY KEY, body TEXT, received_at REAL)"


def read_secrets(path):
    """One per line, newest first; more than one while a secret is being replaced."""
    with open(path, encoding="ascii") as file:
        secrets = [base64.b64decode(line.strip().removeprefix("whsec_")) for line in file if line.strip()]
    if not secrets or not all(24 <= len(secret) <= 64 for secret in secrets):
        sys.exit(f"{path}: a secret is 24 to 64 bytes in base64")
    return secrets


def number(text):
    """None where it is none. Whoever may connect has written it, and int() raises over thousands of digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def verified(secrets, headers, body, now):
    """Whether the body is the sender's, and not an old one played again. Compared in constant time."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    sent = number(timestamp)
    if not webhook_id or sent is None or abs(now - sent) > TOLERANCE_S:
        return False
    content = f"{webhook_id}.{timestamp}.".encode() + body
    good = [b"v1," + base64.b64encode(hmac.digest(secret, content, hashlib.sha256)) for secret in secrets]
    given = headers.get("webhook-signature", "").encode().split()
    # Every pair is compared, whichever of them fits.
    return sum(hmac.compare_digest(a, b) for a in good for b in given) > 0


def events_of(headers, body):
    """(id, text) of each event: a batch has each one's own id in its body."""
    if headers.get_content_type() == "application/cloudevents-batch+json":
        return [(event["id"], json.dumps(event)) for event in json.loads(body)]
    return [(headers["webhook-id"], body.decode())]


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    timeout = 60
    server: "Server"

    def do_POST(self):
        length = number(self.headers.get("content-length", ""))
        if length is None or length > BODY_MAX:
            self.close_connection = True
            self.answer(413 if "content-length" in self.headers else 411, "a body of known size, at most 4 MiB\n")
            return self.drain()
        body = self.rfile.read(length)
        if not verified(self.server.secrets, self.headers, body, time.time()):
            return self.answer(401, "the signature does not verify\n")
        try:
            self.server.deal_with(events_of(self.headers, body))
        except (ValueError, KeyError, TypeError) as error:
            return self.answer(400, f"not an event: {error}\n")
        except sqlite3.Error as error:
            return self.answer(503, f"try again: {error}\n")  # not kept: it must come again
        self.answer(200, "")

    def drain(self):
        """Drops what is still on its way: a connection closed over it is reset, and takes the answer with it."""
        left = 16 * BODY_MAX
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        while left > 0 and (piece := self.rfile.read1(65536)):
            left -= len(piece)

    def answer(self, status, words):
        body = words.encode(errors="replace")
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, secrets, db):
        super().__init__(("127.0.0.1", port), Receiver)
        self.secrets = secrets
        self.lock = threading.Lock()
        self.db = sqlite3.connect(db, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")  # what was answered with 200 does not come again
        self.db.execute(SCHEMA)

    def deal_with(self, events):
        with self.lock, self.db:
            self.db.execute("BEGIN IMMEDIATE")
            for event_id, text in events:
                new = self.db.execute(
                    "INSERT INTO inbox VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (event_id, text, time.time())
                ).rowcount
                print(event_id, "new" if new else "again", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Receives webhooks, each event once.")
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--db", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = Server(options.port, read_secrets(options.secret_file), options.db)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
