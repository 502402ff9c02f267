"""The trainer that a header names, made for a run: what the live one needs of torch is only loaded here."""

from __future__ import annotations

from collections.abc import Mapping

from domain.header import Fingerprint, RunHeader
from engine.journal.blobs import RunBlobs
from engine.trainers.trainer import Trainer
from scenarios import composition


def fingerprint(threads: int) -> Fingerprint:
    """What the bits of a live run depend on here."""
    from engine.trainers.live.fingerprint import fingerprint as here

    return here(threads)


def live(header: RunHeader, store: RunBlobs) -> Trainer:
    """The live trainer, its checkpoints in ``store``."""
    from engine.trainers.live.tolaria import LiveTrainer

    # Loaded at the planting, by the header that the network was planted with: a fork may have another run key.
    return LiveTrainer(composition.loader(header), store)


def controllers_in(files: Mapping[str, bytes]) -> Mapping[str, str]:
    """The controllers' memory in each checkpoint, as JSON. Raises CheckpointDamaged."""
    from engine.trainers.live.checkpoints import unpack

    return {digest: unpack(content, digest).structure.controller for digest, content in files.items()}


def not_comparable(header: RunHeader) -> str | None:
    """Why this machine's bits cannot be those of a recorded run, or None."""
    here = fingerprint(header.training.threads)
    if here == header.fingerprint:
        return None
    theirs = header.fingerprint.model_dump()
    differing = [f"{name} {theirs[name]} there, {value} here" for name, value in here if theirs[name] != value]
    return "recorded under another fingerprint: " + "; ".join(differing)
