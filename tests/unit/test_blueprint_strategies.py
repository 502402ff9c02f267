from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.observations import at_epoch, header, planted

from domain.blueprint import LifecycleState
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.identifiers import SeedId
from domain.run import RunState
from domain.safety import SafetyConfig
from domain.shapes import parameter_count
from domain.tamiyo.blueprint_strategies import choose_blueprint, expected_failure, expected_gain, terms
from domain.tamiyo.config import BlueprintSelectionStrategy, RiskLevel, TamiyoConfig
from domain.tamiyo.memory import Penalty, TamiyoMemory
from domain.urza.record import BlueprintRecord

SLOT = SeedId(layer=0, index=0)
NOTHING = TamiyoMemory()


def state(config: TamiyoConfig | None = None, **changes: Any) -> RunState:
    return at_epoch(planted(header(config or TamiyoConfig()).model_copy(update=changes)), 10)


def with_record(run: RunState, name: str, **changes: Any) -> RunState:
    """The run, with fields of the named record's metadata or statistics changed."""
    record = run.library.by_name(name)
    if "statistics" in changes:
        record = replace(record, statistics=changes.pop("statistics"))
    record = replace(record, metadata=record.metadata.model_copy(update=changes))
    records = {**run.library.records, record.blueprint_id: record}
    return replace(run, library=replace(run.library, records=records))


def note(run: RunState, name: str, memory: TamiyoMemory = NOTHING) -> str:
    considered = choose_blueprint(SLOT, run, memory).considered
    return next(entry.note for entry in considered if entry.option == name)


def best(run: RunState, memory: TamiyoMemory = NOTHING) -> BlueprintRecord:
    record = choose_blueprint(SLOT, run, memory).record
    assert record is not None
    return record


def test_every_blueprint_of_the_library_is_considered_and_the_dropped_ones_say_why() -> None:
    run = with_record(
        state(),
        "glu",
        urza=planted().library.by_name("glu").metadata.urza.model_copy(update={"lifecycle": LifecycleState.ARCHIVED}),
    )

    choice = choose_blueprint(SLOT, run, NOTHING)

    assert len(choice.considered) == len(run.library)
    kept = [entry.score for entry in choice.considered if not entry.note]
    assert kept == sorted(kept, reverse=True)
    assert "archived" in note(run, "glu")
    assert choice.score == kept[0]


@pytest.mark.parametrize("strategy", ["PERFORMANCE", "STABILITY", "ACCURACY", "RISK", "SIZE"])
def test_each_strategy_chooses_the_best_by_its_own_terms(strategy: str) -> None:
    run = state(TamiyoConfig(blueprint_selection_strategy=BlueprintSelectionStrategy(strategy)))
    records = [record for record in run.library.offered() if not note(run, record.name)]
    scored = terms(records, SLOT, run)
    formula = {
        "PERFORMANCE": lambda t: (t.accuracy + t.stability + t.risk) / 3,
        "STABILITY": lambda t: t.stability,
        "ACCURACY": lambda t: t.accuracy,
        "RISK": lambda t: (t.risk + t.stability) / 2,
        "SIZE": lambda t: t.size,
    }[strategy]

    assert best(run) == max(records, key=lambda record: (formula(scored[record.blueprint_id]), -record.number))


def test_accuracy_prefers_the_largest_gain_and_size_the_fewest_parameters() -> None:
    accurate = best(state(TamiyoConfig(blueprint_selection_strategy=BlueprintSelectionStrategy.ACCURACY)))
    small = best(state(TamiyoConfig(blueprint_selection_strategy=BlueprintSelectionStrategy.SIZE)))
    gains = [expected_gain(record) for record in planted().library.offered()]

    assert expected_gain(accurate) == max(gains)
    assert parameter_count(small.graph, read=4, chunk=4) == 0


def test_risk_takes_only_blueprints_of_level_high() -> None:
    run = state(TamiyoConfig(blueprint_selection_strategy=BlueprintSelectionStrategy.RISK))

    assert best(run).level.value == "HIGH"
    assert "takes only HIGH" in note(run, "glu")


def test_risk_tolerance_and_shield_both_limit_the_levels() -> None:
    low = state(TamiyoConfig(risk_tolerance=RiskLevel.LOW))
    shielded = state(safety=SafetyConfig(allowed_conf_levels=()))

    assert best(low).level.value == "HIGH"
    assert "level MODERATE is not allowed" in note(low, "glu")
    assert choose_blueprint(SLOT, shielded, NOTHING).record is None


def test_a_risky_blueprint_needs_high_tolerance_or_leave() -> None:
    medium = TamiyoConfig(risk_tolerance=RiskLevel.MEDIUM)

    assert "is risky" in note(with_record(state(medium), "residual_mlp", risky=True), "residual_mlp")
    assert not note(with_record(state(), "residual_mlp", risky=True), "residual_mlp")
    allowed = with_record(state(medium, safety=SafetyConfig(allow_risky=True)), "residual_mlp", risky=True)
    assert not note(allowed, "residual_mlp")


def test_what_does_not_fit_the_hardware_or_the_slot_is_dropped() -> None:
    tiny = state(hardware=HardwareContext(memory_available_gb=1e-9))
    narrow = header().layout[0].model_copy(update={"outputs": 2})
    slim = state(layout=(narrow, header().layout[1]))

    assert "GB" in note(tiny, "residual_mlp")
    assert "does not fit" in note(slim, "layer_norm")


def test_hardware_is_no_filter_when_it_is_not_enforced() -> None:
    free = state(TamiyoConfig(enforce_hardware_constraints=False), hardware=HardwareContext(memory_available_gb=1e-9))

    assert not note(free, "residual_mlp")


def test_field_reports_move_gain_and_risk_away_from_the_estimates() -> None:
    record = planted().library.by_name("residual_mlp")
    failed = replace(record, statistics=replace(record.statistics, uses=4, culled=4, measured=4, mean_gain=-0.01))

    assert expected_gain(record) == record.metadata.estimates.past_accuracy_gain_estimate
    assert expected_gain(failed) == pytest.approx((2 * expected_gain(record) + 4 * -0.01) / 6)
    assert expected_failure(record) == record.metadata.urabrask.risk_score
    assert expected_failure(failed) == pytest.approx((2 * expected_failure(record) + 4) / 6)


def test_a_blueprint_that_failed_in_a_slot_is_scored_down_there_alone() -> None:
    run, record = state(), planted().library.by_name("residual_mlp")
    memory = TamiyoMemory(penalties=(Penalty(seed=SLOT, blueprint_id=record.blueprint_id, points=2.0),))

    assert best(run).name == "residual_mlp"
    assert best(run, memory).name != "residual_mlp"
    elsewhere = choose_blueprint(SeedId(layer=1, index=0), run, memory).record
    assert elsewhere is not None
    assert elsewhere.name == "residual_mlp"


def test_a_blueprint_that_failed_again_and_again_is_barred_from_the_slot() -> None:
    record = planted().library.by_name("residual_mlp")
    memory = TamiyoMemory(penalties=(Penalty(seed=SLOT, blueprint_id=record.blueprint_id, points=3.0),))

    assert "failed here, penalty 3.0" in note(state(), "residual_mlp", memory)


def test_reads_are_the_blueprints_own_unless_configured() -> None:
    assert choose_blueprint(SLOT, state(), NOTHING).reads is best(state()).metadata.default_reads
    preferring = state(TamiyoConfig(reads_preference=Reads.CHUNK))
    assert choose_blueprint(SLOT, preferring, NOTHING).reads is Reads.CHUNK
