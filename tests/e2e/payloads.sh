#!/usr/bin/env bash
# payloads.sh — what is hard about JSON, through the front door and out of the file: each payload is refused in one line
# that says where, or comes out exact, for Python, for jq and byte for byte. R63.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/relay.sh
. "$ROOT/tests/support/relay.sh"

new_database
mkdir "$TMP/given"
cat >"$TMP/cases.py" <<'PY'
"""Writes each case to given/NNN, and prints: NNN good|bad what it is."""
import sys

def deep(n): return b"[" * n + b"]" * n

GOOD = {
    "NUL, escaped": rb'{"a":"\u0000"}', "controls, escaped": rb'"\u0001\u001f\b\f\n\r\t"', "DEL, raw": b'"\x7f"',
    "a pair of surrogates": rb'"\ud83d\ude00"', "a surrogate alone, escaped": rb'"\ud800"', "the last code point": '"\U0010ffff"'.encode(),
    "noncharacters": '"\ufffe\uffff"'.encode(), "a BOM inside": '"\ufeff"'.encode(), "U+2028, U+2029, U+0085": '"\u2028\u2029\u0085"'.encode(),
    "duplicate keys": b'{"a":1,"a":2}', "an empty key": b'{"":1}', "2^53 - 1": b"9007199254740991", "2^53 + 1": b"9007199254740993",
    "2^63 - 1": b"9223372036854775807", "2^64": b"18446744073709551616", "minus zero": b"-0", "minus zero, real": b"-0.0",
    "many digits": b"0.1000000000000000055511151231257827021181583404541015625", "1e308": b"1e308", "9e999": b"9e999", "-9e999": b"-9e999",
    "tiny": b"5e-324", "a capital exponent": b"1E+2", "null": b"null", "false": b"false", "blank around": b' \t\n{"a" : [ 1 , 2 ] }\n ',
    "nested 900 deep": deep(900), "a long string": b'"' + b"x" * 200000 + b'"', "quotes and slashes": rb'"\"\\\/"',
    "a key with a NUL": rb'{"a\u0000b":1}', "all of the plane's ends": '"\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000"'.encode(),
}
BAD = {
    "nothing": b"", "blank": b"  ", "a NUL": b'"\x00"', "a control": b'"\x01"', "a tab in a string": b'"\t"', "a BOM before": b'\xef\xbb\xbf{}',
    "a lone continuation": b'"\x80"', "an overlong slash": b'"\xc0\xaf"', "overlong, three": b'"\xe0\x80\xaf"', "overlong, four": b'"\xf0\x80\x80\xaf"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"', "past the last": b'"\xf4\x90\x80\x80"', "a byte that never is": b'"\xff"', "a cut character": b'"\xe2\x82"',
    "five bytes": b'"\xf8\x88\x80\x80\x80"', "nested 10,000 deep": deep(10000), "a leading zero": b"01", "a plus": b"+1", "a dot at the end": b"1.",
    "a dot before": b".5", "hexadecimal": b"0x10", "NaN": b"NaN", "Infinity": b"Infinity", "a trailing comma": b"[1,]", "one in an object": b'{"a":1,}',
    "single quotes": b"{'a':1}", "no quotes": b"{a:1}", "two values": b"1 2", "a comment": b"1/*x*/", "an open string": b'"abc', "an open array": b"[1",
    "a bad escape": rb'"\x41"', "a cut escape": rb'"\u12"', "True": b"True", "a stray bracket": b"]",
}
for i, (kind, name, text) in enumerate([("good", n, t) for n, t in GOOD.items()] + [("bad", n, t) for n, t in BAD.items()]):
    open(f"{sys.argv[1]}/{i:03}", "wb").write(text)
    print(f"{i:03} {kind} {name}")
PY
python3 "$TMP/cases.py" "$TMP/given" >"$TMP/cases"

accepted='' refused='' silent=''
while read -r n kind name; do
    outboxctl --db "$DB" emit "$kind" "$n" - <"$TMP/given/$n" >"$TMP/out" 2>"$TMP/err"
    code=$?
    case $kind:$code in
    good:0 | bad:2) ;;
    good:*) refused+="$name ($code, $(cat "$TMP/err")); " ;;
    bad:*) accepted+="$name ($code); " ;;
    esac
    [ "$kind:$(wc -l <"$TMP/err")" != bad:1 ] && [ "$kind" = bad ] && silent+="$name: $(cat "$TMP/err"); "
    [ "$kind" = good ] || grep -qE 'byte|offset|position|at [0-9]|empty|too deep|nest' "$TMP/err" || silent+="$name: no place: $(cat "$TMP/err"); "
done <"$TMP/cases"
is 'what is no JSON is refused' "$accepted" ''
is 'in one line that says where' "$silent" ''
is 'what is JSON is taken' "$refused" ''

relay --jsonl "$TMP/events.jsonl" --once
is 'all of it is delivered' "$code $(wc -l <"$TMP/events.jsonl")" "0 $(grep -c ' good ' "$TMP/cases")"
is 'in lines that end in a line feed alone' "$(LC_ALL=C grep -c $'\r\|\302\205\|\342\200\250\|\342\200\251' "$TMP/events.jsonl")" 0
# (A surrogate alone, escaped, is JSON by its grammar, but jq wants a pair; and it goes 256 deep.)
grep -v -e 'ud800"' -e '\[\[\[\[' "$TMP/events.jsonl" | jq -e .seq >"$TMP/out" 2>"$TMP/err"
is 'jq reads it' "$? $(cat "$TMP/err")" '0 '
# Nothing changes but line breaks outside strings, and three characters that some readers split lines at.
is 'and Python finds what was given, byte for byte and number for number' "$(python3 - "$TMP" <<'PY'
import json, sys
top = sys.argv[1]
exact = dict(parse_int=str, parse_float=str, object_pairs_hook=list)
for line in open(f"{top}/events.jsonl", "rb"):
    event = json.loads(line)
    given = open(f"{top}/given/{event['key']}", "rb").read()
    wanted = given.decode()
    for c in "\u2028\u2029\u0085": wanted = wanted.replace(c, f"\\u{ord(c):04x}")
    if dict(json.loads(line, **exact))["payload"] != json.loads(given, **exact):
        print(event["key"], "has another value")
    squeeze = lambda s: "".join(s.split())
    if squeeze(wanted) not in squeeze(line.decode()):
        print(event["key"], "has other bytes")
PY
)" ''
done_testing
