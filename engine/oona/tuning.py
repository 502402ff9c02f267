"""How large a body may be to travel itself, cut when the bus is slow. Source: the claim check's auto-tune, C1."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, final

from pydantic import Field

from domain.values import Value
from engine.oona.claims import DIRECT_BYTES_MAX

P99_MS_MAX: Final = 50.0
CUT: Final = 0.25
SAMPLES: Final = 100
"""Latencies that a verdict is taken over: the second largest of a hundred is its P99."""
DIRECT_BYTES_MIN: Final = 10_000
"""A claim check of less than this saves nothing: its envelope alone has 400 bytes."""


@final
class LimitCut(Value):
    """The bus was slow, and the direct limit was cut."""

    p99_ms: float = Field(ge=0)
    before: int
    after: int
    """Bytes."""


@final
class DirectLimit:
    """The largest body that travels itself, in bytes. For any number of threads."""

    def __init__(self, on_cut: Callable[[LimitCut], None], direct_bytes_max: int = DIRECT_BYTES_MAX) -> None:
        """``on_cut`` is told of every cut."""
        self.size = direct_bytes_max
        self._on_cut = on_cut
        self._latencies: list[float] = []
        self._judging = threading.Lock()

    def took(self, latency_ms: float) -> None:
        """Count in how long a message took; after every hundred the limit is judged."""
        with self._judging:
            self._latencies.append(latency_ms)
            if len(self._latencies) == SAMPLES:
                self._judge(sorted(self._latencies)[round(SAMPLES * 0.99) - 1])
                self._latencies.clear()

    def _judge(self, p99: float) -> None:
        after = max(round(self.size * (1 - CUT)), DIRECT_BYTES_MIN)
        if p99 > P99_MS_MAX and after < self.size:
            cut = LimitCut(p99_ms=max(p99, 0.0), before=self.size, after=after)
            self.size = after
            self._on_cut(cut)
