"""A transactional outbox for SQLite: a row and its event in one transaction.

    import outbox

    con = outbox.connect("shop.db")
    revision = con.upsert("orders", {"id": "o-1", "total": 42.5})
    try:
        con.upsert("orders", {"id": "o-1", "total": 43}, revision=revision)
    except outbox.Conflict as conflict:
        print("somebody was faster, it is at", conflict.found)

    for event in con.events("mailer"):
        send(event.payload)             # acknowledged when the loop comes round

Pure Python over the SQLite extension mod_outbox, which does the work.
"""

from ._connection import Connection, connect, extension_path
from ._errors import (
    Aborted,
    Busy,
    Conflict,
    Constraint,
    Corrupt,
    Error,
    Full,
    Gap,
    Invalid,
    IOFailure,
    Misuse,
    Newer,
    NotFound,
    ReadOnly,
    Rewound,
    Schema,
    Stale,
    TooBig,
)
from ._event import Event, Revision

__all__ = [
    "Aborted",
    "Busy",
    "Conflict",
    "Connection",
    "Constraint",
    "Corrupt",
    "Error",
    "Event",
    "Full",
    "Gap",
    "IOFailure",
    "Invalid",
    "Misuse",
    "Newer",
    "NotFound",
    "ReadOnly",
    "Revision",
    "Rewound",
    "Schema",
    "Stale",
    "TooBig",
    "connect",
    "extension_path",
]
__version__ = "0.1.0"
