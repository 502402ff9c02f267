"""The trainer that a header names, made for a run: what the live one needs of torch is only loaded here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from domain.header import Fingerprint, RunHeader
from engine.journal.blobs import RunBlobs
from engine.journal.errors import BlobMissing
from engine.trainers.simulated.dynamics import DynamicsUnreadable, parse
from engine.trainers.simulated.trainer import SimulatedTrainer
from engine.trainers.trainer import Trainer
from scenarios import composition
from scenarios.runs import simulation
from scenarios.specification import BadInput

LIVE: Final = "live"
RECORDED: Final = "recorded"
SIMULATED: Final = "simulated"


def kind(header: RunHeader) -> str:
    """Live, simulated or recorded: what trains under a header."""
    return header.trainer.partition(":")[0]


def fingerprint(threads: int) -> Fingerprint:
    """What the bits of a live run depend on here."""
    from engine.trainers.live.fingerprint import fingerprint as here

    return here(threads)


def live(header: RunHeader, store: RunBlobs) -> Trainer:
    """The live trainer, its checkpoints in ``store``."""
    from engine.trainers.live.tolaria import LiveTrainer

    # Loaded at the planting, by the header that the network was planted with: a fork may have another run key.
    return LiveTrainer(composition.loader(header), store)


def share_dynamics(header: RunHeader, source: RunBlobs, target: RunBlobs) -> None:
    """Let ``target`` have the dynamics of ``header`` as well, if it has any and they are still there."""
    digest = header.trainer.partition(":")[2]
    if digest:
        with suppress(BlobMissing):
            target.put(source.get(digest))


def simulated(header: RunHeader, store: RunBlobs) -> Trainer:
    """The simulated trainer on the dynamics that are in ``store``, its checkpoints there too. Raises BadInput."""
    digest = header.trainer.partition(":")[2]
    try:
        dynamics = parse(store.get(digest), f"blob {digest[:12]}")
    except BlobMissing as error:
        raise BadInput(
            f"the dynamics {digest[:12]} that simulated the run are missing; an imported run brings none"
        ) from error
    except DynamicsUnreadable as error:
        raise BadInput(str(error)) from error
    return SimulatedTrainer(dynamics, store)


def controllers_in(files: Mapping[str, bytes]) -> Mapping[str, str]:
    """The controllers' memory in each checkpoint, as JSON. Raises CheckpointDamaged."""
    from engine.trainers.live.checkpoints import unpack

    return {digest: unpack(content, digest).structure.controller for digest, content in files.items()}


def not_comparable(header: RunHeader) -> str | None:
    """Why this machine's bits cannot be those of a recorded run, or None."""
    if kind(header) == RECORDED:
        return None
    here = fingerprint(header.training.threads) if kind(header) == LIVE else simulation.fingerprint()
    if here == header.fingerprint:
        return None
    theirs = header.fingerprint.model_dump()
    differing = [f"{name} {theirs[name]} there, {value} here" for name, value in here if theirs[name] != value]
    return "recorded under another fingerprint: " + "; ".join(differing)
