"""The database's complaints in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from eventsourcing.persistence import IntegrityError, PersistenceError

from engine.journal.errors import Damage, JournalBusy, JournalDamaged, JournalError, NotAJournal, StorageFailed

_PRIMARY: Final = 0xFF
"""SQLite's extended codes hold the plain one in their lowest byte."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT})

_FREE_SPACE: Final = "free some space or choose another place"

_WAYS_OUT: Final = {
    sqlite3.SQLITE_READONLY: "the file may only be read: make it writable or choose another journal",
    sqlite3.SQLITE_READONLY_DIRECTORY: (
        "its folder may only be read, and even looking writes beside the file: "
        "make the folder writable or copy all of it to one that is"
    ),
    sqlite3.SQLITE_CANTOPEN: "see that the file and its folder may be read and written, or choose another place",
}
"""By SQLite's extended code, else by the plain one: what a person can do where freeing space is no help."""

_SERVER_BUSY: Final = frozenset({"55P03", "40P01", "40001", "57014", "53300"})
"""A lock not given in time, a deadlock, a serialisation failure, a statement cancelled, too many connections."""

_SERVER_DAMAGED: Final = frozenset({"XX001", "XX002"})
"""Data corrupted, index corrupted."""


@contextmanager
def translated(name: str) -> Generator[None, None, None]:
    """Raise the database's errors as ours, one line each. IntegrityError passes: it is how a conflict shows."""
    try:
        yield
    except IntegrityError:
        raise
    except (PersistenceError, sqlite3.Error) as error:
        raise _ours(name, error) from error
    except UnicodeDecodeError as error:  # SQLite quotes the damaged text in a complaint, which then cannot be read
        raise JournalDamaged(name, Damage(1, 1, "the file can be read", "it holds text that is not UTF-8")) from error


def _ours(name: str, error: Exception) -> JournalError:
    cause: BaseException = error
    while not isinstance(cause, sqlite3.Error) and not hasattr(cause, "sqlstate") and cause.__cause__ is not None:
        cause = cause.__cause__
    if hasattr(cause, "sqlstate"):
        return _of_a_server(name, cause.sqlstate or "", cause)
    extended = getattr(cause, "sqlite_errorcode", None) or 0
    code = extended & _PRIMARY
    if code in _BUSY:
        return JournalBusy(f"{name} is in use by another process; try again when it is done")
    if code in _DAMAGED:
        return JournalDamaged(name, Damage(1, 1, "the file can be read", str(cause)))
    if code == sqlite3.SQLITE_NOTADB:
        return NotAJournal(f"{name} is no SQLite file, so no journal; name another file or a new one")
    way_out = _WAYS_OUT.get(extended) or _WAYS_OUT.get(code, _FREE_SPACE)
    return StorageFailed(f"{name} could not be used: {cause}; {way_out}")


def _of_a_server(name: str, state: str, cause: BaseException) -> JournalError:
    """PostgreSQL's complaint. ``state`` is its SQLSTATE, empty if no connection came about.

    Source: PostgreSQL manual, appendix A (error codes).
    """
    said = " ".join(str(cause).split())[:300]
    if state in _SERVER_BUSY:
        return JournalBusy(f"{name} is in use by another process; try again when it is done ({said})")
    if state in _SERVER_DAMAGED:
        return JournalDamaged(name, Damage(1, 1, "the database can be read", said))
    if not state or state.startswith(("08", "28", "3D", "57P")):
        return StorageFailed(
            f"{name} cannot be reached: {said}; see that the server runs, has the database and lets you in"
        )
    return StorageFailed(
        f"{name} could not be used: {said}; free some space, ask for the right or choose another place"
    )
