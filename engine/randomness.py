"""Named random streams: everything random in a run comes from its run key, a name and an epoch.

Adding a consumer moves nobody else's draws, and a stream of epoch *e* needs nothing of the epochs before it, so no
generator has to be saved at a boundary.
"""

from __future__ import annotations

import hashlib
from typing import final

import numpy as np

from domain.commands import Draw


def _label(name: str) -> int:
    """64 bits that stand for the name; ``hash()`` would differ between processes."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _sequence(run_key: int, name: str, epoch: int) -> np.random.SeedSequence:
    if run_key < 0 or epoch < 0:
        raise ValueError(f"a stream needs a run key and an epoch of at least 0 but got {run_key} and {epoch}")
    return np.random.SeedSequence([run_key, _label(name), epoch])


def stream(run_key: int, name: str, epoch: int = 0) -> np.random.Generator:
    """The stream ``name`` of ``epoch``, from its start. Raises ValueError for a negative run key or epoch."""
    return np.random.Generator(np.random.PCG64(_sequence(run_key, name, epoch)))


def stream_seed(run_key: int, name: str, epoch: int = 0) -> int:
    """63 bits in [0, 2^63) that start a generator of another library, as ``stream`` starts numpy's."""
    return int(_sequence(run_key, name, epoch).generate_state(1, np.uint64)[0]) >> 1


@final
class BoundaryRandomness:
    """The streams of one boundary, for policies. A stream goes on where it was left until the boundary is over."""

    def __init__(self, run_key: int, epoch: int) -> None:
        self._run_key = run_key
        self._epoch = epoch
        self._streams: dict[str, np.random.Generator] = {}

    def generator(self, stream: str) -> np.random.Generator:
        """The stream ``stream`` of this run key and epoch. Asking twice continues it."""
        if stream not in self._streams:
            self._streams[stream] = np.random.Generator(np.random.PCG64(_sequence(self._run_key, stream, self._epoch)))
        return self._streams[stream]

    def drawn(self, stream: str, count: int) -> Draw:
        """A record that ``count`` numbers were taken from ``stream``. Raises ValueError if nobody asked for it."""
        if stream not in self._streams:
            raise ValueError(
                f"{count} draws from {stream!r} are claimed, a stream that nobody asked for at this boundary"
            )
        return Draw(stream=stream, count=count)
