"""The claim check: an event over 1 MB keeps its body in a blob and a claim in the journal.

The claim holds the digest of the event's canonical JSON, so the chain of seals is the same wherever the body lies and
whatever version of the Arrow writer laid it down.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, final

from domain.events import DomainEvent, LayerHealthReported
from domain.health import EXTRAS, METRICS, LayerHealthReport
from domain.values import Column, Value

if TYPE_CHECKING:
    from engine.journal.blobs import RunBlobs

CLAIM_BYTES_MIN: Final = 1_000_000
"""Events whose canonical JSON is larger than this go to the blob store. Source: the claim check of topic telemetry."""


@final
class Claim(Value):
    """What the journal keeps of a large event."""

    MARK: ClassVar[bytes] = b'{"claim":'
    """No event begins like this: the first field of every event is its epoch."""

    claim: str
    """SHA-256 of the event's canonical JSON."""
    blob: str
    """SHA-256 of the blob that holds the body."""
    size: int
    """Bytes of the blob."""
    form: Literal["arrow", "json"]
    """Arrow IPC for the columns of a health report, with ``rest`` beside them; the canonical JSON for anything else."""
    rest: str
    """Canonical JSON of a health report's event without its columns; empty for form ``json``."""

    @classmethod
    def marks(cls, state: bytes) -> bool:
        """Whether ``state`` is a claim and no event."""
        return state.startswith(cls.MARK)

    @classmethod
    def parse(cls, state: bytes) -> Self:
        """Read a claim. Raises ValueError (pydantic's) unless it is exactly as it was written."""
        claim = cls.model_validate_json(state)
        if claim.to_bytes() != state or len(claim.claim) != len("0" * 64):
            raise ValueError("the claim is not written as it is read")
        bytes.fromhex(claim.claim)
        return claim

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return self.model_dump_json().encode()


def check_in(event: DomainEvent, state: bytes, blobs: RunBlobs) -> bytes:
    """Put the body of ``event``, whose canonical JSON is ``state``, into a blob; return the claim. Raises StorageFailed."""
    is_report = isinstance(event, LayerHealthReported)
    body = _columns_to_arrow(event.report) if isinstance(event, LayerHealthReported) else state
    return Claim(
        claim=hashlib.sha256(state).hexdigest(),
        blob=blobs.put(body),
        size=len(body),
        form="arrow" if is_report else "json",
        rest=_without_columns(event).model_dump_json() if isinstance(event, LayerHealthReported) else "",
    ).to_bytes()


def redeem(state: bytes, blobs: RunBlobs) -> bytes:
    """The canonical JSON behind a claim. Raises BlobMissing, BlobDamaged, or ValueError if it is not what was claimed."""
    claim = Claim.parse(state)
    body = blobs.get(claim.blob)
    if len(body) != claim.size:
        raise ValueError(f"blob {claim.blob} has {len(body)} bytes but {claim.size} were claimed")
    full = body if claim.form == "json" else _with_columns(claim.rest, body).model_dump_json().encode()
    if hashlib.sha256(full).hexdigest() != claim.claim:
        raise ValueError(f"blob {claim.blob} does not hold the event that was claimed")
    return full


def _columns_to_arrow(report: LayerHealthReport) -> bytes:
    """Arrow IPC of the columns (float64) and, if there are any, the error counts (int64), shape (seeds,)."""
    import polars

    columns: dict[str, Any] = {name: getattr(report, name).values for name in (*METRICS, *report.extras)}
    if report.error_counts:
        columns["error_counts"] = polars.Series("error_counts", report.error_counts, dtype=polars.Int64)
    buffer = io.BytesIO()
    polars.DataFrame(columns).write_ipc(buffer)
    return buffer.getvalue()


def _without_columns(event: LayerHealthReported) -> LayerHealthReported:
    empty = Column([])
    without = {"error_counts": (), **dict.fromkeys(METRICS, empty), **dict.fromkeys(EXTRAS)}
    rest = event.report.model_copy(update=without)
    return event.model_copy(update={"report": rest})


def _with_columns(rest: str, body: bytes) -> LayerHealthReported:
    """Put the columns back. Raises ValueError if the body does not hold them."""
    import polars

    frame = polars.read_ipc(io.BytesIO(body))
    if tuple(frame.columns[: len(METRICS)]) != METRICS:
        raise ValueError(f"the blob of a health report must hold the columns {METRICS} but holds {frame.columns}")
    event = LayerHealthReported.model_validate_json(rest, strict=False)
    held = [name for name in EXTRAS if name in frame.columns]
    columns: dict[str, Any] = {name: Column(frame[name].to_numpy()) for name in (*METRICS, *held)}
    if "error_counts" in frame.columns:
        columns["error_counts"] = tuple(frame["error_counts"].to_list())
    return event.model_copy(update={"report": event.report.model_copy(update=columns)})
