from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import pytest
from support.library_events import certificate
from support.observations import at_epoch, header, planted

from domain.blueprint import BlueprintEstimates, LifecycleState
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.header import Rule
from domain.identifiers import SeedId
from domain.run import RunState
from domain.safety import SafetyConfig
from domain.shapes import parameter_count
from domain.tamiyo.blueprint_strategies import choose_blueprint
from domain.tamiyo.blueprint_terms import Terms, operations_of, terms
from domain.tamiyo.config import BlueprintSelectionStrategy, RiskLevel, TamiyoConfig, hybrid_mix
from domain.tamiyo.expectations import expectations
from domain.tamiyo.memory import Penalty, TamiyoMemory
from domain.tamiyo.shortlist import shortlist
from domain.urza.record import BlueprintRecord

SLOT = SeedId(layer=0, index=0)
NOTHING = TamiyoMemory()


def state(config: TamiyoConfig | None = None, **changes: Any) -> RunState:
    return at_epoch(planted(header(config or TamiyoConfig()).model_copy(update=changes)), 10)


def choosing(strategy: str, **more: Any) -> TamiyoConfig:
    return TamiyoConfig(blueprint_selection_strategy=BlueprintSelectionStrategy(strategy), **more)


def with_record(run: RunState, name: str, **changes: Any) -> RunState:
    """The run, with fields of the named record's metadata or statistics changed."""
    record = run.library.by_name(name)
    if "statistics" in changes:
        record = replace(record, statistics=changes.pop("statistics"))
    record = replace(record, metadata=record.metadata.model_copy(update=changes))
    records = MappingProxyType(run.library.records | {record.blueprint_id: record})
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
    kept = [score for _, score in choice.ranked]
    assert kept == sorted(kept, reverse=True)
    assert [entry.score for entry in choice.considered[: len(kept)]] == kept
    assert all(entry.note for entry in choice.considered)
    assert "archived" in note(run, "glu")
    assert choice.score == kept[0]


def performance(t: Terms) -> float:
    return (t.accuracy + t.stability + t.risk) / 3


FORMULAS: dict[str, Callable[[Terms], float]] = {
    "PERFORMANCE": performance,
    "STABILITY": lambda t: t.stability,
    "ACCURACY": lambda t: t.accuracy,
    "RISK": lambda t: (t.risk + t.stability) / 2,
    "NOVELTY": lambda t: t.novelty,
    "OPTIMIZATION": lambda t: (t.size + t.cost + t.power + performance(t)) / 4,
    "SIZE": lambda t: t.size,
    "COST": lambda t: t.cost,
    "POWER": lambda t: t.power,
    "HARDWARE": lambda t: t.hardware,
    "SAFETY": lambda t: t.safety,
    "HYBRID": lambda t: 0.25 * t.accuracy + 0.75 * t.size,
}


@pytest.mark.parametrize("strategy", FORMULAS)
def test_each_strategy_chooses_the_best_by_its_own_terms(strategy: str) -> None:
    run = state(choosing(strategy, hybrid_weights=hybrid_mix("ACCURACY:1,SIZE:3")))
    records = [record for record, _ in choose_blueprint(SLOT, run, NOTHING).ranked]
    scored = terms(records, SLOT, run)
    formula = FORMULAS[strategy]

    assert best(run) == max(records, key=lambda record: (formula(scored[record.blueprint_id]), -record.number))


def test_accuracy_prefers_the_largest_gain_and_size_the_fewest_parameters() -> None:
    accurate = best(state(TamiyoConfig(blueprint_selection_strategy=BlueprintSelectionStrategy.ACCURACY)))
    small = best(state(TamiyoConfig(blueprint_selection_strategy=BlueprintSelectionStrategy.SIZE)))
    gains = {name: each.gain for name, each in expectations(planted().library).items()}

    assert gains[accurate.blueprint_id] == max(gains.values())
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
    assert "is risky" not in note(with_record(state(), "residual_mlp", risky=True), "residual_mlp")
    allowed = with_record(state(medium, safety=SafetyConfig(allow_risky=True)), "residual_mlp", risky=True)
    assert "is risky" not in note(allowed, "residual_mlp")


