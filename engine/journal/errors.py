"""What can go wrong with a journal. Each message is one line: what, which value, which rule, the way out."""

from __future__ import annotations

from typing import NamedTuple, final


class JournalError(Exception):
    """The family: catch this to report anything that a journal, an archive or a blob store complains about."""


@final
class UnknownStore(JournalError):
    """A journal address whose scheme no store answers to."""


@final
class NotAJournal(JournalError):
    """The file is something else: no SQLite file, another program's database, or no archive of ours."""


@final
class KeyRefused(JournalError):
    """A key is missing, malformed, wrong or not wanted; or something asks for encryption where there is none."""


@final
class JournalTooNew(JournalError):
    """Written by a later version: a newer format, an unknown topic, or a newer version of a known one."""


@final
class RunMissing(JournalError):
    """No run of that name is in the journal."""


@final
class RunNameRefused(JournalError):
    """A run id that cannot be a run id: it names files too, so only plain characters are allowed."""


@final
class EpochConflict(JournalError):
    """Another epoch is recorded where this one was to go. Nothing was written; the caller still has its events."""


@final
class Unrecordable(JournalError):
    """An event that would not come back as it went in, such as a text with half a surrogate pair."""


@final
class StorageFailed(JournalError):
    """The disk refused: full, read-only, failing. What was recorded before stays recorded."""


@final
class JournalBusy(JournalError):
    """Another process held the journal for longer than the lock timeout."""


@final
class BlobMissing(JournalError):
    """A blob that the journal points to is not in the store."""


@final
class BlobDamaged(JournalError):
    """A blob's content no longer has the digest it is filed under."""


@final
class Damage(NamedTuple):
    """Where the log is not as it was sealed, and which rule says so."""

    position: int
    """The damaged event, or the first that may be; counted from 1."""
    until: int
    """The last event that may be; equal to ``position`` when the very event is known."""
    rule: str
    detail: str

    @property
    def place(self) -> str:
        """Both ends in words."""
        if self.until == self.position:
            return f"position {self.position}"
        return f"positions {self.position} to {self.until}"


@final
class JournalDamaged(JournalError):
    """The log is not as it was sealed. Nothing is guessed and nothing is repaired."""

    def __init__(self, source: str, damage: Damage) -> None:
        self.source = source
        """What was read: a run or a file."""
        self.damage = damage
        super().__init__(
            f"{source} is damaged at {damage.place}: {damage.detail} ({damage.rule}); restore it from a copy or an export"
        )

    @property
    def position(self) -> int:
        """The first damaged position."""
        return self.damage.position
