"""Urza's curation: which figures lead to which orders, and who is protected. And battles for Elo scores."""

from __future__ import annotations

from dataclasses import replace

from domain.blueprint import ConfidenceLevel
from domain.lifecycle import Outcome
from domain.urza.battles import OPPONENTS, challenges
from domain.urza.commands import Certify, Inherit, Regrade, Retire, decide
from domain.urza.curation import Evidence, curate, newcomer
from domain.urza.kpis import Bouts, CurationConfig, Tally, over
from domain.urza.library import BlueprintLibrary, evolve
from domain.urza.statistics import BlueprintStatistics
from tests.support.library_events import certificate, register, report, small_id

CONFIG = CurationConfig(offered_min=1)
RISKS = {ConfidenceLevel.HIGH: 0.05, ConfidenceLevel.MODERATE: 0.2, ConfidenceLevel.SPECULATIVE: 0.6}


def library(*levels: ConfidenceLevel) -> BlueprintLibrary:
    """One certified blueprint a level."""
    found = BlueprintLibrary()
    for number, level in enumerate(levels, start=1):
        found = evolve(found, decide(found, register(number), 0))
        verdict = Certify(blueprint_id=small_id(number), certificate=certificate(risk=RISKS[level]))
        found = evolve(found, decide(found, verdict, 0))
    return found


def tally(generation: int, uses: int, fossilized: int, *, gain: float = 0.0, breaches: int = 0) -> Tally:
    return Tally(
        generation=generation, uses=uses, fossilized=fossilized, breaches=breaches, measured=uses, gains=gain * uses
    )


def seen(*tallies: Tally, number: int = 1) -> Evidence:
    return Evidence(tallies={small_id(number): tallies})


HIGH, MODERATE, SPECULATIVE = ConfidenceLevel
TWO = library(HIGH, HIGH)
LASTING = (tally(4, 5, 5, gain=0.06), tally(5, 5, 5, gain=0.05))


def test_success_under_four_in_five_over_the_window_is_archived() -> None:
    (order,) = curate(TWO, seen(tally(1, 10, 7), tally(2, 10, 5)), 2, CONFIG)

    assert isinstance(order, Retire) and order.blueprint_id == small_id(1)
    assert order.reason == "success 60% of 20 uses, under 80%"


def test_a_rate_that_chance_explains_is_not_under_its_threshold() -> None:
    assert tally(1, 10, 6).falls_short(0.8, 0.13) and not tally(1, 10, 6).falls_short(0.8, 0.12)
    assert curate(TWO, seen(tally(1, 10, 6)), 1, CONFIG) == ()


def test_a_few_uses_say_nothing() -> None:
    assert curate(TWO, seen(tally(1, 4, 0)), 1, CONFIG) == ()


def test_what_lies_before_the_window_is_forgotten() -> None:
    recent = [tally(generation, 1, 1) for generation in range(2, 12)]

    assert curate(TWO, seen(tally(1, 90, 0), *recent), 11, CONFIG) == ()


def test_three_generations_in_a_row_under_nine_in_ten_are_archived() -> None:
    bad = [tally(generation, 25, 20) for generation in (1, 2, 3)]

    (order,) = curate(TWO, seen(*bad), 3, CONFIG)
    assert isinstance(order, Retire) and order.reason == "success under 90% in 3 generations in a row"
    assert curate(TWO, seen(*bad[:2], tally(3, 25, 24)), 3, CONFIG) == ()


def test_losing_most_battles_to_newer_designs_is_archived() -> None:
    lost = Evidence(bouts={small_id(1): Bouts(fought=10, lost=9)})

    (order,) = curate(TWO, lost, 1, CONFIG)
    assert isinstance(order, Retire) and order.reason == "lost 9 of 10 battles to newer designs"
    assert curate(TWO, Evidence(bouts={small_id(1): Bouts(fought=10, lost=8)}), 1, CONFIG) == ()


def test_interest_protects_and_so_does_scarcity() -> None:
    failing = seen(tally(1, 10, 0))
    valued = Inherit(blueprint_id=small_id(1), statistics=BlueprintStatistics(tamiyo_interest=0.7))

    assert curate(evolve(TWO, decide(TWO, valued, 0)), failing, 1, CONFIG) == ()
    assert curate(TWO, failing, 1, CurationConfig(offered_min=2)) == ()


def test_the_least_successful_goes_first() -> None:
    evidence = Evidence(tallies={small_id(1): (tally(1, 10, 5),), small_id(2): (tally(1, 10, 1),)})

    (order,) = curate(TWO, evidence, 1, CONFIG)
    assert order.blueprint_id == small_id(2)


