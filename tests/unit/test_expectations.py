"""What Tamiyo expects of a blueprint that was used, and of one that only its architect and the crucible speak for."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from support.observations import planted

from domain.blueprint import ConfidenceLevel
from domain.tamiyo.expectations import USABLE, expectation
from domain.urabrask.certificate import GAIN, Certificate
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord

LIBRARY = planted().library
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
    return replace(FOUNDER, number=99, metadata=metadata, parent_id=FOUNDER.blueprint_id, certificate=certificate(gain))


def beside(parent: BlueprintRecord) -> BlueprintLibrary:
    return replace(LIBRARY, records=MappingProxyType({parent.blueprint_id: parent}))


def test_field_reports_move_gain_and_failure_away_from_the_first_guess() -> None:
    first, used = expectation(FOUNDER, LIBRARY), expectation(replace(FOUNDER, statistics=USED), LIBRARY)

    assert first.gain == FOUNDER.metadata.estimates.past_accuracy_gain_estimate
    assert first.failure == FOUNDER.metadata.urabrask.risk_score
    assert used.gain == pytest.approx((2 * first.gain + 4 * 0.05) / 6)
    assert used.failure == pytest.approx((2 * first.failure + 2) / 6)
    assert used.profile == used.gain * (1 - used.failure)


@pytest.mark.parametrize(("gain", "better"), [(-0.1, -0.15), (0.05, 0.0), (0.1, 0.05), (USABLE, 0.12), (0.4, 0.12)])
def test_an_untried_child_is_expected_to_do_as_its_parent_did_and_as_the_crucible_told_them_apart(
    gain: float, better: float
) -> None:
    parent = replace(FOUNDER, statistics=USED, certificate=certificate(0.05))
    library = beside(parent)
    stood, guessed = expectation(parent, library), expectation(child(gain), library)

    assert guessed.gain == pytest.approx(stood.gain + better)
    assert guessed.failure == stood.failure


def test_without_a_certificate_of_both_the_architects_estimate_stands_but_not_its_word_on_failure() -> None:
    untried = beside(replace(FOUNDER, statistics=USED))
    for library, young in (
        (untried, child(0.3)),
        (beside(replace(FOUNDER, certificate=certificate(0.1))), child(None)),
    ):
        guessed = expectation(young, library)
        assert guessed.gain == 0.9
        assert guessed.failure == expectation(library.record(FOUNDER.blueprint_id), library).failure > 0.01


def test_before_certificates_a_childs_estimates_were_taken_at_their_word() -> None:
    young = replace(child(None), certificate=None)

    assert expectation(young, beside(replace(FOUNDER, statistics=USED))) == expectation(young, LIBRARY)
    assert expectation(young, LIBRARY).failure == 0.01


def test_what_the_crucible_measured_beyond_what_hosts_can_use_is_expected_of_nobody() -> None:
    parent = replace(FOUNDER, statistics=USED, certificate=certificate(USABLE))
    library = beside(parent)

    assert expectation(child(0.4), library) == expectation(parent, library)


def test_what_its_own_uses_measured_outweighs_the_guess_from_a_parent_slowly() -> None:
    library = beside(replace(FOUNDER, statistics=USED, certificate=certificate(0.1)))
    guessed = expectation(child(0.4), library)

    for uses in (2, 90):
        failing = {"uses": uses, "measured": uses, "culled": uses, "mean_gain": -0.2}
        used = expectation(replace(child(0.4), statistics=USED.model_copy(update=failing)), library)
        assert used.gain == pytest.approx((10 * guessed.gain - 0.2 * uses) / (10 + uses))
        assert used.failure == pytest.approx((10 * guessed.failure + uses) / (10 + uses))


def test_a_guess_is_an_accuracy_however_the_crucible_raves() -> None:
    library = beside(replace(FOUNDER, certificate=certificate(-1.0)))

    assert expectation(child(1.0), library).gain == 1.0
