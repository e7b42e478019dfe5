"""The package against a real database; run with `python3 -m unittest discover contrib/python/tests`."""

from __future__ import annotations

import math
import os
import sqlite3
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import outbox  # noqa: E402


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "shop.db")
        self.con = outbox.connect(self.path)
        self.con.execute(
            "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL CHECK (total < 1000), note, data BLOB,"
            " revision INTEGER NOT NULL DEFAULT 1)"
        )

    def tearDown(self) -> None:
        self.con.close()
        self.dir.cleanup()

    def log(self) -> list[str]:
        return [row[0] for row in self.con.execute("SELECT op || ':' || coalesce(key, '') FROM change_log ORDER BY seq")]


class Writing(Case):
    def test_a_row_is_written_read_changed_and_deleted(self) -> None:
        self.assertEqual(self.con.upsert("orders", {"id": "o-1", "total": 42.5}), 1)
        self.assertEqual(self.con.upsert("orders", {"id": "o-1", "note": "x"}, revision=1), 2)
        row = self.con.get("orders", "o-1")
        self.assertEqual(row, {"id": "o-1", "total": 42.5, "note": "x", "data": None, "revision": 2})
        assert row is not None
        row["total"] = 43
        self.assertEqual(self.con.upsert("orders", row, revision=row["revision"]), 3)
        self.assertEqual(self.con.delete("orders", "o-1", revision=3), 4)
        self.assertIsNone(self.con.get("orders", "o-1"))
        self.assertEqual(self.log(), ["insert:o-1", "update:o-1", "update:o-1", "delete:o-1"])

    def test_values_survive(self) -> None:
        values: dict[str, Any] = {"id": "Ü\U0001f600\u2028\"", "total": -math.inf, "note": 2**63 - 1, "data": b"\x00\xff"}
        self.con.upsert("orders", values)
        self.assertEqual(self.con.get("orders", values["id"]), {**values, "revision": 1})
        self.con.upsert("orders", {"id": "f", "total": 0.1 + 0.2, "note": [1, {"a": None}]})
        row = self.con.get("orders", "f")
        assert row is not None
        self.assertEqual((row["total"], row["note"]), (0.1 + 0.2, '[1, {"a": null}]'))
        with self.assertRaises(ValueError):
            self.con.upsert("orders", {"id": "n", "total": math.nan})

    def test_keys_of_every_kind(self) -> None:
        self.con.execute("CREATE TABLE pair(a INT, b BLOB, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY(a, b))")
        self.con.upsert("pair", {"a": 1, "b": b"\x01"})
        self.assertEqual(self.con.get("pair", (1, b"\x01")), {"a": 1, "b": b"\x01", "revision": 1})
        self.con.execute("CREATE TABLE numbers(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)")
        self.con.upsert("numbers", {"id": 7})
        self.con.delete("numbers", 7)
        self.assertEqual(self.log(), ['insert:[1,{"$base64":"AQ=="}]', "insert:7", "delete:7"])

    def test_bytes_of_every_kind_are_bytes(self) -> None:
        self.con.execute("CREATE TABLE blobs(id BLOB PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1)")
        for data in (bytearray(b"\x01\x02"), memoryview(b"\x03\x04")):
            self.con.upsert("blobs", {"id": data})
            self.assertEqual(self.con.get("blobs", data), {"id": bytes(data), "revision": 1})
            self.con.delete("blobs", data)
            self.assertEqual([step.op for step in self.con.history("blobs", data)], ["insert", "delete"])
            self.con.emit("mail", None, data)
        sent = [e.payload for e in self.con.events("mailer", timeout=0) if e.topic == "mail"]
        self.assertEqual(sent, [b"\x01\x02", b"\x03\x04"])

    def test_a_stale_revision_conflicts_and_says_what_it_found(self) -> None:
        self.con.upsert("orders", {"id": "o-1"})
        with self.assertRaises(outbox.Conflict) as caught:
            self.con.upsert("orders", {"id": "o-1", "note": "lost"}, revision=4)
        self.assertEqual(caught.exception.found, 1)
        self.assertEqual(str(caught.exception), "table orders, key o-1: expected revision 4, found 1")
        with self.assertRaises(outbox.Conflict) as caught:
            self.con.upsert("orders", {"id": "o-1"}, revision=0)
        self.assertEqual(caught.exception.found, 1)
        with self.assertRaises(outbox.Conflict) as caught:
            self.con.delete("orders", "none", revision=3)
        self.assertEqual(caught.exception.found, 0)
        self.assertEqual(self.log(), ["insert:o-1"])

    def test_a_conflict_of_a_long_key_says_what_it_found(self) -> None:
        for key in ("k" * 1100, "k" + "\u20ac" * 500, "kk" + "\U0001f600" * 400):
            self.con.upsert("orders", {"id": key})
            with self.assertRaises(outbox.Conflict) as caught:
                self.con.upsert("orders", {"id": key}, revision=7)
            self.assertEqual(caught.exception.found, 1)

    def test_each_failure_has_its_class(self) -> None:
        with self.assertRaises(outbox.NotFound):
            self.con.delete("orders", "none")
        with self.assertRaises(outbox.Invalid):
            self.con.upsert("orders", {"id": "o-1", "colour": 1})
        with self.assertRaises(outbox.Constraint) as caught:
            self.con.upsert("orders", {"id": "o-1", "total": 1000})
        self.assertIsInstance(caught.exception, sqlite3.IntegrityError)
        with self.assertRaises(outbox.TooBig):
            self.con.emit("mail", None, "x" * 2_000_000)
        other = outbox.connect(self.path, timeout=0)
        with other.transaction(), self.assertRaises(outbox.Busy):
            outbox.connect(self.path, timeout=0).emit("mail", None, 1)
        other.close()
        with self.assertRaises(outbox.NotFound):
            outbox.connect(self.path + "x", create=False)
        self.assertFalse(os.path.exists(self.path + "x"))
        with self.assertRaises(sqlite3.OperationalError):
            self.con.execute("SELECT nonsense")

    def test_a_transaction_is_all_or_nothing(self) -> None:
        with self.con.transaction():
            self.con.upsert("orders", {"id": "o-1"})
            self.con.emit("mail", "m-1", {"to": "ann"}, headers={"lang": "de"})
        with self.assertRaises(KeyError), self.con.transaction():
            self.con.upsert("orders", {"id": "o-2"})
            raise KeyError
        self.assertEqual(self.log(), ["insert:o-1", "emit:m-1"])
        with self.assertRaises(outbox.Aborted), self.con.transaction():
            self.con.execute("ROLLBACK")  # what SQLite does where a disk is full


