"""An sqlite3 connection with the outbox's calls."""

from __future__ import annotations

import json
import os
import sqlite3
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generator, Iterator, Mapping, Sequence, cast

from ._errors import Aborted, Busy, Error, NotFound, translated
from ._event import Event, Revision
from ._json import Key, dump_key, dump_payload, dump_row, load_row

_READ = (
    "SELECT seq, id, topic, table_name, key, op, revision, payload, before, headers, ordering_key, created_at"
    " FROM outbox_read(?, ?)"
)
_HISTORY = "SELECT seq, revision, op, created_at, before, after FROM outbox_history(?, ?)"
# 0 where an operator has removed it: acknowledging says so then.
_ACKED = "SELECT coalesce(max(acked_seq), 0) FROM consumer_offsets WHERE consumer = ?"
_SLICE_S = 0.25  # how long a wait may keep a Ctrl-C waiting


def extension_path() -> str:
    """Where mod_outbox.so is: $OUTBOX_EXTENSION, else where `make install` and distributions put it."""
    given = os.environ.get("OUTBOX_EXTENSION")
    if given:
        return given
    multiarch = sysconfig.get_config_var("MULTIARCH") or "."
    for place in ("/usr/local/lib", f"/usr/lib/{multiarch}", "/usr/lib"):
        if Path(place, "mod_outbox.so").exists():
            return str(Path(place, "mod_outbox.so"))
    raise Error("mod_outbox.so is not installed; run `make install`, or say where it is in $OUTBOX_EXTENSION")


