"""Where a trainer keeps its checkpoints."""

from __future__ import annotations

import hashlib
from typing import Protocol, final


class CheckpointStore(Protocol):
    """Keeps bytes under their SHA-256. The journal's blob store is one."""

    def put(self, content: bytes) -> str:
        """Keep ``content``; return its SHA-256, 64 hexadecimal digits."""
        ...

    def get(self, digest: str) -> bytes:
        """What was put under ``digest``. Raises KeyError or the journal's BlobMissing."""
        ...

    def release(self, digest: str) -> None:
        """Drop it; what is not there is dropped already."""
        ...


@final
class MemoryStore:
    """A store that lives as long as this object: for tests, and for training a recorded run again."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def __contains__(self, digest: object) -> bool:
        return digest in self._contents

    def __len__(self) -> int:
        return len(self._contents)

    def put(self, content: bytes) -> str:
        """Keep ``content``; return its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        self._contents[digest] = content
        return digest

    def get(self, digest: str) -> bytes:
        """What was put under ``digest``. Raises KeyError."""
        return self._contents[digest]

    def release(self, digest: str) -> None:
        """Drop it."""
        self._contents.pop(digest, None)
