from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.chaotic_policy import BreakingTamiyo
from support.observations import header, metrics, run

from domain.commands import Decision, Germinate, LegalActions, Wait
from domain.endings import RunEnding
from domain.events import RunEnded
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.policy import NoMemory, Observation, Step


def sound(seen: Observation) -> Decision:
    """A wait that was as likely as a germination."""
    return Decision(
        command=Wait(), reason="x", propensity=0.5, legal=legal_actions(seen.state), odds=((0, 0.5), (1, 0.5))
    )


def foreign(seen: Observation) -> Decision:
    """A germination in a layer that is not there, with the odds of a wait."""
    command = legal_actions(seen.state).action(1)
    assert isinstance(command, Germinate)
    away = command.model_copy(update={"seed": command.seed.model_copy(update={"layer": 9})})
    return sound(seen).model_copy(update={"command": away})


def stale(seen: Observation) -> Decision:
    """A wait with the legal actions of a boundary at which there was less to choose."""
    plots = legal_actions(seen.state).plots
    return sound(seen).model_copy(update={"legal": LegalActions(plots=plots[:1])})


UNSOUND: dict[str, tuple[Callable[[Observation], Decision], str]] = {
    "a sum that is not 1": (
        lambda seen: sound(seen).model_copy(update={"odds": ((0, 0.5), (1, 0.4))}),
        "odds sum to 0.9 but must sum to 1 (give or take 1e-09)",
    ),
    "an order that is not legal": (foreign, "the order 'germinate' has no probability in odds"),
    "a number that is no action": (
        lambda seen: sound(seen).model_copy(update={"odds": ((0, 0.5), (9999, 0.5))}),
        "odds must name legal actions 0 to",
    ),
    "a propensity that contradicts": (
        lambda seen: sound(seen).model_copy(update={"propensity": 0.25}),
        "propensity 0.25 is not what odds give the order: 0.5",
    ),
    "a stale legal set": (stale, "its legal actions are not those of this boundary; domain/tamiyo/legal.py has them"),
    "a propensity without odds": (
        lambda seen: Decision(command=Wait(), reason="x", propensity=0.5),
        "a drawn decision needs its legal actions and their odds",
    ),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_odds_that_are_not_sound_end_the_run_and_are_never_recorded(kind: str) -> None:
    decide, sentence = UNSOUND[kind]

    def instead(seen: Observation) -> Any:
        return Step((decide(seen),), NoMemory())

    events, state = run(BreakingTamiyo(at=4, instead=instead), header(), lambda epoch, seen: metrics(0.5))

    (ended,) = [event for event in events if isinstance(event, RunEnded)]
    assert (ended.epoch, state.ending) == (4, RunEnding.POLICY_FAILED)
    assert f"BreakingTamiyo decided at epoch 4 without sound odds: {sentence}" in ended.reason


def test_sound_odds_do_not() -> None:
    policy = BreakingTamiyo(at=4, instead=lambda seen: Step((sound(seen),), NoMemory()))

    _, state = run(policy, header(), lambda epoch, seen: metrics(0.5))

    assert state.ending is RunEnding.COMPLETED
