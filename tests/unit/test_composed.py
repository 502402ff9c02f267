from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.observations import header, histories, metrics, observe, planted, report, run

from domain.commands import Decision, Germinate, GraftingStrategy, RollBack
from domain.events import DecisionMade, DomainEvent
from domain.karn.no_invention import NoInvention
from domain.run import RunState
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.as_implemented import AsImplemented
from domain.tamiyo.composed import Composed
from domain.tamiyo.policy import NoMemory, Observation, TamiyoPolicy
from engine.journal.journal import Journal
from engine.randomness import BoundaryRandomness
from engine.watching import watch
from scenarios.experiments.golden import OLD

IMPLEMENTED = Composed(trigger="health", gates="simplified", blueprints="selector", grafting="fixed")
WHOLE = {"as_designed": Composed(), "as_implemented": IMPLEMENTED}
SOME = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def decided(policy: TamiyoPolicy, history: list[Observation]) -> Iterator[tuple[Decision, ...]]:
    memory: Any = policy.initial()
    for observation in history:
        step = policy.step(observation, memory, BoundaryRandomness(7, observation.epoch))
        memory = step.memory
        yield step.decisions


@SOME
@given(data=st.data())
def test_the_designs_parts_make_the_design(data: st.DataObject) -> None:
    history = data.draw(histories(AsDesigned()))

    assert list(decided(Composed(), history)) == list(decided(AsDesigned(), history))


@SOME
@given(data=st.data())
def test_the_implementations_parts_make_the_implementation(data: st.DataObject) -> None:
    history = data.draw(histories(AsImplemented()))

    assert list(decided(IMPLEMENTED, history)) == list(decided(AsImplemented(), history))


RECORDED = [(file, name) for file in sorted(OLD[0].glob("*.jsonl")) for name in WHOLE if file.stem.endswith(name)]


@pytest.mark.parametrize(("file", "tamiyo"), RECORDED, ids=lambda part: getattr(part, "stem", part))
def test_a_composed_policy_decides_every_golden_run_again_reasons_included(
    file: Path, tamiyo: str, tmp_path: Path
) -> None:
    with Journal.open(f"sqlite:///{tmp_path}/journal.db") as journal:
        from engine.journal.archive import import_run

        events = journal.events(import_run(file, journal))

    boundaries = watch(events, WHOLE[tamiyo], NoInvention()).boundaries

    assert any(isinstance(each.command, Germinate) for boundary in boundaries for each in boundary.chosen)
    for boundary in boundaries:
        bare = [_bare(decision) for decision in boundary.recorded]
        assert [_bare(decision) for decision in boundary.chosen] == bare, f"epoch {boundary.epoch}"


def _bare(decision: Decision) -> Decision:
    """Without what the session fills in."""
    return decision.model_copy(update={"legal": None, "odds": ()})


def germinations(policy: TamiyoPolicy, accuracy: float = 0.6) -> list[Decision]:
    """What the policy germinates in a run that stands still and whose second seeds are unwell."""

    def unwell(state: RunState) -> Any:
        return tuple(report(layer.layer, [1.0, 0.01], dead=[0.0, 1.0]) for layer in state.started.layout)

    events, _ = run(policy, header(), lambda epoch, state: metrics(accuracy), unwell, epochs=8)
    made = (event.decision for event in events if isinstance(event, DecisionMade))
    return [decision for decision in made if isinstance(decision.command, Germinate)]


def test_each_factor_changes_its_own_part_of_a_germination() -> None:
    (design,) = germinations(Composed())
    (selected,) = germinations(Composed(blueprints="selector"))
    (fixed,) = germinations(Composed(grafting="fixed"))

    assert isinstance(design.command, Germinate) and isinstance(selected.command, Germinate)
    assert selected.command.seed == design.command.seed
    assert ", which scores " in selected.reason and "for PERFORMANCE" in design.reason
    assert selected.reason.split(" with ")[0] == design.reason.split("; ")[0]
    assert isinstance(fixed.command, Germinate)
    assert fixed.command.grafting is GraftingStrategy.FIXED_RAMP
    assert fixed.reason == design.reason.rpartition("; ")[0]


def test_the_health_trigger_germinates_before_any_plateau_and_with_the_strategys_blueprint() -> None:
    found = germinations(Composed(trigger="health"))

    assert found[0].reason.startswith("layer 0 reports health 0.106 under 0.7: add seed 0.1; ")
    assert "for PERFORMANCE; " in found[0].reason
    assert found[0].confidence == 0.8


def test_the_emergency_goes_with_the_plateau() -> None:
    def script(epoch: int, state: RunState) -> Any:
        blended = any(seed.adaptation and seed.adaptation.alpha for seed in state.seeds.values())
        return metrics(0.1, 9.0) if blended else metrics(0.6)

    def rollbacks(policy: TamiyoPolicy) -> list[DomainEvent]:
        events, _ = run(policy, header(), script, epochs=20)
        return [e for e in events if isinstance(e, DecisionMade) and isinstance(e.decision.command, RollBack)]

    assert rollbacks(Composed(blueprints="selector", grafting="fixed"))
    assert not rollbacks(Composed(trigger="health"))


def test_a_factor_takes_only_the_values_it_has() -> None:
    for wrong in ({"trigger": "x"}, {"gates": "x"}, {"blueprints": "x"}, {"grafting": "x"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be .* or .* but is 'x'"):
            Composed(**wrong)


def test_the_gates_are_the_lifecycle_profile() -> None:
    assert (Composed().profile, Composed(gates="simplified").profile) == ("full", "simplified")
    step = AsImplemented().step(observe(_standing()), NoMemory(), BoundaryRandomness(1, 1))
    composed = IMPLEMENTED.step(observe(_standing()), IMPLEMENTED.initial(), BoundaryRandomness(1, 1))
    assert composed.decisions == step.decisions


def _standing() -> RunState:
    from support.observations import at_epoch

    return at_epoch(planted(header().model_copy(update={"profile": "simplified"})), 1)
