"""What can go wrong, one class for each of the library's codes. All are sqlite3 errors too."""

from __future__ import annotations

import re
import sqlite3


class Error(sqlite3.DatabaseError):
    """Any failure that the extension reports; its words are the library's."""


class Conflict(Error):
    """The row is not at the expected revision. Read it, decide, try again; nothing was written."""

    @property
    def found(self) -> int:
        """The row's revision; 0 where there is no row."""
        match = re.search(r"found (?:revision )?(\d+)$", str(self))
        return int(match.group(1)) if match else 0


class NotFound(Error):
    """There is no such row."""


class Gap(Error):
    """Events that this consumer still needed are gone."""


class Invalid(Error):
    """The input cannot be stored or delivered. Trying again will not help."""


class Misuse(Error):
    """The call is wrong here. Mend the program."""


class Constraint(Error, sqlite3.IntegrityError):
    """A CHECK, UNIQUE, FOREIGN KEY, NOT NULL or RAISE of the application's own said no."""


class TooBig(Error):
    """The payload is over max-payload."""


class Busy(Error, sqlite3.OperationalError):
    """Somebody else holds the lock. In a transaction: roll it all back, then try again."""


class Stale(Error):
    """An operator moved this consumer's cursor, or it was taken over. Begin the loop again."""


class Aborted(Error):
    """SQLite has rolled the whole transaction back. Begin it again."""


class ReadOnly(Error):
    """The database cannot be written."""


class Full(Error, sqlite3.OperationalError):
    """The disk is full."""


class IOFailure(Error, sqlite3.OperationalError):
    """The operating system reported an input/output error."""


class Corrupt(Error):
    """Not a database, or a damaged one."""


class Schema(Error):
    """Our tables are missing, or a table of one of our names is not ours."""


class Newer(Error):
    """The database needs a newer extension."""


class Rewound(Error):
    """The database is behind the consumer: an older copy was put in its place."""


_BY_WORD: dict[str, type[Error]] = {
    "conflict": Conflict,
    "not found": NotFound,
    "gap": Gap,
    "invalid": Invalid,
    "misuse": Misuse,
    "constraint": Constraint,
    "too big": TooBig,
    "busy": Busy,
    "stale": Stale,
    "aborted": Aborted,
    "read-only": ReadOnly,
    "full": Full,
    "i/o": IOFailure,
    "corrupt": Corrupt,
    "schema": Schema,
    "newer": Newer,
    "rewound": Rewound,
}


def translated(error: sqlite3.Error) -> sqlite3.Error:
    """`outbox: conflict: …` as a Conflict; what is not the extension's own, as it is."""
    match = re.match(r"outbox: ([a-z/ -]+): (.*)", str(error), re.DOTALL)
    if not match:
        return error
    return _BY_WORD.get(match.group(1), Error)(match.group(2))
