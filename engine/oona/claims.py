"""The claim check: a body that is too large to travel stays in the blob store, and a claim travels instead."""

from __future__ import annotations

from typing import Final

from engine.journal.blobs import RunBlobs
from engine.journal.errors import BlobDamaged, BlobMissing
from engine.oona.envelope import ClaimCheck, Envelope, EnvelopeRefused

DIRECT_BYTES_MAX: Final = 1_000_000
"""The largest body that travels itself. Source: the design's claim check, domain reference C1."""


def checked_in(envelope: Envelope, blobs: RunBlobs) -> Envelope:
    """The envelope with its body put into ``blobs`` and a claim in its place. Raises StorageFailed."""
    body = envelope.data.encode()
    claim = ClaimCheck(digest=blobs.put(body), size=len(body))
    return envelope.model_copy(update={"data": "", "claim": claim})


def redeemed(envelope: Envelope, blobs: RunBlobs) -> Envelope:
    """The envelope that was checked in; one without a claim as it is. Raises EnvelopeRefused if its body is not there."""
    if envelope.claim is None:
        return envelope
    try:
        body = blobs.get(envelope.claim.digest)
    except (BlobMissing, BlobDamaged) as error:
        raise EnvelopeRefused(f"the body of {envelope.id} cannot be fetched: {error}") from error
    if len(body) != envelope.claim.size:
        raise EnvelopeRefused(
            f"the body of {envelope.id} has {len(body)} bytes but its claim check says {envelope.claim.size}"
        )
    try:
        return envelope.model_copy(update={"data": body.decode(), "claim": None})
    except UnicodeDecodeError as error:
        raise EnvelopeRefused(f"the body of {envelope.id} is no text: {error}") from error
