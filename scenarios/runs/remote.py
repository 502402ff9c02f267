"""A run whose controller is at the other end of a bus, mostly in another process: what its session is joined to.

Wall-clock time enters here and goes no deeper than ``engine/service``; what it changes in a run is recorded as data.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TextIO, final

from domain.events import DomainEvent
from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.tamiyo.policy import TamiyoPolicy
from engine.journal.journal import Journal
from engine.oona.addresses import InMemory, UnknownBus, in_memory, open_bus
from engine.oona.bus import Bus, BusUnavailable
from engine.oona.dead_letters import DeadLetter
from engine.oona.topics import Topic
from engine.outside import Outside
from engine.service.breakers import LIBRARY, LIMITS, TAMIYO
from engine.service.guards import Guards
from engine.service.library import GuardedBlobs
from engine.service.line import Line
from engine.service.log import JsonLines, Log, Silence
from engine.service.messages import order
from engine.service.one_process import BothEnds
from engine.service.outside import Surroundings
from engine.service.remote import RemoteTamiyo
from engine.service.tamiyo import TamiyoService
from scenarios import composition
from scenarios.runs.orders import GROWTH, GrowthOrder, StandingOrders
from scenarios.specification import BadInput

PATIENCE_S: Final = LIMITS[TAMIYO].call_s
"""How long a boundary waits for its decisions, unless another time is asked for."""
PROBE_S: Final = 0.2
CLAIMS: Final = "oona-claims"
"""Where a journal keeps the bodies that are too large to travel: both ends have to open the same journal for them."""


@final
@dataclass(frozen=True, slots=True)
class Remote:
    """Where the controller of a run to be is, and how long it is waited for."""

    bus: str
    patience_s: float = PATIENCE_S
    log: Path | None = None
    """Where the trainer's end logs to, if anywhere."""
    through: Callable[[Bus], Bus] = lambda bus: bus
    """What the bus is reached through: an experiment may disturb it."""


@final
@dataclass(frozen=True, slots=True)
class Ends:
    """What a session is joined to beside its trainer."""

    tamiyo: TamiyoPolicy
    outside: Outside
    announce: Callable[[DomainEvent], None]


@contextmanager
def joined(remote: Remote, journal: Journal, run_id: str, header: RunHeader, tamiyo: TamiyoPolicy) -> Iterator[Ends]:
    """The ends of a run on a bus; what was told is sent to the last word before this is left.

    Raises BadInput for a run that is to be encrypted, a bus that does not answer, or one that has a run of this name.
    """
    check_extra()
    try:
        within = in_memory(remote.bus)
    except UnknownBus as error:
        raise BadInput(f"--bus {error}") from error
    if header.safety.encryption_required and (within is None or remote.log is not None):
        keeps = "a bus keeps what it carries" if within is None else "a log keeps what it is told"
        raise BadInput(
            f"--bus {remote.bus}: safety.encryption_required is on, and {keeps} in plain text; "
            "record the run in one process, without --log"
        )
    people = StandingOrders(journal, run_id)
    with (
        logging(remote.log, process="trainer", run=run_id) as log,
        _met(remote, within, journal, run_id, header, log) as (bus, guards),
    ):
        line = Line(remote.through(bus), run_id, guards=guards, obey=partial(_obey, journal, run_id))
        far = RemoteTamiyo(tamiyo, line, guards.clock, remote.patience_s)
        yield Ends(far, Surroundings(guards.incidents, people, line.look), line.announce)
        line.close(guards.clock() + remote.patience_s)


@contextmanager
def _met(
    remote: Remote, within: InMemory | None, journal: Journal, run_id: str, header: RunHeader, log: Log
) -> Iterator[tuple[Bus, Guards]]:
    """The bus of a run, and what stands between it and the trainer's end. One in memory brings its service with it."""
    if within is not None:
        both = BothEnds(policies_as_recorded, log, within.faults(header.run_key))
        both.start_service()
        yield both, both.guards()
        both.close()
        return
    guards = _guards(log)
    with _bus(remote.bus, journal, guards, remote.patience_s) as bus:
        if _is_on(bus, run_id):  # two runs of one name would be one stream
            raise BadInput(f"--bus {remote.bus}: it has a run {run_id} already; run it again to take the next name")
        yield bus, guards


