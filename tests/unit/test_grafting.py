from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.observations import header, metrics, planted, report

from domain.blueprint import ConfidenceLevel
from domain.commands import GraftingStrategy
from domain.grafting import PRESETS, GraftingConfig, GraftSignals, next_alpha
from domain.header import Rule
from domain.identifiers import SeedId
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.grafting_choice import choose_grafting, delicacy, turned
from domain.urabrask.certificate import Certificate
from domain.values import Column

FIVE = GraftingConfig(fixed_steps=5, pause_epochs_max=10)


def walk(strategy: GraftingStrategy, signals: list[GraftSignals], config: GraftingConfig = FIVE) -> list[float]:
    """Alphas of a ramp under these signals, epoch by epoch."""
    steps, alpha, alphas = 0.0, 0.0, []
    for age, given_ in enumerate(signals):
        seen = GraftSignals(
            epochs_in_stage=age,
            alpha=alpha,
            gradient_norm=given_.gradient_norm,
            weight_drift=given_.weight_drift,
            improvement=given_.improvement,
        )
        step = next_alpha(config, strategy, steps, seen)
        steps, alpha = step.steps, step.alpha
        alphas.append(alpha)
    return alphas


def same(count: int, **signals: float) -> list[GraftSignals]:
    return [GraftSignals(epochs_in_stage=0, **signals)] * count


def test_a_fixed_ramp_of_five_takes_a_fifth_an_epoch() -> None:
    assert walk(GraftingStrategy.FIXED_RAMP, same(6)) == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]


def test_performance_linked_takes_two_steps_while_loss_falls_quickly_and_one_when_it_rises() -> None:
    assert walk(GraftingStrategy.PERFORMANCE_LINKED, same(3, improvement=0.02)) == [0.4, 0.8, 1.0]
    assert walk(GraftingStrategy.PERFORMANCE_LINKED, same(2, improvement=0.01)) == [0.3, 0.6]
    assert walk(GraftingStrategy.PERFORMANCE_LINKED, same(2, improvement=-1.0)) == [0.2, 0.4]
    assert walk(GraftingStrategy.PERFORMANCE_LINKED, same(2, improvement=math.nan)) == [0.2, 0.4]


def test_drift_controlled_holds_while_weights_drift_and_goes_on_where_it_was() -> None:
    calm, adrift = same(1, weight_drift=0.12), same(1, weight_drift=0.121)

    assert walk(GraftingStrategy.DRIFT_CONTROLLED, [*calm, *adrift, *adrift, *calm, *calm]) == pytest.approx(
        [0.2, 0.2, 0.2, 0.4, 0.6]
    )


def test_gradient_norms_are_judged_at_full_blend() -> None:
    config = GraftingConfig(fixed_steps=4, grad_norm_lower=0.1, grad_norm_upper=1.0)
    first, fine = same(1, gradient_norm=0.0), same(1, gradient_norm=0.2)  # 0.2 / 0.25 = 0.8
    exploding, vanishing = same(1, gradient_norm=0.3), same(1, gradient_norm=0.02)

    assert walk(GraftingStrategy.GRAD_NORM_GATED, [*first, *fine], config) == [0.25, 0.5]
    assert walk(GraftingStrategy.GRAD_NORM_GATED, [*first, *exploding], config) == [0.25, 0.25]
    assert walk(GraftingStrategy.GRAD_NORM_GATED, [*first, *vanishing], config) == [0.25, 0.25]


@given(
    st.sampled_from(GraftingStrategy),
    st.integers(1, 12),
    st.integers(0, 12),
    st.lists(
        st.builds(
            GraftSignals,
            epochs_in_stage=st.just(0),
            gradient_norm=st.floats(),
            weight_drift=st.floats(),
            improvement=st.floats(),
        ),
        min_size=30,
        max_size=30,
    ),
)
def test_every_ramp_rises_and_ends_by_its_deadline_whatever_the_signals(
    strategy: GraftingStrategy, steps: int, pauses: int, signals: list[GraftSignals]
) -> None:
    config = GraftingConfig(fixed_steps=steps, pause_epochs_max=pauses)

    alphas = walk(strategy, signals, config)

    assert alphas == sorted(alphas)
    assert alphas[0] > 0
    assert alphas[config.epochs_max - 1] == 1.0


