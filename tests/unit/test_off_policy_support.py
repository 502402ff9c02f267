from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.off_policy.estimators import inverse_propensity
from engine.evaluation.off_policy.log import LoggedChoices, LoggedEpisodes
from engine.evaluation.off_policy.support import (
    Verdict,
    effective_sample_size,
    gated,
    support,
    support_of_choices,
    support_of_episodes,
)


def two_weights(n: int, heavy: int, weight: float) -> list[float]:
    """``heavy`` samples of ``weight`` and the rest of weight 0."""
    return [weight] * heavy + [0.0] * (n - heavy)


@pytest.mark.parametrize(
    ("weights", "unlogged", "verdict", "reason"),
    [
        ([], (), Verdict.UNSUPPORTED, "0 samples were logged and 2 are needed"),
        ([1.0], (), Verdict.UNSUPPORTED, "1 samples were logged and 2 are needed"),
        ([0.0] * 50, (), Verdict.UNSUPPORTED, r"0.0 of 50 samples are effective \(0%\), under 10%"),
        ([1.0] * 100, (), Verdict.OK, r"100.0 of 100 samples are effective \(100%\)"),
        (
            [1.0] * 100,
            ("graft 3",),
            Verdict.UNSUPPORTED,
            "takes what was never logged: graft 3; record with exploration",
        ),
        (two_weights(100, 9, 11.0), (), Verdict.UNSUPPORTED, r"9.0 of 100 .* under 10%; record with more exploration"),
        (two_weights(100, 10, 10.0), (), Verdict.WEAK, r"10.0 of 100 samples are effective \(10%\), under 30%"),
        (two_weights(100, 29, 3.0), (), Verdict.WEAK, "under 30%"),
        (two_weights(100, 30, 3.0), (), Verdict.OK, "30.0 of 100"),
        ([1.0] * 9, (), Verdict.WEAK, "fewer than 10"),
        ([1.0] * 4, (), Verdict.UNSUPPORTED, "one sample holds 25% of the weight, above 20%"),
        ([1.0] * 40 + [10.1], (), Verdict.UNSUPPORTED, "one sample holds 20% of the weight, above 20%; record more"),
        ([1.0] * 40 + [10.0], (), Verdict.OK, "of 41 samples"),
    ],
)
def test_the_verdict_follows_its_table(
    weights: list[float], unlogged: tuple[str, ...], verdict: Verdict, reason: str
) -> None:
    found = support(weights, unlogged=unlogged)

    assert found.verdict is verdict
    assert re.search(reason, found.reason), found.reason
    assert found.n == len(weights)


def test_the_effective_sample_size_is_by_hand() -> None:
    assert effective_sample_size([1.0, 2.0, 3.0]) == pytest.approx(36 / 14)
    assert effective_sample_size([1e200, 1e200]) == pytest.approx(2.0)
    assert effective_sample_size([]) == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_the_effective_sample_size_knows_no_scale_and_stays_within_n(weights: list[float], factor: float) -> None:
    ess = effective_sample_size(weights)

    assert 0 <= ess <= len(weights) * (1 + 1e-12)
    if max(weights) > 1e-100:
        assert effective_sample_size(np.array(weights) * factor) == pytest.approx(ess, rel=1e-9)


@pytest.mark.parametrize("bad", [[-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_weights_that_are_no_weights_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="the weight of"):
        support(bad)


def test_a_planted_action_that_was_never_logged_gives_no_estimate() -> None:
    """The effective sample size alone sees nothing: the target's other half is logged richly."""
    n = 200
    log = LoggedChoices(
        rewards=np.ones(n),
        chosen=np.arange(n) % 2,
        behaviour=np.full(n, 0.5),
        target=np.tile([0.25, 0.25, 0.5], (n, 1)),
    )
    asked = []

    def estimate() -> float:
        asked.append(True)
        return inverse_propensity(log).value

    found = support_of_choices(log)
    assert found.share == 1.0
    assert found.verdict is Verdict.UNSUPPORTED
    assert "never logged: 2" in found.reason
    assert gated(found, estimate) is None
    assert asked == [], "the number is not even computed"


def test_what_is_supported_or_weak_gives_its_estimate() -> None:
    assert gated(support([1.0] * 100), lambda: 0.5) == 0.5
    assert gated(support([1.0] * 9), lambda: 0.5) == 0.5
    assert gated(support([1.0]), lambda: 0.5) is None


def test_episodes_are_judged_by_the_product_of_their_ratios() -> None:
    shape = (20, 2)
    target = np.full(shape, 0.5)
    target[:4] = 1.0
    log = LoggedEpisodes(
        lengths=np.full(20, 2),
        rewards=np.zeros(shape),
        behaviour=np.full(shape, 0.5),
        target=target,
        forced=np.zeros(shape, dtype=bool),
    )

    found = support_of_episodes(log)
    assert found.ess == pytest.approx((16 + 4 * 4) ** 2 / (16 + 4 * 16))
    assert found.largest == pytest.approx(4 / 32)
    assert found.verdict is Verdict.OK
    assert support_of_episodes(log, unlogged=("cull",)).verdict is Verdict.UNSUPPORTED
