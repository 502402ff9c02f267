"""Where a bus is, as an address: ``nats://127.0.0.1:4222``, or ``nats://user:password@host:port``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, final
from urllib.parse import urlsplit

from engine.journal.blobs import RunBlobs
from engine.oona.bus import Bus

PATIENCE_SECONDS: Final = 30.0
"""How long a server may be away before it is given up."""

_SCHEME: Final = "nats"
_PORT: Final = 4222


@final
class UnknownBus(ValueError):
    """An address that no bus answers to, or one that needs a library that is not installed."""


def open_bus(
    url: str,
    blobs: RunBlobs,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.time,  # of the transport: no message's content depends on it
) -> Bus:
    """Meet the bus at ``url``; bodies too large to travel go through ``blobs``, which its consumers must share.

    Publishing and connecting are tried again for ``patience_seconds``. Raises UnknownBus, BusUnavailable.
    """
    name = _checked(url)
    try:
        from engine.oona.connection import Connection
        from engine.oona.jetstream import JetStreamBus
    except ImportError as error:
        raise UnknownBus("a bus across processes needs nats-py: pip install 'regrow[oona]'") from error
    return JetStreamBus(Connection(url, name, patience_seconds=patience_seconds), blobs, clock=clock)


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
