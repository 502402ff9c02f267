"""Differences over run keys: laws, small numbers, and how often the interval holds what it promises."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.intervals import Method
from engine.evaluation.paired import Difference, Pairing, paired_difference
from engine.randomness import stream

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Truth = Callable[[np.random.Generator, int], tuple[Numbers, Numbers]]
"""Draws both sides of so many pairs, with a true mean difference of zero."""

REPETITIONS = 400
COVERAGE_MIN = 0.93 - 3 * math.sqrt(0.93 * 0.07 / REPETITIONS)
"""What 400 repetitions may fall to, by chance, of a true coverage of 93 %."""

scores = st.integers(-20, 20).map(float)
pairs = st.lists(st.tuples(scores, scores, st.sampled_from(["digits", "spirals"])), min_size=1, max_size=12)


def difference(a: Any, b: Any, **also: Any) -> Difference:
    return paired_difference(a, b, estimand="final accuracy, A minus B", generator=stream(1, "test"), **also)


def of_pairs(table: list[tuple[float, float, str]]) -> Difference:
    a, b, strata = zip(*table, strict=True)
    return difference(a, b, strata=strata)


def close(one: float, other: float) -> bool:
    return one == pytest.approx(other, abs=1e-6, rel=1e-6)


@given(pairs)
def test_exchanging_the_sides_negates_the_difference_and_its_interval(table: list[tuple[float, float, str]]) -> None:
    one, other = of_pairs(table), of_pairs([(b, a, stratum) for a, b, stratum in table])

    assert close(one.mean, -other.mean) and close(one.low, -other.high) and close(one.high, -other.low)
    assert (one.pairing, one.method, one.pairs, one.strata) == (other.pairing, other.method, other.pairs, other.strata)


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(table: list[tuple[float, float, str]], random: Any) -> None:
    shuffled = list(table)
    random.shuffle(shuffled)
    one, other = of_pairs(table), of_pairs(shuffled)

    assert close(one.mean, other.mean) and close(one.low, other.low) and close(one.high, other.high)


@given(pairs, scores)
def test_adding_to_one_side_moves_the_whole_interval(table: list[tuple[float, float, str]], by: float) -> None:
    one, moved = of_pairs(table), of_pairs([(a + by, b, stratum) for a, b, stratum in table])

    assert close(moved.mean, one.mean + by) and close(moved.low, one.low + by) and close(moved.high, one.high + by)


@given(pairs)
def test_the_interval_holds_the_mean_and_travels_as_json(table: list[tuple[float, float, str]]) -> None:
    one = of_pairs(table)

    assert one.low <= one.mean + 1e-9 and one.mean - 1e-9 <= one.high
    assert Difference.model_validate_json(one.model_dump_json(), strict=False) == one


def skewed(generator: np.random.Generator, size: int) -> tuple[Numbers, Numbers]:
    """Exponential differences, skewness 2, of sides that pairing helps."""
    key = 3 * generator.normal(size=size)
    return key + generator.exponential(size=size) - 1, key


def normal(generator: np.random.Generator, size: int) -> tuple[Numbers, Numbers]:
    key = 3 * generator.normal(size=size)
    return key + generator.normal(size=size), key + generator.normal(size=size)


def correlated(correlation: float) -> Truth:
    def drawn(generator: np.random.Generator, size: int) -> tuple[Numbers, Numbers]:
        both = generator.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=size)
        return both[:, 0], both[:, 1]

    return drawn


@pytest.mark.parametrize("pairs_drawn", [3, 5, 10, 30])
@pytest.mark.parametrize("truth", [normal, skewed, correlated(0.0), correlated(-0.5)])
def test_a_95_percent_interval_covers_the_truth_in_93_percent_at_least(truth: Truth, pairs_drawn: int) -> None:
    generator = stream(pairs_drawn, "coverage")
    held = 0
    for _ in range(REPETITIONS):
        a, b = truth(generator, pairs_drawn)
        found = paired_difference(a, b, estimand="nothing", generator=generator)
        held += found.low <= 0 <= found.high

    assert held / REPETITIONS >= COVERAGE_MIN


def test_strata_with_means_of_their_own_do_not_widen_the_interval() -> None:
    generator = stream(4, "strata")
    strata = ["easy"] * 8 + ["hard"] * 8
    b = generator.normal(size=16)
    a = b + np.repeat([0.0, 10.0], 8) + 0.1 * generator.normal(size=16)
    together, apart = difference(a, b), difference(a, b, strata=strata)

    assert apart.strata == 2 and together.strata == 1
    assert apart.high - apart.low < 0.1 * (together.high - together.low)


def test_a_stratum_of_one_pair_is_put_together_with_the_others() -> None:
    assert difference([1, 2, 3], [1, 1, 1], strata=["x", "x", "y"]).strata == 1


def test_sides_that_share_much_gain_from_pairing_and_say_how_much() -> None:
    generator = stream(2, "gain")
    key = 3 * generator.normal(size=200)
    found = difference(key + generator.normal(size=200), key + generator.normal(size=200))

    assert found.pairing is Pairing.PAIRED
    assert found.gain == pytest.approx(10, rel=0.25) and found.correlation == pytest.approx(0.9, abs=0.03)


def test_where_pairing_gains_nothing_the_interval_is_unpaired_and_says_so() -> None:
    a, b = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [5.0, 2.0, 7.0, 1.0, 6.0, 3.0, 3.5]
    found = difference(a, b)

    assert found.correlation is not None and -0.3 < found.correlation < 0
    assert found.gain < 1 and found.pairing is Pairing.UNPAIRED


def test_sides_that_move_against_each_other_keep_the_wider_paired_interval() -> None:
    a = np.arange(12.0)
    found = difference(a, -a)

    assert found.pairing is Pairing.OPPOSED
    assert found.gain == pytest.approx(0.5) and found.correlation == pytest.approx(-1)


@pytest.mark.parametrize(
    ("count", "method"), [(1, Method.NOTHING), (2, Method.WIDENED_T), (5, Method.WIDENED_T), (6, Method.BOOTSTRAP_T)]
)
def test_the_method_follows_the_number_of_pairs(count: int, method: Method) -> None:
    a = np.arange(float(count)) * 2
    found = difference(a, a / 2)

    assert found.method is method and found.pairs == count


def test_two_to_five_pairs_are_never_narrower_than_students_t() -> None:
    found = difference([1.0, 2.0, 4.0], [0.0, 0.0, 0.0])

    assert found.high - found.mean > 4.303 * np.std([1, 2, 4], ddof=1) / math.sqrt(3)


def test_one_pair_has_a_difference_and_no_interval() -> None:
    found = difference([0.7], [0.5])

    assert (found.low, found.high) == (-math.inf, math.inf) and not found.shown


@pytest.mark.parametrize(("a", "gain"), [([0.3, 0.6, 0.1], math.inf), ([0.2, 0.5, 0.0], math.inf)])
def test_constant_differences_have_no_width_and_say_so(a: list[float], gain: float) -> None:
    found = difference(a, [0.2, 0.5, 0.0])

    assert found.method is Method.NO_SPREAD and found.low == found.high == found.mean
    assert found.gain == gain and found.correlation == pytest.approx(1)


def test_two_sides_that_never_vary_gain_nothing_and_have_no_correlation() -> None:
    found = difference([1.0, 1.0], [0.5, 0.5])

    assert (found.gain, found.correlation, found.mean) == (1.0, None, 0.5)


def test_a_run_that_ended_badly_is_refused_or_counted_but_never_dropped() -> None:
    with pytest.raises(ValueError, match="score 1 of b is NaN, a run that ended badly: say with failed="):
        difference([1.0, 2.0], [0.5, math.nan])
    counted = difference([1.0, 2.0], [0.5, math.nan], failed=0.0)

    assert counted.mean == pytest.approx(1.25) and counted.failures == (0, 1)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="score 0 of a is infinite"):
        difference([math.inf], [0.0])
    with pytest.raises(ValueError, match="got 2 and 1 scores"):
        difference([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="got 0 and 0 scores"):
        difference([], [])
    with pytest.raises(ValueError, match=r"between 0 and 1 but got 95"):
        difference([1.0], [1.0], level=95)
    with pytest.raises(ValueError, match="1 strata for 2 pairs"):
        difference([1.0, 2.0], [1.0, 2.0], strata=["x"])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        difference([[1.0, 2.0]], [1.0])