def test_clear_figures_bring_the_certified_level_back() -> None:
    held = library(MODERATE, HIGH)
    (lowered,) = newcomer(held.record(small_id(1)), CONFIG)
    assert isinstance(lowered, Regrade) and lowered.level is SPECULATIVE
    held = evolve(held, decide(held, lowered, 1))

    (raised,) = curate(held, seen(tally(1, 5, 4)), 1, CONFIG)
    assert isinstance(raised, Regrade) and raised.level is MODERATE
    assert curate(held, seen(tally(1, 4, 4)), 1, CONFIG) == ()


def test_without_the_toggle_the_certified_level_counts_at_once() -> None:
    assert newcomer(library(HIGH).record(small_id(1)), CurationConfig(starts_speculative=False)) == ()


def test_an_impact_that_lasts_becomes_high_and_breaches_take_that_away() -> None:
    held = library(MODERATE, HIGH)
    lasting = (tally(1, 5, 5, gain=0.06), tally(4, 5, 5, gain=0.05))

    (order,) = curate(held, seen(*lasting), 4, CONFIG)
    assert isinstance(order, Regrade) and order.level is HIGH
    assert curate(held, seen(lasting[0], tally(4, 5, 5, gain=0.04)), 4, CONFIG) == ()

    (fallen,) = curate(library(HIGH), seen(tally(1, 50, 50, breaches=1)), 1, CONFIG)
    assert isinstance(fallen, Regrade) and fallen.level is MODERATE
    assert curate(library(HIGH), seen(tally(1, 100, 100, breaches=1)), 1, CONFIG) == ()


def test_a_rise_in_energy_is_noted_for_review() -> None:
    held = BlueprintLibrary()
    for number, joules in ((1, 1e-9), (2, 2e-9)):
        command = register(number)
        estimates = command.metadata.estimates.model_copy(update={"energy_estimate_joules": joules})
        command = command.model_copy(update={"metadata": command.metadata.model_copy(update={"estimates": estimates})})
        held = evolve(held, decide(held, command, 0))
    evidence = Evidence(tallies={small_id(1): (tally(1, 2, 2), tally(2, 1, 1)), small_id(2): (tally(2, 1, 1),)})

    (note,) = curate(held, evidence, 2, CONFIG)
    assert isinstance(note, Regrade) and note.reason.startswith("manual review: energy a sample rose")
    (*_, graded, again) = curate(held, replace(evidence, tallies={**evidence.tallies, small_id(2): LASTING}), 5, CONFIG)
    assert (graded.level, again.level) == (HIGH, HIGH), "the note leaves the level that was just given"
    assert (note.blueprint_id, note.level) == (small_id(2), held.record(small_id(2)).level)
    assert curate(held, evidence, 1, CONFIG) == ()


def test_tallies_count_uses_gains_and_breaches() -> None:
    good = report(small_id(1), Outcome.FOSSILIZED, before=0.5, after=0.75).report
    unknown = report(small_id(1), Outcome.CULLED, before=0.5, after=float("nan")).report
    total = Tally(generation=1).after(good, 10.0).after(unknown, 0.05)

    assert (total.uses, total.fossilized, total.breaches, total.measured, total.gain) == (2, 1, 1, 1, 0.25)
    assert over([total, total]).success_rate == 0.5


def measured(held: BlueprintLibrary, number: int, accuracy: float, *, passed: bool = True) -> BlueprintLibrary:
    held = evolve(held, decide(held, register(number), 0))
    verdict = certificate(passed=passed).model_copy(update={"wep": (("dynamic.benchmark_accuracy", accuracy),)})
    return evolve(held, decide(held, Certify(blueprint_id=small_id(number), certificate=verdict), 0))


def test_a_newcomer_battles_those_of_the_nearest_scores_that_were_measured() -> None:
    held = BlueprintLibrary()
    for number, accuracy in enumerate((0.7, 0.9, 0.8, 0.6, 0.8), start=1):
        held = measured(held, number, accuracy)
    held = measured(held, 6, 0.99, passed=False)
    held = evolve(held, decide(held, register(7), 0))  # never examined
    held = measured(held, 8, 0.802)
    challenger = held.record(small_id(8))
    battles = list(challenges(held, challenger))

    assert [(battle.opponent_id, battle.result) for battle in battles] == [
        (small_id(5), 0.5),
        (small_id(4), 1.0),
        (small_id(3), 0.5),
    ]
    assert len(battles) == OPPONENTS
    assert list(challenges(held, replace(challenger, certificate=None))) == []