@contextmanager
def service(
    url: str, journal: Journal, log: Log, through: Callable[[Bus], Bus] = lambda bus: bus
) -> Iterator[TamiyoService]:
    """A Tamiyo service on the bus at ``url``, to be given its turns. Raises BadInput for a bus that does not answer."""
    guards = _guards(log)
    with _bus(url, journal, guards, PATIENCE_S) as bus:
        # Another name each time: what it knows it makes anew from the oldest message on.
        serving = TamiyoService(through(bus), f"tamiyo-{secrets.token_hex(4)}", policies_as_recorded, guards)
        try:
            yield serving
        finally:
            serving.close()


def send_order(url: str, journal: Journal, run_id: str, given: GrowthOrder) -> None:
    """Give an order to a run over the bus. Whoever records it obeys at a boundary to come.

    Raises BadInput for a bus that does not answer, or that has heard of no such run: the order would wait for one.
    """
    with _bus(url, journal, _guards(Silence()), PATIENCE_S) as bus:
        if not _is_on(bus, run_id):
            raise BadInput(f"--bus {url}: nobody records a run {run_id!r} there")
        bus.publish(Topic.KASMINA_COMMANDS, order(given, run_id, secrets.token_hex(8)))


def dead_letters_on(url: str, journal: Journal) -> tuple[DeadLetter, ...]:
    """What nobody on a bus could deal with and is still kept, oldest first. Raises BadInput."""
    with _bus(url, journal, _guards(Silence()), PATIENCE_S) as bus:
        try:
            return bus.dead_letters()
        except BusUnavailable as error:
            raise BadInput(f"--bus {error}") from error


def policies_as_recorded(header: RunHeader) -> tuple[TamiyoPolicy, KarnPolicy] | str:
    """The policies that a header names, or why they are not here as they are there."""
    try:
        found = composition.policies(header)
    except BadInput as missing:
        return str(missing)
    return next(iter(composition.changed_sources(header)), found)


def check_extra() -> None:
    """Raises BadInput where the libraries that both ends of a bus need are not installed."""
    try:
        import pybreaker
        import structlog
    except ImportError as error:
        raise BadInput("a bus needs nats-py, pybreaker and structlog: pip install 'regrow[oona]'") from error
    del pybreaker, structlog


def _guards(log: Log) -> Guards:
    """What stands between an end and the world, on the wall clock. Raises BadInput as ``check_extra``."""
    check_extra()
    return Guards.of(time.monotonic, time.sleep, log)


@contextmanager
def logging(path: Path | None, **bound: str) -> Iterator[Log]:
    """A log at the end of a file, or none. Raises BadInput for a file that cannot be written."""
    if path is None:
        yield Silence()
        return
    check_extra()
    try:
        file: TextIO = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise BadInput(f"--log {path}: {error.strerror}; name a file that can be written") from error
    try:
        yield JsonLines(file, **bound)
    finally:
        with suppress(OSError):  # what could not be written before cannot be written now
            file.close()


@contextmanager
def _bus(url: str, journal: Journal, guards: Guards, patience_s: float) -> Iterator[Bus]:
    blobs = GuardedBlobs(journal.blobs(CLAIMS), guards.breakers[LIBRARY])
    try:
        bus = open_bus(
            url, blobs, patience_seconds=patience_s, slow=lambda cut: guards.log.say("bus.slow", **cut.model_dump())
        )
    except (UnknownBus, BusUnavailable) as error:
        raise BadInput(f"--bus {error}") from error
    try:
        yield bus
    finally:
        bus.close()


def _is_on(bus: Bus, run_id: str) -> bool:
    """Whether a run of this name was ever heard on the bus, as far back as it keeps anything."""
    looking = bus.subscribe((Topic.EPOCHS,), f"looking-{secrets.token_hex(4)}", subject=run_id)
    try:
        return looking.next(PROBE_S) is not None
    finally:
        looking.close()


def _obey(journal: Journal, run_id: str, body: str) -> None:
    """Leave an order where the next boundary finds it. Raises ValueError for what is none."""
    journal.note(run_id, GROWTH, GrowthOrder.model_validate_json(body, strict=False).model_dump_json())
