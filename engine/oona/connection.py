"""A connection to a NATS server that is kept for ever: a thread of its own drives it, callers wait for answers.

Raises BusUnavailable where the server does not answer within the patience given. nats-py is imported here and in ``jetstream.py`` only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar, final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from engine.oona.bus import BusUnavailable
from engine.oona.subjects import DEAD_LETTERS, EVERYTHING

STREAM: Final = "OONA"
DEAD_STREAM: Final = "OONA_DEAD_LETTERS"

_DAY: Final = 86400.0
_DEAD_LETTERS_MAX: Final = 10_000
_RECONNECT_SECONDS: Final = 0.1
_ATTEMPT_SECONDS: Final = 1.0
"""How long one attempt may take before it is made again: sending twice stores once."""
_PAUSE_SECONDS: Final = (0.02, 1.0)
"""Between two attempts: the first pause, which doubles, and the longest."""
_SERVER_MIN: Final = (2, 11)
"""The first that forgets single messages by their age."""

STREAMS: Final = (
    # All topics in one stream: whoever consumes several must meet their messages in the order of publishing. How long
    # a topic is kept goes with each message.
    StreamConfig(
        name=STREAM,
        subjects=list(EVERYTHING),
        storage=StorageType.FILE,
        duplicate_window=_DAY / 24,
        allow_msg_ttl=True,
        allow_direct=True,
    ),
    StreamConfig(
        name=DEAD_STREAM,
        subjects=[DEAD_LETTERS],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_msgs=_DEAD_LETTERS_MAX,
        max_age=30 * _DAY,
        allow_direct=True,
    ),
)

TROUBLE: Final = (nats.errors.Error, OSError)
"""What a server that is away, starting or stopping is known by; TimeoutError is among them."""

_T = TypeVar("_T")


@final
class Connection:
    """One server, connected or being reconnected to."""

    def __init__(self, url: str, name: str, *, patience_seconds: float) -> None:
        """Raises BusUnavailable if no server answers within the patience, or one that cannot serve."""
        self.name = name
        """The address without a password."""
        self.client = Client()
        self.patience_seconds = patience_seconds
        self._url = url
        self._trouble = "it is silent"
        self._lost_at: float | None = None
        self._started = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._drive()), name="oona", daemon=True)
        self._thread.start()
        self._started.wait()
        try:
            self.call(self._open())
        except BaseException:
            self.close()
            raise

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Have ``work`` done by the connection's thread and wait for it. Raises BusUnavailable if it was left."""
        if self._is_closed:
            work.close()
            raise BusUnavailable(f"the bus at {self.name} was left; open it again")
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return done.result()
        except BaseException:
            done.cancel()
            raise

    def now(self) -> float:
        """Seconds of the connection's own clock, for deadlines."""
        return self._loop.time()

    def close(self) -> None:
        """Send what is still to be sent and leave."""
        if not self._is_closed:
            self._is_closed = True
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    async def publish(
        self, subject: str, content: bytes, headers: dict[str, str], *, ttl: int | None, clock: Callable[[], float]
    ) -> float:
        """Send until the server says that it is stored. Returns the seconds that the attempt which did took."""
        deadline, pause = self.now() + self.patience_seconds, _PAUSE_SECONDS[0]
        while (left := deadline - self.now()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._connected.wait(), left)
            began = clock()
            try:
                await self.client.jetstream().publish(
                    subject, content, timeout=min(_ATTEMPT_SECONDS, left), headers=dict(headers), msg_ttl=ttl
                )
            except nats.js.errors.BadRequestError as error:
                raise BusUnavailable(f"the NATS server at {self.name} refuses a message: {error}") from error
            except TROUBLE as error:
                self._trouble = _said(error)
            else:
                return clock() - began
            await self.pause(min(pause, left))
            pause = min(pause * 2, _PAUSE_SECONDS[1])
        raise self._unavailable("did not confirm a message")

    async def pause(self, seconds: float) -> None:
        """Wait, but not once the bus is left."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def is_there(self, seconds: float) -> bool:
        """Whether the server is connected, after waiting for it. Raises BusUnavailable if it is gone beyond patience."""
        if self._connected.is_set():
            return True
        left = self._patience_left()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connected.wait(), max(min(seconds, left), 0.0))
        if not self._connected.is_set() and self._patience_left() <= 0:
            raise self._unavailable("is gone and did not come back")
        return self._connected.is_set()

    def _patience_left(self) -> float:
        """Seconds until a server that is away is given up."""
        gone = 0.0 if self._lost_at is None else self.now() - self._lost_at
        return self.patience_seconds - gone

    async def _drive(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping, self._connected = asyncio.Event(), asyncio.Event()
        self._started.set()
        await self._stopping.wait()
        with suppress(*TROUBLE):
            await asyncio.wait_for(self.client.flush(), _ATTEMPT_SECONDS)
        with suppress(*TROUBLE):
            await asyncio.wait_for(self.client.close(), _ATTEMPT_SECONDS)

    async def _open(self) -> None:
        connecting = self.client.connect(
            servers=[self._url],
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            reconnected_cb=self._on_found,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type]  # floats are used as they are
        )
        try:
            await asyncio.wait_for(connecting, self.patience_seconds)
        except (*TROUBLE, ValueError) as error:
            if not isinstance(error, TimeoutError):
                self._trouble = _said(error)
            raise self._unavailable("does not answer") from error
        await self._on_found()
        version = self.client.connected_server_version
        if (version.major, version.minor) < _SERVER_MIN:
            raise BusUnavailable(f"the NATS server at {self.name} is version {version}; Oona needs 2.11 or later")
        await self._prepare()

    async def _prepare(self) -> None:
        streams = self.client.jetstream()
        try:
            for stream in STREAMS:
                try:
                    await streams.add_stream(stream)
                except nats.js.errors.BadRequestError:  # it is there, laid out by another version of ours
                    await streams.update_stream(stream)
        except nats.js.errors.ServiceUnavailableError as error:
            raise BusUnavailable(
                f"the NATS server at {self.name} has no JetStream; start it with `nats-server -js`"
            ) from error
        except TROUBLE as error:
            raise BusUnavailable(f"the NATS server at {self.name} refuses Oona's streams: {_said(error)}") from error

    async def _on_error(self, error: Exception) -> None:
        self._trouble = _said(error)

    async def _on_lost(self) -> None:
        self._connected.clear()
        self._lost_at = self.now() if self._lost_at is None else self._lost_at

    async def _on_found(self) -> None:
        self._lost_at = None
        self._connected.set()

    def _unavailable(self, what: str) -> BusUnavailable:
        return BusUnavailable(
            f"the NATS server at {self.name} {what} within {self.patience_seconds:g} s ({self._trouble}); "
            "start it with `nats-server -js` or name another address"
        )


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
