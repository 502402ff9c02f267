"""What the rows say, against the state that the same events rebuild and against the events themselves."""

from __future__ import annotations

import json
import math
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np
import polars
import pytest

from domain.commands import Considered, Decision, Wait
from domain.events import (
    AdaptationConcluded,
    CommandRefused,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    EpochCompleted,
    EpochSealed,
    FieldReportFiled,
    LayerHealthReported,
    RunForked,
    RunStarted,
    StageChanged,
)
from domain.health import METRICS, HealthWeights, LayerHealthReport, SeedProgress, need
from domain.identifiers import SeedId
from domain.lifecycle import Outcome
from domain.reward.shaped import shaped_reward
from domain.run import rebuild
from domain.safety import Violation
from domain.values import Column
from projections.read_models import ReadModels
from tests.support.chaotic_runs import chaotic_run
from tests.support.golden_events import golden_runs


@lru_cache(maxsize=1)
def histories() -> dict[str, tuple[DomainEvent, ...]]:
    chaotic = {f"chaotic-{key}": chaotic_run(key, mischief=0.2) for key in range(4)}
    return golden_runs() | chaotic | {"simplified": chaotic_run(9, profile="simplified")}


RUNS = sorted(histories())


def frame(name: str, run: str, events: tuple[DomainEvent, ...]) -> polars.DataFrame:
    models = ReadModels([name])
    models.extend(run, 0, events)
    return models.frame(name)


def rows(name: str, run: str) -> list[dict[str, Any]]:
    return frame(name, run, histories()[run]).to_dicts()


def of(run: str, *kinds: type[Any]) -> list[tuple[int, Any]]:
    """Events of these kinds with their positions."""
    return [(place, event) for place, event in enumerate(histories()[run], start=1) if isinstance(event, kinds)]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_a_run_is_the_state_that_its_events_rebuild(run: str, share: float) -> None:
    events = histories()[run][: int(share * len(histories()[run]))]
    state = rebuild(events)
    (row,) = frame("runs", run, events).to_dicts()
    outcomes = [event.outcome for event in events if isinstance(event, AdaptationConcluded)]

    assert (row["epochs"], row["parameters"] or 0) == (state.epoch, state.parameters)
    assert (row["best_accuracy"], row["rollbacks"]) == (state.best_accuracy, state.rollbacks)
    assert row["ending"] == (state.ending.value if state.ending else "OPEN")
    assert {outcome: row[outcome.value.lower()] for outcome in Outcome} == {o: outcomes.count(o) for o in Outcome}
    assert (row["tamiyo"], row["run_key"]) == (state.started.tamiyo.name, state.started.run_key)
    assert row["blueprints"] == len(state.library)
    assert row["vetoed"] == sum(isinstance(event, DecisionVetoed) for event in events)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 1.0])
def test_the_open_adaptations_are_those_of_the_rebuilt_state(run: str, share: float) -> None:
    events = histories()[run][: int(share * len(histories()[run]))]
    state = rebuild(events)
    found = frame("adaptations", run, events).to_dicts()
    open_ = {SeedId(layer=row["layer"], index=row["seed"]): row for row in found if row["outcome"] is None}
    expected = {name: seed for name, seed in state.seeds.items() if seed.adaptation and not seed.adaptation.outcome}

    assert set(open_) == set(expected)
    assert sum(row["outcome"] is not None for row in found) == state.conclusions
    for name, seed in expected.items():
        row, adaptation = open_[name], seed.adaptation
        assert adaptation is not None
        assert (row["stage"], row["since"], row["attempt"]) == (seed.stage.value, seed.since, adaptation.attempt)
        assert (row["alpha"], row["blueprint_id"]) == (adaptation.alpha, adaptation.blueprint_id)
        assert (row["grafting"], row["germinated_at"]) == (adaptation.grafting.value, adaptation.germinated_at)
        assert np.array_equal(row["baseline"] or 0, adaptation.baseline_accuracy or 0, equal_nan=True)
        assert row["blueprint"] == state.library.record(adaptation.blueprint_id).name


@pytest.mark.parametrize("run", sorted(golden_runs()))
def test_what_is_grafted_is_what_the_network_is_larger_by(run: str) -> None:
    found = rows("adaptations", run)
    kept = [row for row in found if row["outcome"] == "FOSSILIZED" or (row["outcome"] is None and " " in row["stages"])]
    (whole,) = rows("runs", run)

    assert whole["parameters"] - whole["parameters_first"] == sum(row["parameters"] for row in kept)
    for row in found:
        assert row["stages"].split()[-1] == row["stage"]
        if row["outcome"] is None:
            assert row["gain"] is None
            continue
        before = row["accuracy_before"] if row["baseline"] is None else row["baseline"]
        assert row["gain"] == row["accuracy_after"] - before