def test_what_does_not_fit_the_hardware_or_the_slot_is_dropped() -> None:
    tiny = state(hardware=HardwareContext(memory_available_gb=1e-9))
    narrow = header().layout[0].model_copy(update={"outputs": 2})
    slim = state(layout=(narrow, header().layout[1]))

    assert "GB" in note(tiny, "residual_mlp")
    assert "does not fit" in note(slim, "layer_norm")


def test_hardware_is_no_filter_when_it_is_not_enforced() -> None:
    free = state(TamiyoConfig(enforce_hardware_constraints=False), hardware=HardwareContext(memory_available_gb=1e-9))

    assert "GB" not in note(free, "residual_mlp")


def certified(risk: float) -> Callable[[BlueprintRecord], BlueprintRecord]:
    """The record with a certificate of that risk."""

    def change(record: BlueprintRecord) -> BlueprintRecord:
        urabrask = record.metadata.urabrask.model_copy(update={"risk_score": risk})
        metadata = record.metadata.model_copy(update={"urabrask": urabrask})
        return replace(record, metadata=metadata, certificate=certificate(risk=risk))

    return change


def unsteady(record: BlueprintRecord) -> BlueprintRecord:
    """The record with gradients that were measured to vary beyond the shield's bound."""
    measured = {"uses": 1, "measured": 1, "mean_gradient_variance": 1e3}
    return replace(record, statistics=record.statistics.model_copy(update=measured))


@pytest.mark.parametrize(("change", "said"), [(certified(0.35), "safety score 0.65"), (unsteady, "gradient variance")])
def test_what_the_review_would_veto_each_time_is_not_chosen_and_the_next_best_is(
    change: Callable[[BlueprintRecord], BlueprintRecord], said: str
) -> None:
    run, (first, second) = state(), [record for record, _ in choose_blueprint(SLOT, state(), NOTHING).ranked][:2]
    records = MappingProxyType({**run.library.records, first.blueprint_id: change(first)})
    changed = replace(run, library=replace(run.library, records=records))

    assert best(changed).name == second.name
    assert said in note(changed, first.name)
    unchecked = TamiyoConfig(enable_safety_validation=False)
    assert said not in note(replace(changed, header=header(unchecked)), first.name)


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


@pytest.mark.parametrize("strategy", [*FORMULAS, "NONE"])
def test_everything_considered_says_what_its_score_is_made_of_or_what_vetoed_it(strategy: str) -> None:
    run = state(choosing(strategy))
    choice = choose_blueprint(SLOT, run, NOTHING)

    assert {entry.option for entry in choice.considered} == {record.name for record in run.library.records.values()}
    made_of = "0.50 x ACCURACY" if strategy == "HYBRID" else "all alike" if strategy == "NONE" else f"{strategy} of "
    assert all(entry.note.startswith(made_of) for entry in choice.considered[: len(choice.ranked)])
    assert all(entry.note and entry.score == 0.0 for entry in choice.considered[len(choice.ranked) :])


def test_a_run_from_before_that_rule_says_only_what_was_vetoed() -> None:
    old = tuple(rule for rule in Rule if rule is not Rule.CHOICES_EXPLAINED)
    run = state(choosing("RISK"), rules=old)
    choice = choose_blueprint(SLOT, run, NOTHING)

    assert {entry.note for entry in choice.considered[: len(choice.ranked)]} == {""}
    assert all(entry.note for entry in choice.considered[len(choice.ranked) :])


def test_no_term_is_the_same_for_every_blueprint_of_the_first_library() -> None:
    run = state()
    records = [record for record, _ in choose_blueprint(SLOT, run, NOTHING).ranked]
    found = terms(records, SLOT, run).values()

    for term in fields(Terms):
        values = {getattr(each, term.name) for each in found}
        assert len(values) > 2, term.name
        assert all(0 <= value <= 1 for value in values), term.name


