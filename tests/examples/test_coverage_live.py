"""What the design asks for, in live runs: each strategy, each bandit, the shield, the checks, Karn's loop, correlations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import pytest

from domain.commands import Germinate
from domain.events import (
    BlueprintCertified,
    BlueprintProposed,
    BlueprintRegistered,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    FieldReportFiled,
    SeedGerminated,
)
from domain.tamiyo.always_grow import AlwaysGrow
from domain.tamiyo.bandit_settings import SeedSelection
from domain.tamiyo.config import SELECTABLE
from domain.tamiyo.policy import NoMemory, Observation, Randomness, Step
from scenarios.experiments.golden import HASTY
from scenarios.lab import Lab
from scenarios.runs.analysing import analysed

BRIEF = {**HASTY, "training.epochs": 12}
"""Long enough to germinate once."""
BANDITS = [way.value for way in SeedSelection if way is not SeedSelection.NEED]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(f"sqlite:///{tmp_path_factory.mktemp('live')}/journal.db") as opened:
        yield opened


def recorded(lab: Lab, tamiyo: str, settings: dict[str, Any], karn: str = "no_invention") -> tuple[str, list[Any]]:
    """A live run of ``xor4`` and everything that happened in it."""
    run = lab.run("xor4", tamiyo=tamiyo, karn=karn, key=1, overrides=settings).run
    return run, list(lab.journal.events(run))


@final
class Doubtful:
    """Grows whenever it can and is never sure of it."""

    profile = "full"

    def initial(self) -> NoMemory:
        """It remembers nothing."""
        return NoMemory()

    def step(self, observation: Observation, memory: NoMemory, random: Randomness) -> Step[NoMemory]:
        """What always grows, with a confidence of 0.6."""
        step = AlwaysGrow().step(observation, memory, random)
        return Step(tuple(made.model_copy(update={"confidence": 0.6}) for made in step.decisions), memory)


def of(events: list[DomainEvent], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("strategy", [strategy.value for strategy in SELECTABLE])
def test_every_strategy_grows_in_the_live_trainer_and_decides_again_the_same(lab: Lab, strategy: str) -> None:
    run, events = recorded(lab, f"as_designed?strategy={strategy}", BRIEF)
    grown = [made.decision for made in of(events, DecisionMade) if isinstance(made.decision.command, Germinate)]

    assert of(events, SeedGerminated)
    assert all(strategy in decision.reason and decision.considered for decision in grown)
    assert lab.verify(run).rung == 3


@pytest.mark.parametrize("bandit", BANDITS)
def test_every_bandit_chooses_seeds_in_the_live_trainer_and_is_replayed(lab: Lab, bandit: str) -> None:
    run, events = recorded(lab, f"as_designed?seeds={bandit}", BRIEF)

    assert len(BANDITS) == 5
    assert of(events, SeedGerminated)
    assert any(f"{bandit} takes seed" in made.decision.reason for made in of(events, DecisionMade))
    assert lab.verify(run).rung == 3


CROWDED = {
    "training.epochs": 4,
    "tamiyo_config.allow_concurrent_adaptations": True,
    "tamiyo_config.max_active_seeds": 2,
}
TWICE = {**HASTY, "training.epochs": 45}
"""Long enough to end an adaptation and to want another one."""


@pytest.mark.parametrize(
    ("rule", "tamiyo", "settings"),
    [
        ("confidence_level", "always_grow", {**CROWDED, "safety.allowed_conf_levels": []}),
        ("hardware", "always_grow", {**CROWDED, "hardware.latency_budget_ms": 1e-9}),
        ("drift_and_stability", "composed?blueprints=selector", {**TWICE, "safety.max_gradient_variance": 1e-12}),
        ("security", "always_grow", {**CROWDED, "safety.audit_logging": False}),
        ("confidence_threshold", f"{__file__}:Doubtful", CROWDED),
        ("cooldown_period", "always_grow", CROWDED),
        ("adaptation_rate", "always_grow", {**CROWDED, "safety.decision_checks.adaptations_max": 1}),
        ("system_stability", "always_grow", {**CROWDED, "safety.decision_checks.min_overall_health": 1.0}),
        ("safety_score", "composed?blueprints=selector", {**TWICE, "safety.decision_checks.min_safety_score": 1.0}),
    ],
)
def test_checks_stop_germinations_of_a_live_run_and_are_told(
    lab: Lab, rule: str, tamiyo: str, settings: dict[str, Any]
) -> None:
    _, events = recorded(lab, tamiyo, settings, karn="evolution")
    broken = {violation.rule for veto in of(events, DecisionVetoed) for violation in veto.violations}

    assert rule in broken, broken


def test_what_the_review_would_veto_each_time_is_passed_over_for_the_next_best_and_told(lab: Lab) -> None:
    _, events = recorded(
        lab, "as_designed", {**TWICE, "safety.decision_checks.min_safety_score": 1.0}, karn="evolution"
    )

    assert of(events, SeedGerminated)
    assert not of(events, DecisionVetoed)
    passed_over = [option.note for made in of(events, DecisionMade) for option in made.decision.considered]
    assert any(note.startswith("safety score") for note in passed_over)


def test_what_does_not_fit_the_declared_hardware_is_never_chosen(lab: Lab) -> None:
    _, events = recorded(lab, "as_designed", {**BRIEF, "hardware.latency_budget_ms": 1e-9})

    assert not of(events, SeedGerminated)
    weighed = [option for made in of(events, DecisionMade) for option in made.decision.considered]
    assert weighed and any("budget" in option.note for option in weighed)


def test_what_karn_makes_of_a_field_report_is_certified_and_grown_in_the_same_run(lab: Lab) -> None:
    run, events = recorded(lab, "as_designed", {**HASTY, "training.epochs": 45}, karn="evolution")
    (report,) = of(events, FieldReportFiled)
    (proposed,) = of(events, BlueprintProposed)
    (certified,) = of(events, BlueprintCertified)
    grown = of(events, SeedGerminated)[-1]

    assert report.epoch == proposed.epoch == certified.epoch < grown.epoch
    assert proposed.parent_id in {event.blueprint_id for event in of(events, BlueprintRegistered)}
    assert proposed.blueprint_id == certified.blueprint_id == grown.blueprint_id
    assert certified.certificate.passed
    assert lab.verify(run, retrain=True).rung == 4


def test_decisions_of_live_runs_are_correlated_with_what_came_of_them(lab: Lab) -> None:
    settings = {
        "training.epochs": 60,
        "host.hidden": [8],
        "host.seeds_per_layer": 4,
        "tamiyo_config.allow_concurrent_adaptations": True,
        "tamiyo_config.max_active_seeds": 4,
        "tamiyo_config.max_consecutive_failures": 99,
        "safety.max_consecutive_failures": 99,
    }
    runs = [
        lab.run("xor4", tamiyo="random_growth?probability=0.6", key=key, overrides=settings).run for key in range(3)
    ]
    found = analysed(lab, runs)

    assert len(found.rewards) >= 10
    assert found.correlations and all(pair.p_value < 0.05 for pair in found.correlations)