class Connection(sqlite3.Connection):
    """An sqlite3.Connection in autocommit mode, so that each call is a transaction of its own unless it stands in
    `with con.transaction():` (or in a BEGIN of yours). Made by connect()."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._loops: set[str] = set()  # the consumers that a loop of events() reads for

    # ---- Writing ----

    def upsert(self, table: str, row: Mapping[str, Any], *, revision: int | None = None) -> int:
        """Inserts or updates a row and owes the event; returns the row's new revision.

        A column left out keeps its value, or takes its default. revision: what the row must be at (0: it must not
        exist), else Conflict; None: the last write wins."""
        return int(self._one("SELECT outbox_upsert(?, ?, ?)", table, dump_row(row), revision))

    def delete(self, table: str, key: Key, *, revision: int | None = None) -> int:
        """Deletes a row and owes the event, whose seq is returned. NotFound where there is no such row."""
        return int(self._one("SELECT outbox_delete(?, ?, ?)", table, dump_key(key), revision))

    def emit(self, topic: str, key: str | int | None, payload: Any, *, headers: Mapping[str, str] | None = None) -> int:
        """Owes a message that belongs to no row: bytes as they are, None, or anything that json takes. Returns its
        seq."""
        heads = None if headers is None else dump_payload(dict(headers))
        return int(self._one("SELECT outbox_emit(?, ?, ?, ?)", topic, key, dump_payload(payload), heads))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when the block raises. Everything in it happens, or nothing."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield self
        except BaseException:
            if self.in_transaction:
                self.execute("ROLLBACK")
            raise
        if not self.in_transaction:  # somebody caught the error that said so
            raise Aborted("SQLite has rolled the transaction back; nothing was committed")
        try:
            self._run("COMMIT")
        except sqlite3.Error:
            if self.in_transaction:
                self.execute("ROLLBACK")
            raise

    def capture(
        self,
        table: str,
        *,
        topic: str | None = None,
        ordering_key: str | None = None,
        exclude: Sequence[str] = (),
        ops: Sequence[str] = (),
        only_if_changed: Sequence[str] = (),
    ) -> str | None:
        """Puts triggers on the table, so that plain SQL makes events too, in this program and in any other.

        exclude: columns left out of every event; ops: of insert, update, delete, those that are events;
        only_if_changed: an update is one only if one of these columns changes. Nothing given: as it was captured
        before, else everything. Again after an ALTER TABLE. Gives words where triggers of the table's own may write it
        again."""
        options = {"topic": topic, "ordering_key": ordering_key, "exclude": list(exclude), "ops": list(ops)}
        options["only_if_changed"] = list(only_if_changed)
        given = {name: value for name, value in options.items() if value}
        words = self._one("SELECT outbox_capture(?, ?)", table, json.dumps(given) if given else None)
        return None if words is None else str(words)

    def release(self, table: str) -> None:
        """Takes the triggers away again."""
        self._one("SELECT outbox_release(?)", table)

    # ---- Reading ----

    def get(self, table: str, key: Key) -> dict[str, Any] | None:
        """The row with every column, its revision too; None where there is none."""
        text = self._one("SELECT outbox_get(?, ?)", table, dump_key(key))
        return None if text is None else load_row(text)

    def history(self, table: str, key: Key) -> list[Revision]:
        """Every change of the row that the log still has, oldest first. It reads all of the log."""
        return [
            Revision(seq, revision, op, created_at, before and load_row(before), after and load_row(after))
            for seq, revision, op, created_at, before, after in self._run(_HISTORY, table, dump_key(key))
        ]

    def events(
        self, consumer: str, *, start: str = "start", batch: int = 100, timeout: float | None = None
    ) -> Generator[Event, None, None]:
        """Iterates over what is owed to consumer, for ever, or until nothing came for timeout seconds.

        An event is acknowledged when the loop asks for the next one: a body that raises, or leaves the loop, leaves
        its event owed (event.ack() acknowledges at once, and inside a transaction). The consumer is held by this
        connection until the loop ends; meanwhile it is Busy for any other loop. Waiting takes no processor time: the
        extension is woken by the next commit. start: where a new consumer begins, at the oldest event owed ("start")
        or behind the last ("now")."""
        if consumer in self._loops:  # the extension knows connections only
            raise Busy(f"consumer {consumer} is read by another loop of this connection")
        self._one("SELECT outbox_take(?, ?)", consumer, start)
        self._loops.add(consumer)
        try:
            yield from self._events(consumer, batch, timeout)
        finally:
            self._loops.discard(consumer)
            try:
                self._one("SELECT outbox_leave(?)", consumer)
            except sqlite3.Error:
                pass  # closed in the loop: then it is let go anyway

    def _events(self, consumer: str, batch: int, timeout: float | None) -> Iterator[Event]:
        asked = -1  # the last one that the body acknowledged itself; a rollback may have taken that back

        def ack(seq: int) -> None:
            nonlocal asked
            self._one("SELECT outbox_ack(?, ?)", consumer, seq)
            asked = seq

        while True:
            # All rows at once: a statement left half read would keep the database as of its first row.
            rows = self._run(_READ, consumer, batch).fetchall()
            if not rows and not self._wait(consumer, timeout):
                return
            for row in rows:
                event = Event(ack, *row)
                yield event
                if asked < event.seq or self._one(_ACKED, consumer) < event.seq:
                    ack(event.seq)

    def _wait(self, consumer: str, timeout: float | None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _SLICE_S if end is None else min(_SLICE_S, max(0.0, end - time.monotonic()))
            if self._one("SELECT outbox_wait(?, ?)", consumer, int(left * 1000)):
                return True
            if end is not None and time.monotonic() >= end:
                return False

    # ---- Errors ----

    def _run(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        try:
            return self.execute(sql, arguments)
        except sqlite3.Error as error:
            raise translated(error) from None

    def _one(self, sql: str, *arguments: Any) -> Any:
        row = self._run(sql, *arguments).fetchone()
        return row[0]


def connect(
    path: str | os.PathLike[str], *, timeout: float = 5.0, create: bool = True, extension: str | None = None
) -> Connection:
    """Opens the database: WAL, synchronous FULL, foreign keys on, the extension loaded, our tables there.

    timeout: seconds to wait for another writer. create=False neither creates the file (NotFound) nor touches its
    schema. extension: the path of mod_outbox.so, else extension_path()."""
    library = extension or extension_path()
    if not create and not os.path.exists(path):
        raise NotFound(f"{os.fspath(path)}: no such file")
    con = cast(Connection, sqlite3.connect(path, timeout=timeout, isolation_level=None, factory=Connection))
    try:
        if not hasattr(con, "enable_load_extension"):
            raise Error(
                "this Python's sqlite3 cannot load extensions (it was built without"
                " --enable-loadable-sqlite-extensions); Debian's /usr/bin/python3 can"
            )
        con.enable_load_extension(True)
        con.load_extension(library)
        con.enable_load_extension(False)
        con.execute("PRAGMA synchronous = FULL")
        con.execute("PRAGMA foreign_keys = ON")
        if create:
            con._one("SELECT outbox_init()")
    except BaseException:
        con.close()
        raise
    return con