def test_what_the_catalogue_does_not_estimate_is_derived_and_latency_needs_no_known_speed() -> None:
    run = state(hardware=HardwareContext(compute_capacity_tflops=0.0))
    records = [
        replace(record, metadata=record.metadata.model_copy(update={"estimates": BlueprintEstimates()}))
        for record in run.library.offered()
    ]
    fitting = [
        record for record in records if run.problem(SLOT, record.blueprint_id, record.metadata.default_reads) is None
    ]
    found = terms(fitting, SLOT, run).values()

    for term in ("cost", "power", "hardware"):
        assert len({getattr(each, term) for each in found}) > 2


def test_a_blueprint_that_is_used_is_less_of_a_novelty() -> None:
    run = state()
    record = run.library.by_name("glu")
    used = with_record(run, "glu", statistics=record.statistics.model_copy(update={"uses": 6}))
    offered = [each for each, _ in choose_blueprint(SLOT, run, NOTHING).ranked]

    before = terms(offered, SLOT, run)[record.blueprint_id].novelty
    after = terms([used.library.records[each.blueprint_id] for each in offered], SLOT, used)[
        record.blueprint_id
    ].novelty

    assert before - after == pytest.approx((1 - 2 / 8) / 2)


def test_none_scores_all_alike_and_offers_all_that_the_filters_let_through() -> None:
    run = state(choosing("NONE", shortlist_size=1))

    ranked = choose_blueprint(SLOT, run, NOTHING).ranked

    assert {score for _, score in ranked} == {0.0}
    assert len(ranked) > 10


def test_a_shortlist_holds_the_best_profiles_and_some_that_are_unlike_them() -> None:
    run = state(TamiyoConfig(shortlist_size=4, shortlist_sample=2))
    everything = [
        record for record, _ in choose_blueprint(SLOT, state(TamiyoConfig(shortlist_size=99)), NOTHING).ranked
    ]
    profiles = {name: each.profile for name, each in expectations(run.library).items()}
    best_profiles = sorted(everything, key=lambda record: (-profiles[record.blueprint_id], record.number))[:4]

    short = [record for record, _ in choose_blueprint(SLOT, run, NOTHING).ranked]

    assert len(short) == 6
    assert {record.name for record in best_profiles} < {record.name for record in short}
    assert "not on the shortlist" in {entry.note for entry in choose_blueprint(SLOT, run, NOTHING).considered}
    kinds = [operations_of(record) for record in short if record not in best_profiles]
    assert all(kind not in [operations_of(record) for record in best_profiles] for kind in kinds)


def test_half_of_the_shortlist_is_for_what_a_host_kept_and_no_more() -> None:
    library = planted().library
    modest = {"soft_clamp", "unit_rms", "rms_norm"}
    once = {"uses": 1, "fossilized": 1}
    records = [
        replace(record, statistics=record.statistics.model_copy(update=once)) if record.name in modest else record
        for record in library.offered()
    ]
    config = TamiyoConfig(shortlist_size=4, shortlist_sample=0)

    assert not modest & {record.name for record in shortlist(library.offered(), library, config)}
    short = {record.name for record in shortlist(records, library, config)}
    assert len(short & modest) == 2
    assert short - modest == {"wide_residual_mlp", "residual_mlp"}


def test_where_all_are_barred_nothing_is_tried_or_the_least_penalised_again() -> None:
    names = ("residual_mlp", "glu")
    only = [planted().library.by_name(name) for name in names]
    points = (5.0, 3.5)
    memory = TamiyoMemory(
        penalties=tuple(
            Penalty(seed=SLOT, blueprint_id=record.blueprint_id, points=each)
            for record, each in zip(only, points, strict=True)
        )
    )
    waiting, rotating = state(), state(TamiyoConfig(when_all_penalised="rotate"))
    records = MappingProxyType({record.blueprint_id: record for record in only})
    waiting, rotating = (replace(run, library=replace(run.library, records=records)) for run in (waiting, rotating))

    assert choose_blueprint(SLOT, waiting, memory).ranked == ()
    assert [(record.name, score) for record, score in choose_blueprint(SLOT, rotating, memory).ranked] == [
        ("glu", -3.5),
        ("residual_mlp", -5.0),
    ]
    assert "all are barred here" in note(rotating, "glu", memory)
