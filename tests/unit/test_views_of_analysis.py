"""The views about rewards, performance, problems and vetoes, against the events that they are made of."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

import pytest

from domain.analysis.model_graph import ModelPast, analysis
from domain.analysis.outcomes import decision_outcomes
from domain.events import (
    AdaptationConcluded,
    AdaptationRewarded,
    DecisionVetoed,
    DomainEvent,
    EpochCompleted,
    FieldReportFiled,
    LayerHealthReported,
    RunStarted,
    SeedGerminated,
)
from domain.identifiers import SeedId
from domain.lifecycle import Outcome
from domain.reward.worth import RewardComponent
from domain.run import RunState, evolve
from domain.tamiyo.performance import Performance, performances_after, samples_of
from projections.read_models import ReadModels
from tests.support.chaotic_runs import chaotic_run
from tests.support.golden_events import golden_runs
from tests.support.rewarded_runs import rewarded_run


@lru_cache(maxsize=1)
def histories() -> dict[str, tuple[DomainEvent, ...]]:
    chaotic = {f"chaotic-{key}": chaotic_run(key, epochs=40, mischief=0.2) for key in range(3)}
    return chaotic | {"digits-as_designed": golden_runs()["version-1/digits-as_designed"]}


RUNS = sorted(histories())


def rows(name: str, events: tuple[DomainEvent, ...]) -> list[dict[str, Any]]:
    models = ReadModels([name])
    models.extend("run", 0, events)
    return models.frame(name).to_dicts()


def of(run: str, kind: type[Any]) -> list[Any]:
    return [event for event in histories()[run] if isinstance(event, kind)]


@pytest.mark.parametrize("run", RUNS)
def test_a_reward_is_a_row_with_the_decision_that_it_is_for(run: str) -> None:
    found = rows("adaptation_rewards", histories()[run])
    decided = decision_outcomes(histories()[run])

    assert [row["adaptation"] for row in found] == [str(e.adaptation) for e in of(run, AdaptationRewarded)]
    for row, outcome in zip(found, decided, strict=True):
        assert {name: row[name.value.lower()] for name in RewardComponent} == outcome.components
        assert (row["total"], row["risk"], row["confidence"]) == (
            outcome.reward.total,
            outcome.reward.risk,
            outcome.confidence,
        )
        assert [row[f"{each.horizon}_impact"] for each in outcome.reward.impacts] == [
            each.impact for each in outcome.reward.impacts
        ]
        assert sum(value for name, value in row.items() if name.endswith("_weight")) == pytest.approx(1.0)


@pytest.mark.parametrize("run", RUNS)
def test_every_violated_rule_of_every_veto_is_in_the_history(run: str) -> None:
    found = rows("violation_history", histories()[run])
    vetoes = [
        (event.epoch, event.number, violation.rule, violation.detail)
        for event in of(run, DecisionVetoed)
        for violation in event.violations
    ]

    assert [(row["epoch"], row["number"], row["rule"], row["detail"]) for row in found] == vetoes
    assert all(row["blueprint_id"] and row["reason"] for row in found), "only germinations are vetoed"
    assert vetoes or not run.startswith("chaotic")


@pytest.mark.parametrize("run", RUNS)
def test_blueprints_are_counted_by_how_they_ended(run: str) -> None:
    found = {row["blueprint_id"]: row for row in rows("blueprint_performance", histories()[run])}
    planted = {event.adaptation: event.blueprint_id for event in of(run, SeedGerminated)}
    ended = Counter((planted[event.adaptation], event.outcome) for event in of(run, AdaptationConcluded))
    gains: dict[str, list[float]] = {}
    for event in of(run, FieldReportFiled):
        gains.setdefault(event.report.blueprint_id, []).append(event.report.post_metric - event.report.pre_metric)

    assert {name: row["germinations"] for name, row in found.items()} == Counter(planted.values())
    for name, row in found.items():
        assert {each: row[each.value.lower()] for each in Outcome} == {each: ended[name, each] for each in Outcome}
        real = [gain for gain in gains.get(name, []) if gain == gain]
        assert row["measured"] == len(real)
        assert row["mean_gain"] == (pytest.approx(sum(real) / len(real)) if real else None)
        assert row["best_gain"] == (max(real) if real else None)


@pytest.mark.parametrize("run", RUNS)
def test_seeds_are_counted_by_how_they_ended(run: str) -> None:
    germinated = Counter(event.adaptation.seed for event in of(run, SeedGerminated))
    ended = Counter((event.adaptation.seed, event.outcome) for event in of(run, AdaptationConcluded))
    found = {(row["layer"], row["seed"]): row for row in rows("seed_performance", histories()[run])}

    assert {(seed.layer, seed.index): count for seed, count in germinated.items()} == {
        place: row["activations"] for place, row in found.items()
    }
    for seed in germinated:
        row = found[seed.layer, seed.index]
        assert row["fossilized"] == ended[seed, Outcome.FOSSILIZED]
        assert row["failed"] == ended[seed, Outcome.CULLED] + ended[seed, Outcome.ROLLED_BACK]


@pytest.mark.parametrize("run", RUNS)
def test_a_seed_performs_as_tamiyo_sees_it_perform(run: str) -> None:
    known: dict[SeedId, Performance] = {}
    state = RunState()
    for event in histories()[run]:
        state = evolve(state, event)
        if isinstance(event, EpochCompleted):
            known = performances_after(known, ((seed.seed_id, sample) for seed, sample in samples_of(state)))
    found = {(row["layer"], row["seed"]): row for row in rows("seed_performance", histories()[run])}

    assert known
    for seed, performance in known.items():
        row = found[seed.layer, seed.index]
        assert (row["improvements"], row["setbacks"]) == (performance.improvements, performance.setbacks)
        assert (row["mean_performance"], row["performance_score"]) == (performance.mean, performance.score)
        assert (row["variance"], row["success_rate"]) == (performance.variance, performance.success_rate)
        assert row["mean_latency_ms"] >= 0


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_a_layer_is_what_the_analysis_says(run: str, share: float) -> None:
    events = histories()[run][: int(share * len(histories()[run]))]
    header = next(event.header for event in events if isinstance(event, RunStarted))
    reports = [event.report for event in events if isinstance(event, LayerHealthReported)]
    past = ModelPast()
    for report in reports:
        past = past.after([report], header.tamiyo_config.health_weights)
    expected = [
        (layer.layer, layer.trend, " ".join(each.rule for each in layer.problems))
        for layer in analysis(header, past).layers
        if past.layers.get(layer.layer)
    ]

    assert [(row["layer"], row["trend"], row["problems"]) for row in rows("model_graph", events)] == expected


def test_correlations_are_those_of_all_decisions_so_far() -> None:
    (row,) = rows("correlations", rewarded_run(30))
    (early,) = rows("correlations", rewarded_run(15))

    assert (row["feature"], row["outcome"], row["samples"]) == ("confidence", "ACCURACY", 30)
    assert row["coefficient"] > 0.9
    assert row["position"] == 90
    assert early["samples"] == 15
    assert rows("correlations", rewarded_run(9)) == []
