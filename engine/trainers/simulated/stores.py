"""Where a simulated trainer's checkpoints go. Only what is worth a write to the disk is written there."""

from __future__ import annotations

import hashlib
from typing import Final, final

from engine.trainers.stores import CheckpointStore


@final
class Deferred:
    """Keeps bytes in memory, and puts those still held into ``store`` when the run is over and ``settle`` is called.

    Two writes to the disk for each of a simulated run's checkpoints would cost twice what simulating it does. What is lost
    if the process is killed is a run that takes milliseconds to simulate again.
    """

    def __init__(self, store: CheckpointStore) -> None:
        self._store: Final = store
        self._held: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        """Hold ``content``; return its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        self._held[digest] = content
        return digest

    def get(self, digest: str) -> bytes:
        """What is held, or was put into the store before. Raises KeyError or the journal's BlobMissing."""
        held = self._held.get(digest)
        return self._store.get(digest) if held is None else held

    def release(self, digest: str) -> None:
        """Drop it here; in the store too, if it was put there."""
        if self._held.pop(digest, None) is None:
            self._store.release(digest)

    def settle(self) -> None:
        """Put everything held into the store. Raises StorageFailed."""
        for content in self._held.values():
            self._store.put(content)
        self._held.clear()
