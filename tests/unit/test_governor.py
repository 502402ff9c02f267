"""Tolaria's governor under rule R8: a network that forgot its task, a blueprint that fails too often."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from domain.events import DomainEvent, SeedFaulted, StageChanged
from domain.faults import FaultKind
from domain.header import RULES_IN_FORCE, Rule
from domain.identifiers import SeedId
from domain.karn.no_invention import NoInvention
from domain.lifecycle import Stage
from domain.run import RunState
from domain.seed import succumb
from domain.tamiyo.always_grow import AlwaysGrow
from domain.urza.catalogue import registrations
from engine.checkers import check
from engine.session import Session
from engine.sink import Tape
from engine.trainers.live.faults import FaultTally
from engine.trainers.live.watchdog import HISTORY_MIN, Watchdog
from tests.support.headers import small_header
from tests.support.live_runs import SEED, HandRun, grown_run
from tests.support.scripted_trainer import Curve, ScriptedTrainer

torch.set_num_threads(1)
GUESS = math.log(4)


def dog(mean: float, epochs: int = HISTORY_MIN) -> Watchdog:
    return Watchdog((mean,) * epochs)


@pytest.mark.parametrize("share", [0.94, 1.0, 1.06])
def test_a_network_that_knew_its_task_and_now_guesses_panics_at_once(share: float) -> None:
    seen, panic = dog(0.59 * GUESS).after(30, share * GUESS, GUESS)

    assert panic is not None
    assert panic.endswith(f"after a mean of {0.59 * GUESS:.4g}: the network forgot its task")
    assert seen == dog(0.59 * GUESS)


@pytest.mark.parametrize(
    ("before", "loss", "guess"),
    [
        (dog(0.61 * GUESS), GUESS, GUESS),
        (dog(0.3 * GUESS, HISTORY_MIN - 1), GUESS, GUESS),
        (dog(0.3 * GUESS), 0.93 * GUESS, GUESS),
        (dog(0.3 * GUESS), 1.07 * GUESS, GUESS),
        (dog(0.3 * GUESS), GUESS, None),
    ],
    ids=["never knew it", "too young", "still knows something", "another trouble", "from before the rule"],
)
def test_nothing_less_is_a_lobotomy(before: Watchdog, loss: float, guess: float | None) -> None:
    assert before.after(30, loss, guess)[1] is None


def test_a_tally_tells_how_often_a_seed_failed_if_it_is_told_how_often_it_could() -> None:
    tally = FaultTally()
    for failed in (True, False, False, True):
        if failed:
            tally.failed(FaultKind.SHAPE, "it")
        else:
            tally.held(FaultKind.SHAPE)

    assert [event.rate for event in tally.events(3, SEED, 16)] == [2 / 16]
    assert [event.rate for event in tally.events(3, SEED)] == [None]
    assert "rate" not in tally.events(3, SEED)[0].model_dump_json()


def faulted(run: HandRun, rate: float | None) -> RunState:
    run.record(SeedFaulted(epoch=run.state.epoch, seed=SEED, kind=FaultKind.NON_FINITE, rate=rate))
    return run.state


@pytest.mark.parametrize(("rate", "gives_up"), [(0.1, False), (0.11, True)])
def test_a_blueprint_that_fails_in_over_a_tenth_of_its_batches_is_given_up(rate: float, gives_up: bool) -> None:
    state = faulted(grown_run(Stage.FINE_TUNING), rate)
    moved = succumb(state.seed(SEED), state.boundary(SEED), rate)

    reasons = [event.reason for event in moved if isinstance(event, StageChanged)]
    assert reasons == ["1 faults in consecutive epochs, 11% of the last epoch's batches"] * gives_up


def failing(rate: float | None) -> list[DomainEvent]:
    """A run in which every blueprint fails once in every second epoch, in a share of its batches."""
    names = [SeedId(layer=layer, index=index) for layer in range(2) for index in range(2)]
    faults = {epoch: tuple((name, FaultKind.NON_FINITE, 1) for name in names) for epoch in range(2, 40, 2)}
    curve = Curve(accuracies=(0.5, 0.51), faults=faults, error_rate=rate)
    tape = Tape()
    Session(ScriptedTrainer(curve), AlwaysGrow(), NoInvention(), tape).run(small_header(epochs=40), registrations())
    return tape.events


def succumbed(events: list[DomainEvent]) -> list[StageChanged]:
    return [event for event in events if isinstance(event, StageChanged) and event.target is Stage.ERROR_RECOVERY]


def test_in_a_whole_run_failing_often_is_enough_and_failing_seldom_is_not() -> None:
    often = failing(0.2)

    assert len(succumbed(often)) > 2
    assert succumbed(failing(0.1)) == succumbed(failing(None)) == []
    assert check(often) == []


def test_a_checker_knows_how_often_a_seed_may_fail() -> None:
    seldom = [
        event.model_copy(update={"rate": 0.1}) if isinstance(event, SeedFaulted) else event for event in failing(0.2)
    ]

    assert [broken for broken in check(seldom) if "succumbed to 1 faults" in broken]


@pytest.mark.parametrize("rules", [RULES_IN_FORCE, tuple(rule for rule in Rule if rule is not Rule.GOVERNED)])
def test_only_a_run_under_the_rule_is_told_rates(rules: tuple[Rule, ...]) -> None:
    run = grown_run(Stage.FINE_TUNING)
    header = run.state.started.model_copy(update={"rules": rules})
    run.state = replace(run.state, header=header)
    run.trainer.amend(header)
    with torch.no_grad():
        run.trainer.network.layers[0].grafts[0].parameters[-1].fill_(math.nan)
    (fault,) = run.train().faults

    assert fault.rate == (1.0 if Rule.GOVERNED in rules else None)
