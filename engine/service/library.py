"""The store of bodies that are too large to travel, behind a breaker: a disk that fails is not asked at every message."""

from __future__ import annotations

from functools import partial
from typing import final

from engine.journal.blobs import RunBlobs
from engine.service.breakers import Breaker


@final
class GuardedBlobs:
    """Blobs through a breaker: beside their own errors they raise BreakerOpen."""

    def __init__(self, blobs: RunBlobs, breaker: Breaker) -> None:
        self._blobs = blobs
        self._breaker = breaker

    def put(self, content: bytes) -> str:
        """Keep ``content`` and return its SHA-256. Raises StorageFailed."""
        return self._breaker.call(partial(self._blobs.put, content))

    def get(self, digest: str) -> bytes:
        """The content filed under ``digest``. Raises BlobMissing, BlobDamaged."""
        return self._breaker.call(partial(self._blobs.get, digest))

    def release(self, digest: str) -> None:
        """Drop the blob ``digest``."""
        self._breaker.call(partial(self._blobs.release, digest))