@pytest.mark.parametrize("run", RUNS)
def test_every_sealed_epoch_has_a_row_that_counts_what_happened_in_it(run: str) -> None:
    found = rows("epochs", run)
    seals = of(run, EpochSealed)
    completed = {event.epoch: event for _, event in of(run, EpochCompleted)}
    decided = Counter(event.epoch for _, event in of(run, DecisionMade))

    assert [(row["position"], row["epoch"]) for row in found] == [(place, seal.epoch) for place, seal in seals]
    assert sum(row["events"] for row in found) == len(histories()[run])
    assert [row["decisions"] for row in found] == [decided[row["epoch"]] for row in found]
    for row in found:
        metrics = completed[row["epoch"]].metrics if row["epoch"] in completed else None
        expected = None if metrics is None else metrics.validation_accuracy
        assert row["validation_accuracy"] == expected or math.isnan(row["validation_accuracy"])


@pytest.mark.parametrize("run", RUNS)
def test_a_decision_has_the_verdict_that_was_passed_on_it(run: str) -> None:
    found = {(row["epoch"], row["number"]): row for row in rows("decisions", run)}
    vetoes = {(event.epoch, event.number): event for _, event in of(run, DecisionVetoed)}
    refusals = {(event.epoch, event.number): event for _, event in of(run, CommandRefused)}

    assert set(found) == {(event.epoch, event.number) for _, event in of(run, DecisionMade)}
    for key, row in found.items():
        if key in vetoes:
            broken = [{"rule": one.rule, "detail": one.detail} for one in vetoes[key].violations]
            assert (row["verdict"], json.loads(row["objections"])) == ("VETOED", broken)
            assert row["rules"] == " ".join(one["rule"] for one in broken)
        elif key in refusals:
            assert (row["verdict"], row["rules"]) == ("REFUSED", refusals[key].rule)
        else:
            assert (row["verdict"], row["rules"], row["objections"]) == ("CARRIED_OUT", None, None)


def test_the_options_of_a_decision_are_valid_json_even_where_a_score_is_no_number() -> None:
    considered = (Considered(option="0.1", score=math.nan, note="no"), Considered(option="é", score=0.5))
    made = DecisionMade(epoch=3, number=0, decision=Decision(command=Wait(), reason="why", considered=considered))
    (row,) = frame("decisions", "run", (made,)).to_dicts()

    assert row["options"] == 2
    assert json.loads(row["considered"], parse_constant=pytest.fail) == [
        {"option": "0.1", "score": "NaN", "note": "no"},
        {"option": "é", "score": 0.5, "note": ""},
    ]


def test_a_veto_of_another_epoch_is_not_this_decisions() -> None:
    made = DecisionMade(epoch=3, number=0, decision=Decision(command=Wait(), reason="why"))
    veto = DecisionVetoed(epoch=4, number=0, violations=(Violation(rule="r", detail="d"),))

    assert frame("decisions", "run", (made, veto))["verdict"].to_list() == ["CARRIED_OUT"]


@pytest.mark.parametrize("run", RUNS)
def test_a_blueprint_has_the_statistics_of_the_rebuilt_library(run: str) -> None:
    library = rebuild(histories()[run]).library
    found = rows("blueprints", run)

    assert [row["number"] for row in found] == list(range(1, len(library) + 1))
    for row in found:
        record = library.records[row["blueprint_id"]]
        folded = record.statistics
        for name in ("uses", "fossilized", "culled", "rolled_back", "measured", "mean_gain", "tamiyo_interest"):
            assert row[name] == getattr(folded, name), name
        assert (row["level"], row["offered"]) == (record.level.value, record.is_offered)
        assert np.array_equal(row["success_rate"], folded.success_rate, equal_nan=True)


@pytest.mark.parametrize("run", RUNS)
def test_every_field_report_is_a_row(run: str) -> None:
    filed = [(place, event.report) for place, event in of(run, FieldReportFiled)]

    found = rows("field_reports", run)

    assert [row["position"] for row in found] == [place for place, _ in filed]
    for row, (_, report) in zip(found, filed, strict=True):
        assert (row["adaptation"], row["outcome"]) == (str(report.adaptation), report.outcome.value)
        assert np.array_equal(row["gain"], report.post_metric - report.pre_metric, equal_nan=True)