def test_a_ramp_held_for_ever_takes_exactly_the_steps_and_pauses_allowed() -> None:
    alphas = walk(GraftingStrategy.DRIFT_CONTROLLED, same(20, weight_drift=9.0))

    assert alphas.index(1.0) + 1 == FIVE.epochs_max == 15


def test_every_step_says_why() -> None:
    moved = next_alpha(FIVE, GraftingStrategy.FIXED_RAMP, 1.0, GraftSignals(epochs_in_stage=1, alpha=0.2))
    held = next_alpha(
        FIVE, GraftingStrategy.DRIFT_CONTROLLED, 1.0, GraftSignals(epochs_in_stage=1, alpha=0.2, weight_drift=0.5)
    )
    late = next_alpha(
        FIVE, GraftingStrategy.DRIFT_CONTROLLED, 1.0, GraftSignals(epochs_in_stage=11, alpha=0.2, weight_drift=0.5)
    )

    assert moved.reason == "step 2 of 5, moved on: fixed ramp"
    assert held.reason == "step 1 of 5, held: weight drift 0.500 not under 0.12"
    assert late.reason.startswith("step 2 of 5, moved on although weight drift 0.500")


def test_the_design_preset_has_the_designs_numbers() -> None:
    design = PRESETS["design"]

    assert (design.fixed_steps, design.high_drift_threshold) == (30, 0.12)
    assert (design.grad_norm_lower, design.grad_norm_upper) == (0.1, 1.0)


MLP = planted().library.by_name("residual_mlp")


def choice(losses: list[float], **report_changes: object) -> GraftingStrategy:
    history = [metrics(0.5, loss) for loss in losses]
    return choose_grafting(MLP, history, report(0, [1.0, 1.0], **report_changes), TamiyoConfig())[0]


def test_the_networks_condition_decides_between_the_four_strategies() -> None:

    assert choice([1.0, 1.001, 1.0, 1.001, 1.0]) is GraftingStrategy.FIXED_RAMP
    assert choice([1.0, 0.95, 0.9, 0.86, 0.82]) is GraftingStrategy.PERFORMANCE_LINKED
    assert choice([1.0, 1.3, 0.9, 1.2, 1.0]) is GraftingStrategy.DRIFT_CONTROLLED
    assert choice([1.0] * 5, gradient_norm=Column([0.1, 11.0])) is GraftingStrategy.GRAD_NORM_GATED
    assert choice([1.0, 1.03, 1.0, 1.03, 1.0]) is TamiyoConfig().grafting_strategy_selection


def test_a_gradient_norm_that_was_not_measured_neither_alarms_nor_hides_one_that_does() -> None:
    assert choice([1.0] * 5, gradient_norm=Column([math.nan, math.nan])) is GraftingStrategy.FIXED_RAMP
    assert choice([1.0] * 5, gradient_norm=Column([math.nan, 0.1])) is GraftingStrategy.FIXED_RAMP
    assert choice([1.0] * 5, gradient_norm=Column([math.nan, math.inf])) is GraftingStrategy.GRAD_NORM_GATED


def test_a_loss_that_only_falls_is_no_alarm_but_before_that_rule() -> None:
    falling = [metrics(0.5, loss) for loss in (1.0, 0.8, 0.64, 0.5, 0.4)]

    assert choose_grafting(MLP, falling, None, TamiyoConfig())[0] is GraftingStrategy.PERFORMANCE_LINKED
    assert choice([1.0, 1.2, 1.44, 1.7, 2.0]) is GraftingStrategy.DRIFT_CONTROLLED, "one that only rises is one"
    before = choose_grafting(MLP, falling, None, TamiyoConfig(), is_fall_alarming=True)
    assert before == (GraftingStrategy.DRIFT_CONTROLLED, "validation loss jumps by 20.5% an epoch")


def test_without_enough_finite_losses_the_default_is_used() -> None:
    config = TamiyoConfig(default_grafting_strategy=GraftingStrategy.PERFORMANCE_LINKED)

    for losses in ([1.0, 1.0], [1.0, math.nan, 1.0, 1.0, 1.0]):
        strategy, why = choose_grafting(MLP, [metrics(0.5, loss) for loss in losses], None, config)
        assert strategy is GraftingStrategy.PERFORMANCE_LINKED
        assert "too few" in why


