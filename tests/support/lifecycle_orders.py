"""Orders to seeds, legal or not, and what the plain model answers to them."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from domain.commands import (
    Advance,
    Cancel,
    ChangeGrafting,
    Command,
    Cull,
    Germinate,
    GraftingStrategy,
    Reads,
    Recover,
    Reset,
)
from domain.events import (
    EpochMetrics,
)
from domain.gates import GateSettings
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import Gate
from domain.seed import Seed
from domain.urza.catalogue import registrations
from tests.support import lifecycle_model as model

NAME = SeedId(layer=0, index=0)
SEEDS = (SeedId(layer=0, index=0), SeedId(layer=0, index=1), SeedId(layer=1, index=0))
NUMBERED = {event.metadata.name: event.blueprint_id for event in registrations()}
TRAINABLE = NUMBERED["residual_mlp"]
FIXED = (NUMBERED["soft_clamp"], NUMBERED["unit_rms"])
OFTEN = (TRAINABLE, NUMBERED["glu"], NUMBERED["se_gate"], NUMBERED["layer_norm"], *FIXED)
UNKNOWN = BlueprintId("f" * 64)
METRICS = EpochMetrics(train_loss=0.5, train_accuracy=0.5, validation_loss=0.5, validation_accuracy=0.5)

ages = st.sampled_from([0, 1, 2, 3, 8, 14])
shares = st.sampled_from([0.0, 0.5, 0.79, 0.8, 0.95, 1.0, math.nan])
strategies = st.sampled_from(list(GraftingStrategy))
seed_names = st.sampled_from(SEEDS)
accuracies = st.sampled_from([0.0, 0.25, 0.5, 0.5, 0.52, 0.55, 0.75, 1.0, math.nan]) | st.floats(0.0, 1.0)


MACHINE = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def expected(
    mine: model.Seed, command: Command, epoch: int, profile: str, facts: model.Facts, gates: GateSettings
) -> model.Seed | None:
    """The model's answer to a command."""
    match command:
        case Germinate():
            return model.germinate(mine, epoch, profile, facts, command.grafting.value)
        case Advance():
            return model.advance(mine, command.gate.value, epoch, profile, facts, gates)
        case Cull():
            return model.cull(mine, epoch, profile, facts, gates)
        case Cancel():
            return model.cancel(mine, profile)
        case Recover():
            return model.recover(mine, epoch, gates)
        case Reset():
            return model.reset(mine, profile)
        case ChangeGrafting():
            return model.change_ramp(mine, command.grafting.value, profile)
        case _:
            raise AssertionError(command)


def assert_agree(seed: Seed, mine: model.Seed) -> None:
    """Aggregate and model tell the same of a seed."""
    adaptation = seed.adaptation
    assert seed.stage.value == mine["stage"]
    assert (seed.attempts, seed.embargoed_until, seed.locked) == (mine["attempts"], mine["embargo"], mine["locked"])
    assert seed.faults == mine["faults"]
    assert (None if adaptation is None else adaptation.alpha) == mine["alpha"]
    assert (None if adaptation is None else adaptation.grafting.value) == mine["ramp"]


@st.composite
def seed_commands(draw: st.DrawFn, names: st.SearchStrategy[SeedId]) -> Command:
    """Any command to a seed, legal or not."""
    name = draw(names)
    kind = draw(st.sampled_from(["germinate", "advance", "advance", "advance", "end", "ramp"]))
    if kind == "germinate":
        return Germinate(
            seed=name,
            blueprint_id=draw(st.sampled_from([*OFTEN, UNKNOWN])),
            reads=Reads.BOTH,
            grafting=draw(strategies),
        )
    if kind == "advance":
        return Advance(seed=name, gate=draw(st.sampled_from(list(Gate))))
    if kind == "ramp":
        return ChangeGrafting(seed=name, grafting=draw(strategies))
    endings: list[Command] = [Cull(seed=name), Cancel(seed=name), Recover(seed=name), Reset(seed=name)]
    return draw(st.sampled_from(endings))
