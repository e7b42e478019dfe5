"""One of many writers of the same table, in Python: `shared_writer.py DB NAME SECONDS`.

As shared_writer.c, by turns through the package's upsert under compare-and-swap, in a transaction with a message, and by
a plain UPDATE, which the table's capture triggers log.
"""

import random
import sys
import time

import outbox

KEYS = 10
path, name, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
con = outbox.connect(path, timeout=20, create=False)
random.seed(name)
end = time.monotonic() + seconds
i = 0


def swap(key, token):
    while True:
        row = con.get("things", key)
        try:
            con.upsert("things", {"id": key, "n": row["n"] + 1, "token": token}, revision=row["revision"])
            return
        except outbox.Conflict:
            pass


def with_message(key, token):
    with con.transaction():
        con.upsert("things", {"id": key, "n": con.get("things", key)["n"] + 1, "token": token})
        con.emit("said", key, {"token": token + ".message"})


def plain(key, token):
    con.execute("UPDATE things SET n = n + 1, token = ? WHERE id = ?", (token, key))


while time.monotonic() < end:
    i += 1
    key, token, how = f"k{random.randrange(KEYS)}", f"{name}.{i}", random.choice((swap, with_message, plain))
    how(key, token)
    print("OK", token)
    if how is with_message:
        print("OK", token + ".message")
con.close()