def test_a_recommendation_beats_the_configuration_and_trouble_beats_a_recommendation() -> None:
    certificate = Certificate(
        passed=True,
        risk_score=0.1,
        conf_level=ConfidenceLevel.HIGH,
        recommended_grafting_strategy=GraftingStrategy.PERFORMANCE_LINKED,
    )

    certified = replace(MLP, certificate=certificate)
    calm, jumpy = [metrics(0.5, 1.0)] * 5, [metrics(0.5, loss) for loss in (1.0, 2.0, 1.0, 2.0)]

    assert choose_grafting(certified, calm, None, TamiyoConfig())[0] is GraftingStrategy.PERFORMANCE_LINKED
    assert choose_grafting(certified, jumpy, None, TamiyoConfig())[0] is GraftingStrategy.DRIFT_CONTROLLED


def test_a_risky_blueprint_is_always_grafted_under_drift_control() -> None:

    risky = replace(MLP, metadata=MLP.metadata.model_copy(update={"risky": True}))

    assert choose_grafting(risky, [], None, TamiyoConfig())[0] is GraftingStrategy.DRIFT_CONTROLLED


def test_large_deep_and_experimental_graphs_are_delicate() -> None:
    run, slot = planted(), SeedId(layer=0, index=0)
    speculative = MLP.metadata.urabrask.model_copy(update={"conf_level": ConfidenceLevel.SPECULATIVE})
    untried = replace(MLP, metadata=MLP.metadata.model_copy(update={"urabrask": speculative}))
    huge = planted(
        header().model_copy(
            update={"layout": tuple(layer.model_copy(update={"inputs": 4000}) for layer in header().layout)}
        )
    )

    assert delicacy(MLP, slot, run) is None
    assert "operations deep" in str(delicacy(run.library.by_name("mini_self_attention"), slot, run))
    assert "parameters" in str(delicacy(MLP, slot, huge))
    assert "experimental" in str(delicacy(untried, slot, run))


def test_a_run_from_before_that_rule_knows_no_delicate_graphs() -> None:
    rules = tuple(rule for rule in Rule if rule is not Rule.GRAFTING_REVIEWED)
    run = planted(header().model_copy(update={"rules": rules}))

    assert delicacy(run.library.by_name("mini_self_attention"), SeedId(layer=0, index=0), run) is None


def test_a_delicate_graph_is_grafted_under_drift_control_unless_it_is_certified_for_another() -> None:
    calm = [metrics(0.5, 1.0)] * 5
    certified = replace(MLP, certificate=Certificate(passed=True, risk_score=0.1, conf_level=ConfidenceLevel.HIGH))

    assert choose_grafting(MLP, calm, None, TamiyoConfig(), "is deep") == (GraftingStrategy.DRIFT_CONTROLLED, "is deep")
    assert choose_grafting(certified, calm, None, TamiyoConfig(), "is deep")[0] is GraftingStrategy.FIXED_RAMP


def turn(now: GraftingStrategy, losses: list[float], **report_changes: object) -> GraftingStrategy | None:
    found = turned(now, [metrics(0.5, loss) for loss in losses], report(0, [1.0, 1.0], **report_changes))
    return found[0] if found else None


def test_a_ramp_turns_to_caution_in_alarm_and_back_to_a_fixed_one_in_calm() -> None:
    fixed, drift, gated = (
        GraftingStrategy.FIXED_RAMP,
        GraftingStrategy.DRIFT_CONTROLLED,
        GraftingStrategy.GRAD_NORM_GATED,
    )
    jumpy, calm = [1.0, 1.3, 0.9, 1.2, 1.0], [1.0] * 5

    assert turn(fixed, jumpy) is drift
    assert turn(drift, jumpy) is None
    assert turn(drift, calm, gradient_norm=Column([0.1, 11.0])) is gated
    assert turn(gated, calm) is fixed
    assert turn(GraftingStrategy.PERFORMANCE_LINKED, calm) is None
    assert turn(drift, [1.0, 1.05, 1.0, 1.05, 1.0]) is None, "neither alarming nor calm"
    assert turn(fixed, [1.0, 0.8, 0.64, 0.5, 0.4]) is None, "the blend is doing good"
    assert turn(fixed, [1.0, math.nan, 1.0]) is None, "nothing to judge by"