class Capturing(Case):
    def test_plain_sql_makes_events_of_a_captured_table(self) -> None:
        self.con.capture("orders", topic="shop", exclude=["data"], ops=["insert", "update"])
        self.con.execute("INSERT INTO orders(id, total, data) VALUES ('o-1', 42.5, x'00')")
        self.con.execute("UPDATE orders SET total = 43")
        self.con.execute("DELETE FROM orders")
        seen = list(self.con.events("c", timeout=0))
        self.assertEqual([(e.op, e.topic, e.revision) for e in seen], [("insert", "shop", 1), ("update", "shop", 2)])
        self.assertEqual(seen[1].payload, {"id": "o-1", "total": 43, "note": None, "revision": 2})
        self.con.release("orders")
        self.con.execute("INSERT INTO orders(id) VALUES ('o-2')")
        self.assertEqual(list(self.con.events("c", timeout=0)), [])
        with self.assertRaises(outbox.Invalid):
            self.con.capture("nothing")


class Consuming(Case):
    def test_events_come_whole_and_are_acknowledged_by_the_loop(self) -> None:
        self.con.upsert("orders", {"id": "o-1", "data": b"\x00"})
        self.con.delete("orders", "o-1")
        self.con.emit("mail", None, {"$base64": "AA=="}, headers={"a": "b"})
        self.con.emit("mail", "k", b"\xff")
        seen = list(self.con.events("mailer", timeout=0))
        self.assertEqual([(e.seq, e.op, e.table, e.key) for e in seen][:2], [(1, "insert", "orders", "o-1"), (2, "delete", "orders", "o-1")])
        self.assertEqual((seen[0].payload["data"], seen[0].before, seen[0].revision), (b"\x00", None, 1))
        self.assertEqual((seen[1].payload, seen[1].before and seen[1].before["data"]), (None, b"\x00"))
        self.assertEqual((seen[2].payload, seen[2].headers, seen[2].revision), ({"$base64": "AA=="}, {"a": "b"}, None))
        self.assertEqual((seen[3].payload, seen[3].headers), (b"\xff", {}))
        self.assertLess(abs(seen[0].time.timestamp() - time.time()), 60)
        self.assertEqual(list(self.con.events("mailer", timeout=0)), [])

    def test_a_body_that_raises_leaves_its_event_owed(self) -> None:
        for i in range(5):
            self.con.emit("mail", None, i)
        with self.assertRaises(RuntimeError):
            for event in self.con.events("mailer", timeout=0):
                if event.payload == 2:
                    raise RuntimeError
        self.assertEqual([e.payload for e in self.con.events("mailer", timeout=0)], [2, 3, 4])

    def test_work_in_the_same_database_is_done_exactly_once(self) -> None:
        self.con.execute("CREATE TABLE done(seq INTEGER PRIMARY KEY)")  # twice would be an error
        for i in range(6):
            self.con.emit("mail", None, i)
        for round in range(4):
            try:
                for event in self.con.events("worker", batch=2, timeout=0):
                    with self.con.transaction():
                        self.con.execute("INSERT INTO done VALUES (?)", (event.seq,))
                        event.ack()
                        if event.seq == round + 2 and round < 3:
                            raise RuntimeError  # rolled back, cursor and all
                    if event.seq == round + 4:
                        break  # committed: not to come again
            except RuntimeError:
                pass
        self.assertEqual([row[0] for row in self.con.execute("SELECT seq FROM done")], [1, 2, 3, 4, 5, 6])

    def test_a_rollback_that_the_body_survives_is_acknowledged_by_the_loop(self) -> None:
        self.con.emit("mail", None, 1)
        for event in self.con.events("worker", timeout=0):
            try:
                with self.con.transaction():
                    event.ack()
                    raise KeyError
            except KeyError:
                pass  # its own affair: the body has gone well
        self.assertEqual(list(self.con.events("worker", timeout=0)), [])

    def test_a_loop_waits_for_the_next_commit_and_sleeps_meanwhile(self) -> None:
        def write() -> None:
            con = outbox.connect(self.path)
            for i in range(3):
                time.sleep(0.1)
                con.emit("mail", None, i)
            con.close()

        thread = threading.Thread(target=write)
        begun = time.process_time()
        thread.start()
        seen = []
        for event in self.con.events("mailer", timeout=20):
            seen.append(event.payload)
            if len(seen) == 3:
                event.ack()
                break
        thread.join()
        self.assertEqual(seen, [0, 1, 2])
        self.assertLess(time.process_time() - begun, 0.25)

    def test_a_consumer_is_busy_for_others_until_the_loop_ends(self) -> None:
        self.con.emit("mail", None, 1)
        other = outbox.connect(self.path)
        loop = self.con.events("mailer", timeout=0)
        next(loop)
        with self.assertRaises(outbox.Busy):
            next(other.events("mailer", timeout=0))
        for _ in range(2):
            with self.assertRaises(outbox.Busy):  # nor for another loop of its own connection, which takes nothing away
                next(self.con.events("mailer", timeout=0))
        self.assertEqual(len(list(self.con.events("another", timeout=0))), 1)
        with self.assertRaises(outbox.Busy):
            next(other.events("mailer", timeout=0))
        loop.close()
        self.assertEqual(len(list(self.con.events("mailer", timeout=0))), 1)
        self.con.emit("mail", None, 2)
        self.assertEqual(len(list(other.events("mailer", timeout=0))), 1)
        other.close()

    def test_a_consumer_that_an_operator_removes_is_stale_though_the_body_has_acknowledged(self) -> None:
        self.con.emit("mail", None, 1)
        for again in (False, True):  # gone, and made anew
            with self.assertRaises(outbox.Stale):
                for event in self.con.events("mailer", timeout=0):
                    event.ack()
                    self.con.execute("DELETE FROM consumer_offsets")
                    if again:
                        self.con.execute("INSERT INTO consumer_offsets(consumer) VALUES ('mailer')")
            self.con.execute("DELETE FROM consumer_offsets")

    def test_a_new_consumer_can_begin_at_the_end(self) -> None:
        self.con.emit("mail", None, 1)
        self.assertEqual(list(self.con.events("late", start="now", timeout=0)), [])
        self.con.emit("mail", None, 2)
        self.assertEqual([e.payload for e in self.con.events("late", timeout=0)], [2])

    def test_history_is_every_revision(self) -> None:
        self.con.upsert("orders", {"id": "o-1", "total": 1})
        self.con.upsert("orders", {"id": "o-1", "total": 2})
        self.con.delete("orders", "o-1")
        steps = self.con.history("orders", "o-1")
        self.assertEqual([(s.revision, s.op) for s in steps], [(1, "insert"), (2, "update"), (3, "delete")])
        self.assertEqual((steps[1].before and steps[1].before["total"], steps[1].after and steps[1].after["total"]), (1, 2))
        self.assertIsNone(steps[2].after)


class Loading(unittest.TestCase):
    def test_an_extension_that_is_not_there_says_what_to_do(self) -> None:
        with self.assertRaises(sqlite3.OperationalError):
            outbox.connect(":memory:", extension="/nowhere/mod_outbox.so")
        given = os.environ.pop("OUTBOX_EXTENSION", None)
        try:
            path = outbox.extension_path()
            self.assertTrue(os.path.exists(path))
        except outbox.Error as error:
            self.assertIn("make install", str(error))
        finally:
            if given:
                os.environ["OUTBOX_EXTENSION"] = given


if __name__ == "__main__":
    unittest.main()
