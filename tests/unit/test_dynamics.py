"""Fitted dynamics as a value: their formulas, their file, and what the fit refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.never_grow import NeverGrow
from engine.trainers.simulated.dynamics import (
    Curve,
    Dynamics,
    DynamicsUnreadable,
    KeyEffect,
    load,
    noise_scale,
    parse,
    save,
)
from engine.trainers.simulated.fitting import RUNS_MIN, fit
from engine.trainers.simulated.validation import Asked, HeldOut, Trust, rank_correlation, scored, verdict
from tests.support.headers import small_header
from tests.support.planted_dynamics import planted, simulated

AVERAGE = KeyEffect(run_key=0, level=0.0, haste=0.0)


def test_dynamics_come_back_from_their_file_with_the_same_digest(tmp_path: Path) -> None:
    dynamics = planted()
    save(dynamics, tmp_path / "d.json")
    again = load(tmp_path / "d.json")
    assert again == dynamics
    assert again.digest == dynamics.digest
    assert (tmp_path / "d.json").read_bytes() == again.canonical


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{}", b"\xff\xfe", b'{"format":1}', b'{"format":"1"}', b'{"format":1,"members":[]}'],
)
def test_damaged_dynamics_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(DynamicsUnreadable) as refused:
        parse(content, "d.json")
    assert "d.json" in str(refused.value) and "\n" not in str(refused.value)


def test_dynamics_of_a_newer_format_are_refused_with_the_way_out() -> None:
    document = json.loads(planted().canonical)
    document["format"] = 2
    with pytest.raises(DynamicsUnreadable, match="format 2 but this version reads up to 1; use a newer version"):
        parse(json.dumps(document).encode(), "d.json")


def test_a_cut_file_is_refused() -> None:
    with pytest.raises(DynamicsUnreadable, match="holds no dynamics"):
        parse(planted().canonical[:-7], "d.json")


def test_the_host_goes_from_its_start_to_its_level() -> None:
    member = planted().members[0]
    curve = [member.host(AVERAGE, epochs) for epochs in range(400)]
    assert curve[0] == pytest.approx(0.5)
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(member.ceiling / (1 + math.exp(-member.level)), abs=1e-4)


def test_a_kind_that_was_never_grown_is_worth_what_it_promises() -> None:
    member = planted().members[0].model_copy(update={"kappa_per_gain": 20.0, "layer_factors": (1.0, 0.5)})
    assert member.kappa("never_seen/BOTH", 0, 0.1) == pytest.approx(2.0)
    assert member.kappa("never_seen/BOTH", 1, 0.1) == pytest.approx(1.0)
    assert member.kappa("residual_mlp/BOTH", 0, 0.1) == 3.0


def test_a_curve_is_linear_between_its_knots_and_flat_beyond() -> None:
    curve = Curve(accuracies=(0.2, 0.4), values=(1.0, 2.0))
    assert [curve.at(x) for x in (0.0, 0.2, 0.3, 0.4, 1.0)] == pytest.approx([1.0, 1.0, 1.5, 2.0, 2.0])


def test_noise_is_smallest_at_the_ends_and_never_nothing() -> None:
    assert noise_scale(1.0) == noise_scale(0.0) == noise_scale(1.2) == pytest.approx(0.01)
    assert noise_scale(0.5) == pytest.approx(0.5, abs=1e-3)


def test_a_fit_refuses_too_few_runs_and_runs_of_two_scenarios() -> None:
    dynamics = planted()
    runs = [simulated(dynamics, small_header(epochs=4, run_key=key, layers=1), NeverGrow()) for key in range(RUNS_MIN)]
    with pytest.raises(ValueError, match=f"at least {RUNS_MIN} runs that trained but got {RUNS_MIN - 1}; record more"):
        fit(runs[1:])
    other = simulated(dynamics, small_header(epochs=4, run_key=9, layers=2), NeverGrow())
    with pytest.raises(ValueError, match=r"of one scenario but got test .*; choose one"):
        fit([*runs, other])


def test_runs_in_which_nothing_grew_can_be_fitted_and_simulated() -> None:
    dynamics = planted()
    runs = [simulated(dynamics, small_header(epochs=30, run_key=key, layers=1), NeverGrow()) for key in range(RUNS_MIN)]
    fitted = fit(runs)
    assert fitted.members[0].kappas == ()
    assert simulated(fitted, small_header(epochs=30, layers=1), AsDesigned())
    assert fitted.fit_error < 0.02


def test_fitting_the_same_runs_again_gives_the_same_dynamics() -> None:
    dynamics = planted()
    runs = [
        simulated(dynamics, small_header(epochs=30, run_key=key, layers=1), AsDesigned()) for key in range(RUNS_MIN)
    ]
    one = fit(runs)
    assert fit(runs).digest == one.digest
    assert parse(one.canonical, "again") == one
    assert isinstance(one, Dynamics)


def test_ranks_agree_with_the_closed_form() -> None:
    assert rank_correlation([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0]) == pytest.approx(0.8)
    assert math.isnan(rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


def test_regret_is_what_the_policy_simulated_as_best_falls_short_of_the_best() -> None:
    made = [
        HeldOut(policy=name, recorded=recorded, simulated=said, distance=0.0, runs=5)
        for name, recorded, said in (("a", 0.9, 0.8), ("b", 0.8, 0.85), ("c", 0.7, 0.6))
    ]
    found = scored(made)
    assert found.regret == pytest.approx(0.1)
    assert found.error == pytest.approx((0.1 + 0.05 + 0.1) / 3)
    assert found.spearman == pytest.approx(0.5)


def asked(policy: str, accuracy: float, *, disagreement: float = 0.005, distance: float = 0.5) -> Asked:
    return Asked(policy=policy, accuracy=accuracy, disagreement=disagreement, distance=distance)


def test_a_difference_is_handed_over_where_the_ensemble_disagrees_more_or_the_policy_is_far() -> None:
    base = asked("base", 0.80)
    assert verdict(asked("clear", 0.90), base).trust is Trust.TRUSTED
    near = verdict(asked("near", 0.805, disagreement=0.02), base)
    assert near.trust is Trust.HAND_OVER and "disagrees" in near.sentence and "fork exactly" in near.sentence
    far = verdict(asked("far", 0.95, distance=3.0), base)
    assert far.trust is Trust.HAND_OVER and "3.0 standard deviations" in far.sentence


def test_a_policy_without_a_test_score_is_handed_over() -> None:
    failed = verdict(asked("failed", math.nan, disagreement=math.nan), asked("base", 0.80))

    assert failed.trust is Trust.HAND_OVER
    assert failed.sentence == "no simulated run of failed came to a test score; fork exactly to know"


def test_a_calibration_that_failed_hands_over_every_difference() -> None:
    found = scored(
        [HeldOut(policy=str(i), recorded=i / 10, simulated=1 - i / 10, distance=0.0, runs=2) for i in range(4)]
    )
    said = verdict(asked("a", 0.9), asked("b", 0.5), found)
    assert said.trust is Trust.HAND_OVER and "correlation of -1.00" in said.sentence


def test_a_changed_copy_has_a_digest_of_its_own() -> None:
    dynamics = planted()
    digest = dynamics.digest
    changed = dynamics.model_copy(update={"host_parameters": 101})
    assert changed.digest != digest == dynamics.digest
    member = dynamics.members[0]
    assert member.kappa_by_kind
    assert member.model_copy(update={"kappas": ()}).kappa_by_kind == {}
