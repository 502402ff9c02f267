"""The chain of digests that closes every epoch. Pure functions over stored rows.

    chain(d, rows) = SHA-256(d, then for each row: length, topic with version, body)
    body           = length, "=", canonical JSON; or "#", SHA-256 of the canonical JSON, where that is over 1 MB:
                     the claim of a large event is this very digest, so the chain is the same wherever the body lies
    log_digest     = chain(head before the epoch, the epoch's rows without the seal)
    head           = chain(head before the epoch, the epoch's rows with the seal)

The head of a run's last epoch is the run's digest. The journal keeps the heads beside the events, so that the last
seal, which no later seal covers, is covered too.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, final

from domain.events import EpochSealed
from engine.journal.claims import CLAIM_BYTES_MIN, Claim
from engine.journal.errors import Damage

if TYPE_CHECKING:
    from engine.journal.blobs import RunBlobs
    from engine.journal.codec import Codec

GENESIS: Final = "0" * 64
"""The head before the first epoch."""


@final
class Row(NamedTuple):
    """An event as it is stored."""

    position: int
    """Place in the run, counted from 1."""
    topic: str
    """Topic and version, such as ``stage-changed:1``."""
    state: bytes
    """Canonical JSON, or the claim of a blob."""
    check: int
    """CRC-32 of topic and state: finds the very event that a chain only knows to be among an epoch's."""


@final
class Head(NamedTuple):
    """The end of a sealed epoch."""

    epoch: int
    position: int
    """Of the seal."""
    digest: str
    """SHA-256, 64 hexadecimal digits: the chain up to and including the seal."""


GENESIS_HEAD: Final = Head(epoch=-1, position=0, digest=GENESIS)
"""Where a run stands before its first epoch."""


def check_of(topic: str, state: bytes) -> int:
    """CRC-32 of a row, in [0, 2^32)."""
    return zlib.crc32(state, zlib.crc32(topic.encode()))


def body(state: bytes) -> bytes:
    """What the chain covers of a row's state: the same for an event and for the claim of that event."""
    if state.startswith(Claim.MARK):
        return b"#" + bytes.fromhex(Claim.parse(state).claim)
    if len(state) > CLAIM_BYTES_MIN:
        return b"#" + hashlib.sha256(state).digest()
    return b"%d=" % len(state) + state


@lru_cache(maxsize=256)
def _prefix(topic: str) -> bytes:
    encoded = topic.encode()
    return b"%d=" % len(encoded) + encoded


def chain(previous: str, rows: Iterable[Row]) -> str:
    """The digest that continues ``previous`` over ``rows``, 64 hexadecimal digits."""
    return Chain(previous, rows).digest


def chain_to_seal(previous: str, rows: Sequence[Row]) -> tuple[str, str]:
    """The log digest and the head of an epoch whose last row is its seal, in one pass."""
    running = Chain(previous, rows[:-1])
    log_digest = running.digest
    return log_digest, running.then(rows[-1])


@final
class Chain:
    """A chain that can go on: an epoch's log digest first, then with the seal its head."""

    def __init__(self, previous: str, rows: Iterable[Row]) -> None:
        parts = [bytes.fromhex(previous)]
        for _, topic, state, _ in rows:
            parts += (_prefix(topic), body(state))
        self._hash = hashlib.sha256(b"".join(parts))

    @property
    def digest(self) -> str:
        """Over everything so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()

    def then(self, row: Row) -> str:
        """The digest with one row more."""
        self._hash.update(_prefix(row.topic) + body(row.state))
        return self.digest


def verify_chain(
    rows: Sequence[Row], recorded: Sequence[Head] | None, codec: Codec, blobs: RunBlobs
) -> tuple[Head, ...] | Damage:
    """The heads of a run's epochs, or the first damage found in its rows.

    ``recorded`` are the heads that the journal kept beside the events; None where there are none to compare.
    Raises JournalTooNew for an undamaged event of a later version.
    """
    heads: list[Head] = []
    head = GENESIS_HEAD
    epoch_begun = -1
    for expected, row in enumerate(rows, start=1):
        opened = codec.open(row, expected, blobs)
        if isinstance(opened, Damage):
            return opened
        if not codec.rewrites(opened, row.topic, row.state):
            detail = f"{row.topic!r} is not written as it is read"
            return Damage(expected, expected, "events are written in one way", detail)
        if opened.epoch < epoch_begun:
            detail = f"epoch {opened.epoch} after epoch {epoch_begun}"
            return Damage(head.position + 1, expected, "epochs never go back", detail)
        epoch_begun = opened.epoch
        if isinstance(opened, EpochSealed):
            # Without kept heads the seal before may be the one that changed: only this chain covers it.
            first = head.position + 1 if recorded is not None else max(head.position, 1)
            sealed = _close(opened, head, rows[head.position : expected], first)
            if not isinstance(sealed, Damage) and recorded is not None:
                sealed = _as_kept(sealed, recorded)
            if isinstance(sealed, Damage):
                return sealed
            head = sealed
            heads.append(head)
    return _complete(rows, heads, recorded)


def _complete(rows: Sequence[Row], heads: Sequence[Head], recorded: Sequence[Head] | None) -> tuple[Head, ...] | Damage:
    """All heads, if nothing follows the last and none that was kept is missing."""
    end = heads[-1].position if heads else 0
    last = recorded[-1].position if recorded else 0
    if recorded is not None and len(heads) < len(recorded) and end == len(rows):
        detail = f"{len(heads)} epochs are sealed but {len(recorded)} were kept"
        return Damage(end + 1, max(end + 1, last), "no epoch is lost", detail)
    if end != len(rows) or not rows:
        return Damage(end + 1, max(len(rows), last, 1), "every epoch ends in a seal", "the last epoch has no seal")
    return tuple(heads)


def _close(seal: EpochSealed, head: Head, rows: Sequence[Row], first: int) -> Head | Damage:
    """The head after an epoch of ``rows``, the last of which is ``seal``, or what is wrong from ``first`` on."""
    last = head.position + len(rows)
    if seal.epoch != head.epoch + 1:
        return Damage(last, last, "seals count the epochs", f"seal of epoch {seal.epoch} after epoch {head.epoch}")
    if seal.events != len(rows) - 1:
        detail = f"epoch {seal.epoch} was sealed with {seal.events} events but has {len(rows) - 1}"
        return Damage(first, last, "seals count the events", detail)
    digest, end = chain_to_seal(head.digest, rows)
    if seal.log_digest != digest:
        detail = f"epoch {seal.epoch} was sealed as {seal.log_digest[:12]}… but reads {digest[:12]}…"
        return Damage(first, last, "seals chain the events", detail)
    return Head(seal.epoch, last, end)


def _as_kept(head: Head, recorded: Sequence[Head]) -> Head | Damage:
    """``head`` if it is the one that the journal kept."""
    kept = next((kept for kept in recorded if kept.epoch == head.epoch), None)
    if kept == head:
        return head
    detail = f"the seal of epoch {head.epoch} gives {head.digest[:12]}… but {str(kept and kept.digest)[:12]}… was kept"
    return Damage(head.position, head.position, "seals keep their bytes", detail)
