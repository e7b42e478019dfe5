"""What a consumer is handed, and what a history consists of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from ._json import load_row

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _when(created_at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=created_at)


@dataclass(frozen=True)
class Event:
    """One event. `id` is the same at every delivery; `seq` rises by one for each event of a database."""

    _ack: Callable[[int], None] = field(repr=False, compare=False)
    seq: int
    id: str
    topic: str
    table: str | None  #: None for a message (op "emit")
    key: str | None
    op: str  #: insert, update, delete or emit
    revision: int | None
    payload_text: str | bytes | None  #: as stored
    before_text: str | None
    headers_text: str | None
    ordering_key: str | None
    created_at: int  #: microseconds since 1970

    @property
    def payload(self) -> Any:
        """The row after the change as a dict, None for a delete; of a message what was sent: JSON, bytes or None."""
        if self.payload_text is None or isinstance(self.payload_text, bytes):
            return self.payload_text
        return json.loads(self.payload_text) if self.table is None else load_row(self.payload_text)

    @property
    def before(self) -> dict[str, Any] | None:
        """The row before the change; None for an insert and for a message."""
        return None if self.before_text is None else load_row(self.before_text)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.headers_text is None else dict(json.loads(self.headers_text))

    @property
    def time(self) -> datetime:
        return _when(self.created_at)

    def ack(self) -> None:
        """Acknowledges this event and all before it. Inside a transaction it joins: work that is kept in the same
        database is then done exactly once. Without it the event is acknowledged when the loop comes round."""
        self._ack(self.seq)


@dataclass(frozen=True)
class Revision:
    """One step of a row's history."""

    seq: int
    revision: int
    op: str
    created_at: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def time(self) -> datetime:
        return _when(self.created_at)