@pytest.mark.parametrize("run", RUNS)
def test_the_reward_is_made_of_what_was_measured_at_both_ends(run: str) -> None:
    found = rows("rewards", run)
    concluded = of(run, AdaptationConcluded)

    assert [row["position"] for row in found] == [place for place, _ in concluded]
    for row, (place, event) in zip(found, concluded, strict=True):
        state = rebuild(histories()[run][:place])
        weights = state.started.tamiyo_config.health_weights
        reports = [told.report for told in histories()[run][:place] if isinstance(told, LayerHealthReported)]
        latest = [report for report in reports if report.layer == row["layer"]][-1]
        expected = shaped_reward(
            event.outcome,
            health_improvement=row["health_improvement"],
            latency_increase=row["latency_increase"],
            growth_ratio=row["parameter_growth_ratio"],
        )
        assert row["health_after"] == 1.0 - need(latest, weights)[row["seed"]]
        assert row["parameters_after"] == state.parameters
        assert row["reward"] == expected


@pytest.mark.parametrize("run", RUNS)
def test_the_timeline_of_the_seeds_holds_every_move_with_its_attempt(run: str) -> None:
    found = rows("seed_timeline", run)
    moves = [(place, event.source.value, event.target.value) for place, event in of(run, StageChanged)]

    assert [(row["position"], row["source"], row["target"]) for row in found if row["kind"] == "stage"] == moves
    attempts: dict[tuple[int, int], int] = {}
    for row in found:
        seed = (row["layer"], row["seed"])
        if row["kind"] == "germinated":
            attempts[seed] = attempts.get(seed, 0) + 1
        assert row["attempt"] == attempts.get(seed)


def random_report(random: np.random.Generator, layer: int, seeds: int) -> LayerHealthReport:
    columns: dict[str, Any] = {}
    for name in METRICS:
        values = random.random(seeds)
        values[random.random(seeds) < 0.2] = random.choice([np.nan, np.inf, 0.0, -0.0])
        columns[name] = Column(values)
    errors = tuple(int(count) for count in random.integers(0, 3, seeds)) if random.random() < 0.5 else ()
    carried = () if seeds == 0 else (SeedProgress(index=seeds - 1, gradient_norm=float(random.random())),)
    return LayerHealthReport(layer=layer, **columns, error_counts=errors, progress=carried)


def test_the_health_of_many_layers_is_that_of_each_to_the_last_bit() -> None:
    random = np.random.Generator(np.random.PCG64(3))
    reports = [random_report(random, layer, int(random.integers(0, 7))) for layer in range(60)]
    found = frame("layer_health", "run", tuple(LayerHealthReported(epoch=1, report=report) for report in reports))

    assert found.height == sum(report.seeds for report in reports)
    for place, report in enumerate(reports, start=1):
        mine = found.filter(polars.col("position") == place)
        assert mine["seed"].to_list() == list(range(report.seeds))
        health = 1.0 - need(report, HealthWeights()).values
        assert mine["health_score"].to_numpy().tobytes() == health.tobytes()
        for name in METRICS:
            assert Column(mine[name].to_numpy()) == getattr(report, name)
        assert mine["errors"].to_list() == list(report.error_counts or (0,) * report.seeds)
        norms = [None] * (report.seeds - 1) + [entry.gradient_norm for entry in report.progress]
        assert mine["blueprint_gradient_norm"].to_list() == norms
        assert mine["reconstruction_loss"].null_count() == report.seeds


def test_nan_was_measured_and_null_was_not() -> None:
    found = frame("layer_health", "run", (LayerHealthReported(epoch=1, report=LayerHealthReport.silent(0, 2)),))

    assert found["gradient_norm"].is_nan().to_list() == [True, True]
    assert found["blueprint_gradient_norm"].to_list() == [None, None]


def test_a_fork_is_under_the_header_that_it_was_forked_with() -> None:
    events = histories()["version-1/digits-as_designed"]
    cut = next(
        place for place, event in enumerate(events, start=1) if isinstance(event, EpochSealed) and event.epoch == 9
    )
    started = events[0]
    assert isinstance(started, RunStarted)
    header = started.header.model_copy(update={"scenario": "other", "run_key": 2**70})
    fork = RunForked(epoch=10, parent="digits", parent_digest="0" * 64, header=header)
    (row,) = frame("runs", "fork", (*events[:cut], fork)).to_dicts()

    assert (row["parent"], row["forked_at"], row["scenario"], row["run_key"]) == ("digits", 9, "other", None)
