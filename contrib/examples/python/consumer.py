#!/usr/bin/env python3
"""Keeps how much was ordered by each customer, from the events of `orders`, each counted exactly once.

    consumer.py [--until-idle SECONDS] DATABASE

The sums and the cursor are in one database, in one transaction: a kill at any moment loses nothing and counts nothing
twice. The table `orders` has `customer` and `total`; see contrib/python for the package.
"""

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))  # not needed where it is installed
import outbox  # noqa: E402

ADD = "INSERT INTO sums VALUES (?1, ?2) ON CONFLICT (customer) DO UPDATE SET total = total + ?2"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--until-idle", type=float, metavar="SECONDS", help="end when nothing came for so long")
    parser.add_argument("database")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    con = outbox.connect(options.database, timeout=30)  # a consumer has time: others write too
    con.execute("CREATE TABLE IF NOT EXISTS sums(customer TEXT PRIMARY KEY, total REAL)")
    for event in con.events("sums", timeout=options.until_idle):
        if event.table != "orders":
            continue  # acknowledged all the same
        with con.transaction():
            if event.before:
                con.execute(ADD, (event.before["customer"], -event.before["total"]))
            if event.payload:
                con.execute(ADD, (event.payload["customer"], event.payload["total"]))
            event.ack()


if __name__ == "__main__":
    main()
