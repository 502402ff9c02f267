"""A blend under way changes its strategy when the network's condition does. Source: Kasmina v0.1a §6, Tamiyo v0.1a §3.4."""

from __future__ import annotations

from collections.abc import Iterator

from domain.commands import ChangeGrafting, Decision, GraftingStrategy
from domain.header import Rule
from domain.lifecycle import Stage
from domain.run import RunState
from domain.seed import Adaptation, Seed
from domain.tamiyo.grafting_choice import delicacy, layer_report, turned
from domain.tamiyo.policy import Observation


def as_the_network_turns(observation: Observation) -> Iterator[Decision]:
    """Orders for seeds in GRAFTING that should be blended in otherwise, by seed; none before rule R10.

    A seed whose blend is full is left to its gate. What a blueprint asks for stays: one that is risky or delicate keeps
    its caution, and a certified one its certificate's strategy, unless the network is alarming.
    """
    state = observation.state
    if Rule.GRAFTING_REVIEWED not in state.started.rules:
        return
    judged: dict[tuple[int, GraftingStrategy], tuple[GraftingStrategy, str] | None] = {}
    for seed in map(state.seed, state.active):
        adaptation = seed.adaptation
        if seed.stage is not Stage.GRAFTING or adaptation is None or adaptation.alpha >= 1.0:
            continue
        case = seed.seed_id.layer, adaptation.grafting
        if case not in judged:  # the same for every seed of a layer, and dear in a layer of many
            judged[case] = turned(adaptation.grafting, state.recent, layer_report(observation, seed.seed_id.layer))
        found = judged[case]
        if found is None or (found[0] is GraftingStrategy.FIXED_RAMP and _asked_for(seed, adaptation, state)):
            continue
        target, why = found
        reason = f"seed {seed.seed_id} goes from {adaptation.grafting.value} to {target.value}: {why}"
        yield Decision(command=ChangeGrafting(seed=seed.seed_id, grafting=target), reason=reason)


def _asked_for(seed: Seed, adaptation: Adaptation, state: RunState) -> bool:
    """Whether the blueprint itself asks for the strategy that it is blended in by."""
    record = state.library.record(adaptation.blueprint_id)
    certified = (
        record.certificate is not None and record.certificate.recommended_grafting_strategy is adaptation.grafting
    )
    return certified or record.metadata.risky or delicacy(record, seed.seed_id, state) is not None
