"""Dynamics made by hand, so that what a blueprint is worth is known exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from domain.events import DomainEvent
from domain.header import RunHeader
from domain.health import METRICS
from domain.karn.no_invention import NoInvention
from domain.tamiyo.policy import TamiyoPolicy
from domain.urza.catalogue import INITIAL
from engine.randomness import stream
from engine.session import EpochView, Session
from engine.sink import Tape
from engine.trainers.simulated.dynamics import (
    BLOCK,
    UNKNOWN,
    Curve,
    Dynamics,
    Kappa,
    KeyEffect,
    KindMultipliers,
    LayerHealth,
    Member,
    Residual,
)
from engine.trainers.simulated.trainer import SimulatedTrainer, kind_of
from engine.trainers.stores import CheckpointStore
from scenarios import composition

NO_OP = "no_op/CHUNK"
ESSENTIAL = "residual_mlp/BOTH"
USUAL = {NO_OP: 0.0, ESSENTIAL: 3.0}
"""A blueprint that does nothing at all, and one that leaves a twentieth of the headroom."""


def planted(
    kappas: Mapping[str, float] = USUAL,
    *,
    others: float = 1.0,
    noise: float = 0.02,
    still_host: bool = False,
    luck: Sequence[float] = (1.0,),
    keys: Sequence[KeyEffect] = (),
    members: int = 1,
) -> Dynamics:
    """Dynamics with these kappas by kind (name/READS), ``others`` for every other blueprint.

    ``noise`` is the standard deviation of residuals in units of the noise scale. With ``still_host`` the host is at its
    level from the start, so that freezing it in a trial costs nothing: a kappa of 0 has then no effect at all.
    """
    kinds = [kind_of(metadata.name, metadata.default_reads) for _, metadata in INITIAL]
    values = {**dict.fromkeys(kinds, others), **kappas}
    level = 0.4
    member = Member(
        ceiling=0.98,
        start=0.98 / (1 + math.exp(-level)) if still_host else 0.5,
        level=level,
        fast_share=0.8,
        fast_rate=0.25,
        slow_rate=0.03,
        trial_rate=0.5,
        free_rate=0.2,
        free_factor=1.0,
        kappas=tuple(Kappa(kind=kind, value=value) for kind, value in sorted(values.items())),
        keys=tuple(keys),
    )
    steps = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
    falling = Curve(accuracies=steps, values=tuple(math.log(1.02 - step) for step in steps))
    return Dynamics(
        scenario="spirals",
        task="spirals",
        hidden=(8,),
        epochs=100,
        members=(member,) * members,
        multipliers=(KindMultipliers(kind=UNKNOWN, multipliers=tuple(luck)),),
        residuals=_blocks(noise) if noise else (),
        loss=falling,
        train_loss=falling,
        train_gap=Curve(accuracies=(0.5,), values=(0.0,)),
        host_parameters=100,
        health=(LayerHealth(layer=0, rows=_rows()),),
    )


def _blocks(noise: float) -> tuple[tuple[Residual, ...], ...]:
    drawn = noise * stream(1, "test/planted-noise").normal(size=(24, BLOCK, 4))
    names = ("accuracy", "loss", "train_accuracy", "train_loss")
    return tuple(
        tuple(Residual(**dict(zip(names, row, strict=True))) for row in block) for block in drawn.round(5).tolist()
    )


def _rows() -> tuple[tuple[float, ...], ...]:
    drawn = stream(1, "test/planted-health").random((16, len(METRICS)))
    return tuple(tuple(row) for row in drawn.round(4).tolist())


def simulated(
    dynamics: Dynamics,
    header: RunHeader,
    tamiyo: TamiyoPolicy,
    *,
    store: CheckpointStore | None = None,
    views: list[EpochView] | None = None,
) -> list[DomainEvent]:
    """The events of a simulated run."""
    told = Tape()
    watch = views.append if views is not None else lambda view: None
    session = Session(SimulatedTrainer(dynamics, store), tamiyo, NoInvention(), told, watch=watch)
    session.run(header, composition.first_library())
    return told.events
