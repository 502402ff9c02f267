"""What Tamiyo expects of a blueprint that was used, and of one that only its architect and the crucible speak for."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from support.observations import planted

from domain.blueprint import ConfidenceLevel
from domain.identifiers import BlueprintId
from domain.tamiyo.expectations import USABLE, Expectation, expectations
from domain.urabrask.certificate import GAIN, Certificate
from domain.urza.record import BlueprintRecord

LIBRARY = planted().library
CHILD = BlueprintId("c" * 64)
FOUNDER = LIBRARY.by_name("residual_mlp")
USED = FOUNDER.statistics.model_copy(update={"uses": 4, "culled": 2, "fossilized": 2, "measured": 4, "mean_gain": 0.05})


def certificate(gain: float | None, risk: float = 0.01) -> Certificate:
    wep = () if gain is None else ((GAIN, gain),)
    return Certificate(passed=True, risk_score=risk, conf_level=ConfidenceLevel.HIGH, wep=wep)


def child(gain: float | None, *, claimed: float = 0.9) -> BlueprintRecord:
    """One that is said to gain ``claimed``, never to fail, and that the crucible saw gain ``gain``."""
    metadata = FOUNDER.metadata.model_copy(
        update={
            "estimates": FOUNDER.metadata.estimates.model_copy(update={"past_accuracy_gain_estimate": claimed}),
            "urabrask": FOUNDER.metadata.urabrask.model_copy(update={"risk_score": 0.01}),
        }
    )
    return replace(
        FOUNDER,
        blueprint_id=CHILD,
        number=99,
        metadata=metadata,
        parent_id=FOUNDER.blueprint_id,
        certificate=certificate(gain),
    )


def of(*records: BlueprintRecord) -> list[Expectation]:
    """What is expected of each, in a library of them alone; a parent comes first."""
    library = replace(LIBRARY, records=MappingProxyType({record.blueprint_id: record for record in records}))
    return list(expectations(library).values())


def test_field_reports_move_gain_and_failure_away_from_the_first_guess() -> None:
    (first,), (used,) = of(FOUNDER), of(replace(FOUNDER, statistics=USED))

    assert first.gain == FOUNDER.metadata.estimates.past_accuracy_gain_estimate
    assert first.failure == first.rollback == FOUNDER.metadata.urabrask.risk_score
    assert used.gain == pytest.approx((2 * first.gain + 4 * 0.05) / 6)
    assert used.failure == pytest.approx((2 * first.failure + 2) / 6)
    assert used.rollback == pytest.approx(2 * first.rollback / 6)
    assert used.profile == used.gain * (1 - used.failure)


@pytest.mark.parametrize(("gain", "better"), [(-0.1, -0.15), (0.05, 0.0), (0.1, 0.05), (USABLE, 0.12), (0.4, 0.12)])
def test_an_untried_child_is_expected_to_do_as_its_parent_did_and_as_the_crucible_told_them_apart(
    gain: float, better: float
) -> None:
    parent = replace(FOUNDER, statistics=USED, certificate=certificate(0.05))
    stood, guessed = of(parent, child(gain))

    assert guessed.gain == pytest.approx(stood.gain + better)
    assert guessed.failure == pytest.approx(stood.failure)
    assert guessed.rollback == pytest.approx(stood.rollback)
    assert stood == of(parent)[0], "nothing is learnt from a child that was never used"


def test_a_child_that_is_riskier_than_its_parent_is_expected_to_fail_more_often() -> None:
    risky = child(0.1)
    score = FOUNDER.metadata.urabrask.risk_score + 0.2
    metadata = risky.metadata.model_copy(
        update={"urabrask": risky.metadata.urabrask.model_copy(update={"risk_score": score})}
    )
    stood, guessed = of(replace(FOUNDER, statistics=USED), replace(risky, metadata=metadata))

    assert guessed.failure == pytest.approx(stood.failure + 0.2)


def test_what_the_crucible_measured_beyond_what_hosts_can_use_is_expected_of_nobody() -> None:
    stood, guessed = of(replace(FOUNDER, statistics=USED, certificate=certificate(USABLE)), child(0.4))

    assert guessed.gain == pytest.approx(stood.gain)


def test_failures_of_a_child_are_held_against_it_and_less_against_its_parent() -> None:
    parent = replace(FOUNDER, statistics=USED, certificate=certificate(0.1))
    failing = {"uses": 3, "measured": 3, "culled": 3, "fossilized": 0, "mean_gain": 0.0}
    before, _ = of(parent, child(0.1))
    after, failed = of(parent, replace(child(0.1), statistics=USED.model_copy(update=failing)))

    assert failed.gain < after.gain < before.gain
    assert failed.failure > after.failure > before.failure


@pytest.mark.parametrize(("before", "gain"), [(None, 0.3), (0.1, None)])
def test_without_a_crucible_gain_of_both_the_architects_estimate_stands_for_two_uses_but_not_its_word_on_failure(
    before: float | None, gain: float | None
) -> None:
    parent = replace(FOUNDER, statistics=USED, certificate=None if before is None else certificate(before))
    stood, guessed = of(parent, child(gain))
    _, used = of(parent, replace(child(gain), statistics=USED))

    assert guessed.gain == 0.9
    assert used.gain == pytest.approx((2 * 0.9 + 4 * 0.05) / 6)
    assert guessed.failure == pytest.approx(stood.failure)
    assert guessed.failure > 0.01


def test_before_certificates_a_childs_estimates_were_taken_at_their_word() -> None:
    _, guessed = of(replace(FOUNDER, statistics=USED), replace(child(None), certificate=None))

    assert guessed.gain == 0.9
    assert guessed.failure == 0.01
    assert guessed.gradient_variance is None


def test_the_gradients_of_an_untried_child_are_expected_to_vary_as_its_parents_did() -> None:
    parent = replace(FOUNDER, statistics=USED.model_copy(update={"mean_gradient_variance": 0.3}))
    steady = replace(child(0.1), statistics=USED.model_copy(update={"mean_gradient_variance": 0.1}))

    assert [each.gradient_variance for each in of(parent, child(0.1))] == [0.3, 0.3]
    assert [each.gradient_variance for each in of(parent, steady)] == [0.3, 0.1]


def test_a_risky_child_that_never_failed_makes_its_parent_no_safer_than_safe() -> None:
    safe = FOUNDER.metadata.urabrask.model_copy(update={"risk_score": 0.0})
    parent = replace(FOUNDER, metadata=FOUNDER.metadata.model_copy(update={"urabrask": safe}))
    risky = child(0.1)
    metadata = risky.metadata.model_copy(update={"urabrask": safe.model_copy(update={"risk_score": 0.9})})
    fine = USED.model_copy(update={"uses": 9, "culled": 0, "fossilized": 9, "measured": 9})
    stood, _ = of(parent, replace(risky, metadata=metadata, statistics=fine))

    assert stood.failure == stood.rollback == 0.0


def test_a_guess_is_an_accuracy_however_the_crucible_raves() -> None:
    stood = replace(FOUNDER, certificate=certificate(-1.0), statistics=USED.model_copy(update={"mean_gain": 1.0}))

    assert of(stood, child(1.0))[1].gain == 1.0


def test_who_came_before_its_parent_is_no_kin_of_it() -> None:
    guessed, _ = of(child(0.1), replace(FOUNDER, statistics=USED, certificate=certificate(0.1)))

    assert guessed.gain == 0.9
