"""Where a bus is, as an address: ``nats://127.0.0.1:4222``, or ``nats://user:password@host:port``.

``memory:`` is a bus within one process, and ``memory:?delay=0.05&duplicate=0.05`` one that does so to that many messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import parse_qsl, urlsplit

from engine.journal.blobs import RunBlobs
from engine.oona.bus import Bus
from engine.oona.faults import FaultKind, SeededFaults
from engine.oona.tuning import LimitCut

PATIENCE_SECONDS: Final = 30.0
"""How long a server may be away before it is given up."""

_SCHEME: Final = "nats"
_MEMORY: Final = "memory:"
_SHARES: Final = {
    "delay": FaultKind.DELAYED,
    "duplicate": FaultKind.DUPLICATED,
    "lose": FaultKind.LOST,
    "reorder": FaultKind.REORDERED,
}
_EPOCHS: Final = "epochs"
_SAYS: Final = (
    f"{_MEMORY} takes {', '.join(_SHARES)} (shares of messages from 0 to 1, together at most 1) and {_EPOCHS} (how many "
    f"late ones may be late by), such as {_MEMORY}?delay=0.05&duplicate=0.05"
)
_PORT: Final = 4222


@final
class UnknownBus(ValueError):
    """An address that no bus answers to, or one that needs a library that is not installed."""


@final
@dataclass(frozen=True, slots=True)
class InMemory:
    """A bus within one process, and what befalls messages on it."""

    shares: Mapping[FaultKind, float]
    epochs_max: int

    def faults(self, run_key: int) -> SeededFaults:
        """What befalls the messages of a run."""
        return SeededFaults(run_key, self.shares, epochs_max=self.epochs_max)


def in_memory(url: str) -> InMemory | None:
    """What a ``memory:`` address means; None for any other. Raises UnknownBus for one that is wrong."""
    if not url.startswith(_MEMORY):
        return None
    options = url.removeprefix(_MEMORY)
    try:
        if options and not options.startswith("?"):
            raise ValueError(options)
        given = parse_qsl(options[1:], keep_blank_values=True, strict_parsing=len(options) > 1)
        values = dict(given)
        epochs_max = int(values.pop(_EPOCHS, "0"))
        shares = {_SHARES[name]: float(text) for name, text in values.items()}
        if len(given) != len(dict(given)) or epochs_max < 0 or not all(0 <= share <= 1 for share in shares.values()):
            raise ValueError(options)
    except (KeyError, ValueError):
        raise UnknownBus(f"no bus answers to {url!r}; {_SAYS}") from None
    if sum(shares.values()) > 1:
        raise UnknownBus(f"no bus answers to {url!r}; {_SAYS}")
    return InMemory(shares, epochs_max)


def open_bus(
    url: str,
    blobs: RunBlobs,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    slow: Callable[[LimitCut], None] = lambda cut: None,
    clock: Callable[[], float] = time.time,  # of the transport: no message's content depends on it
) -> Bus:
    """Meet the bus at ``url``; bodies too large to travel go through ``blobs``, which its consumers must share.

    Publishing and connecting are tried again for ``patience_seconds``; ``slow`` is told when the bus is slow. Raises UnknownBus, BusUnavailable.
    """
    if url.startswith(_MEMORY):
        raise UnknownBus(
            f"{_MEMORY} is a bus within one `regrow run`, which nobody else can meet; use nats://host:port"
        )
    name = _checked(url)
    try:
        from engine.oona.connection import Connection
        from engine.oona.jetstream import JetStreamBus
    except ImportError as error:
        raise UnknownBus("a bus across processes needs nats-py: pip install 'regrow[oona]'") from error
    return JetStreamBus(Connection(url, name, patience_seconds=patience_seconds), blobs, clock=clock, slow=slow)


def _checked(url: str) -> str:
    """The address without a password. Raises UnknownBus."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:  # a port that is none
        host, port, parts = None, _PORT, urlsplit("")
    if parts.scheme != _SCHEME or not host or parts.path not in {"", "/"} or parts.query:
        shown = url.rpartition("@")[2] if "@" in url else url
        raise UnknownBus(f"no bus answers to {shown!r}; use nats://host:port, such as nats://127.0.0.1:4222")
    return f"{_SCHEME}://{f'[{host}]' if ':' in host else host}:{port}"
