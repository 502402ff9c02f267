"""A run as a file: JSON Lines in the CloudEvents 1.0 form, one event a line, the seals between the epochs.

The first line opens the archive (format, run), the last closes it (events, epochs, digest). Every line has exactly one
way to be written, so the smallest change is refused, whatever it touches; nothing is imported before all is verified.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from domain.events import DomainEvent
from engine.journal.blobs import write_atomically
from engine.journal.claims import Claim, redeem
from engine.journal.errors import Damage, JournalDamaged, JournalTooNew, KeyRefused, NotAJournal, StorageFailed
from engine.journal.names import checked
from engine.journal.seals import Head, Row, check_of, verify_chain

if TYPE_CHECKING:
    from engine.journal.journal import Journal

FORMAT: Final = 1
"""Version of the archive's lines."""

_OPENED: Final = "regrow.archive-opened.v1"
_CLOSED: Final = "regrow.archive-closed.v1"
_DATA: Final = b',"data":'


def export_run(journal: Journal, run_id: str, path: Path, *, decrypt: bool = False) -> None:
    """Verify a run and write it to ``path``, whole or not at all. An archive is plain text.

    Raises KeyRefused for an encrypted run unless it is to be decrypted; RunMissing, JournalDamaged, StorageFailed.
    """
    if journal.is_encrypted and not decrypt:
        raise KeyRefused(f"{run_id} is encrypted and an archive is plain text; export it with --decrypt to have it so")
    heads = journal.verify(run_id)
    write_atomically(Path(path), _lines(journal, run_id, heads))


def import_run(path: Path, journal: Journal) -> str:
    """Verify the archive at ``path`` and record it; return the id it is recorded under.

    That is the exported id; the id it already has, if the same run is recorded; or the id with a number, if another
    run has the name. Raises NotAJournal, JournalTooNew, JournalDamaged with the position, StorageFailed; then nothing
    was recorded.
    """
    run_id, rows, heads = _read(Path(path), journal)
    return journal.adopt(run_id, rows, heads)


def _lines(journal: Journal, run_id: str, heads: tuple[Head, ...]) -> Iterator[bytes]:
    yield _line(run_id, 0, _OPENED, {}, _json({"format": FORMAT, "run": run_id}))
    blobs = journal.blobs(run_id)
    for row in journal.raw(run_id):
        state = redeem(row.state, blobs) if Claim.marks(row.state) else row.state
        yield _event_line(run_id, row.position, row.topic, journal.codec.decode(row.topic, state), state)
    yield _closing_line(run_id, heads)


def _event_line(run_id: str, position: int, topic: str, event: DomainEvent, state: bytes) -> bytes:
    name, _, version = topic.partition(":")
    seed = getattr(event, "seed", None)
    extra = {"subject": f"seed {seed}"} if seed is not None else {}
    kind = f"regrow.{name}.v{version}"
    return _line(run_id, position, kind, {**extra, "epoch": event.epoch, "position": position}, state)


def _closing_line(run_id: str, heads: tuple[Head, ...]) -> bytes:
    end = heads[-1]
    data = {"events": end.position, "epochs": len(heads), "digest": end.digest}
    return _line(run_id, end.position + 1, _CLOSED, {}, _json(data))


def _line(run_id: str, number: int, kind: str, extensions: dict[str, Any], data: bytes) -> bytes:
    """One CloudEvent. Wall time is left out on purpose: equal runs give equal lines."""
    attributes = {
        "specversion": "1.0",
        "id": str(number),
        "source": f"/regrow/runs/{run_id}",
        "type": kind,
        "datacontenttype": "application/json",
        **extensions,
    }
    return _json(attributes)[:-1] + _DATA + data + b"}\n"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _read(path: Path, journal: Journal) -> tuple[str, list[Row], tuple[Head, ...]]:
    """The run's id, rows and heads, all verified."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise StorageFailed(
            f"cannot read {path}: {error.strerror}; name an archive that `regrow export` wrote"
        ) from error
    run_id = _opening(path, lines[0] if lines else b"")
    rows = [_row(path, run_id, number, line, journal) for number, line in enumerate(lines[1:-1], start=1)]
    if len(lines) < 3 or not lines[-1].endswith(b"\n"):
        raise _refused(path, len(lines), "the archive is cut short")
    heads = verify_chain(rows, None, journal.codec, journal.blobs(run_id))
    if isinstance(heads, Damage):
        raise JournalDamaged(str(path), heads)
    if lines[-1] != _closing_line(run_id, heads):
        raise _refused(path, len(lines), "the last line does not close the archive of these events")
    return run_id, rows, heads


def _opening(path: Path, line: bytes) -> str:
    """The run's id from the first line."""
    try:
        opening = json.loads(line)
        kind, data = opening["type"], opening["data"]
        version, run_id = data["format"], data["run"]
    except (ValueError, KeyError, TypeError):
        raise NotAJournal(f"{path} is no archive of a run: line 1 does not open one; see `regrow export`") from None
    if kind != _OPENED or not isinstance(version, int) or not isinstance(run_id, str):
        raise NotAJournal(f"{path} is no archive of a run: line 1 does not open one; see `regrow export`")
    if version > FORMAT:
        raise JournalTooNew(
            f"{path} has archive format {version} but this regrow reads up to {FORMAT}; use a newer regrow"
        )
    if line != _line(checked(run_id), 0, _OPENED, {}, _json({"format": FORMAT, "run": run_id})):
        raise _refused(path, 1, "the line is not written as it is read")
    return run_id


def _row(path: Path, run_id: str, position: int, line: bytes, journal: Journal) -> Row:
    """The row behind line ``position`` + 1."""
    number = position + 1
    attributes, found, rest = line.partition(_DATA)
    try:
        kind = json.loads(attributes + b"}")["type"]
        prefix, name, version = kind.split(".")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _refused(path, number, "the line is no event in JSON") from None
    if kind in {_OPENED, _CLOSED}:
        raise _refused(path, number, "the archive is opened or closed in its midst")
    if prefix != "regrow" or not found or not version.startswith("v") or Claim.marks(rest):
        raise _refused(path, number, "the line is no event of a run")
    topic, state = f"{name}:{version[1:]}", rest.removesuffix(b"}\n")
    try:
        event = journal.codec.decode(topic, state)
    except JournalTooNew as error:
        raise JournalTooNew(f"line {number} of {path}: {error}") from error
    except ValueError as error:
        raise _refused(path, number, f"the event cannot be read: {' '.join(str(error).split())[:160]}") from error
    if line != _event_line(run_id, position, topic, event, state):
        raise _refused(path, number, "the line is not this run's event at this place, written as it is read")
    return Row(position, topic, state, check_of(topic, state))


def _refused(path: Path, line: int, detail: str) -> JournalDamaged:
    position = max(line - 1, 1)
    return JournalDamaged(
        str(path), Damage(position, position, "archives are verified whole", f"line {line}: {detail}")
    )
