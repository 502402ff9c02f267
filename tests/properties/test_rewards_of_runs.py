"""Rewards of whole runs: one for each conclusion, within their bounds, the same in every replay."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import pytest

from domain.events import AdaptationConcluded, AdaptationRewarded, DomainEvent, EpochSealed
from domain.header import Rule
from domain.reward.config import RewardConfig
from domain.reward.rewarding import NOTHING_REWARDED
from domain.reward.worth import RewardComponent
from domain.run import rebuild
from engine.courses import header_of
from engine.rebuilding import state_at
from engine.replay import same_state
from scenarios.lab import Lab
from tests.support.chaotic_runs import chaotic_run
from tests.support.golden_events import golden_runs
from tests.support.grown_runs import address, recorded

KEYS = range(12)


@lru_cache(maxsize=len(KEYS))
def history(key: int) -> tuple[DomainEvent, ...]:
    """A run with vetoes, faults, rollbacks, panics and health that is no number."""
    return chaotic_run(key, epochs=40, mischief=0.1)


def rewards(events: tuple[DomainEvent, ...]) -> list[AdaptationRewarded]:
    return [event for event in events if isinstance(event, AdaptationRewarded)]


@pytest.mark.parametrize("key", KEYS)
def test_every_conclusion_is_followed_by_its_one_reward(key: int) -> None:
    concluded = [event.adaptation for event in history(key) if isinstance(event, AdaptationConcluded)]

    assert concluded
    assert [event.adaptation for event in rewards(history(key))] == concluded
    assert rebuild(history(key)).rewarding.opened == tuple(
        each for each in rebuild(history(key)).rewarding.opened if each.adaptation not in concluded
    )


@pytest.mark.parametrize("key", KEYS)
def test_rewards_keep_within_their_bounds_whatever_happens(key: int) -> None:
    for event in rewards(history(key)):
        said = dict(event.reward.components)
        assert set(said) == set(RewardComponent)
        assert all(math.isfinite(value) and -1 <= value <= 1 for value in said.values())
        assert -0.5 <= said[RewardComponent.CONSISTENCY] <= 0.5
        assert min(weight for _, weight in event.reward.weights) >= 0
        assert math.fsum(weight for _, weight in event.reward.weights) == pytest.approx(1.0, abs=1e-12)
        assert len(event.reward.impacts) == 4
        assert all(-1 <= each.impact <= 1 for each in event.reward.impacts)
        assert -5 <= event.reward.total <= 5


@pytest.mark.parametrize("key", KEYS)
def test_a_horizon_is_measured_exactly_where_it_had_passed(key: int) -> None:
    begun = {
        event.adaptation: event.epoch
        for event in history(key)
        if event.TOPIC == "seed-germinated" and hasattr(event, "adaptation")
    }
    for event in rewards(history(key)):
        age = event.epoch - begun[event.adaptation]
        assert [each.measured for each in event.reward.impacts] == [age >= each.epochs for each in event.reward.impacts]


@pytest.mark.parametrize("key", KEYS[:4])
def test_what_rewards_are_worked_out_of_is_in_the_digest(key: int) -> None:
    assert same_state(history(key)) is None
    assert rebuild(history(key)).rewarding != NOTHING_REWARDED


def test_runs_from_before_rewards_keep_nothing_of_them() -> None:
    before = [events for events in golden_runs().values() if Rule.REWARDS_RECORDED not in header_of(events).rules]

    assert len(before) == 15
    for events in before:
        assert rewards(events) == []
        assert rebuild(events).rewarding == NOTHING_REWARDED


def test_a_live_run_is_rewarded_and_its_state_can_be_had_at_any_epoch(tmp_path: Path) -> None:
    run = recorded(tmp_path).run
    with Lab(address(tmp_path)) as lab:
        events = lab.journal.events(run)
        seals = [place for place, event in enumerate(events, start=1) if isinstance(event, EpochSealed)]

        assert len(rewards(events)) == 1
        assert lab.verify(run).rung == 3
        for position in seals[::7]:
            seen, whole = state_at(lab.journal, run, position), rebuild(events[:position])
            assert seen.rewarding == whole.rewarding
            assert seen.digest() == whole.digest()


def test_horizons_are_set_by_the_scenario(tmp_path: Path) -> None:
    with Lab(address(tmp_path)) as lab:
        settings = {"training.epochs": 40, "tamiyo_config.plateau_patience": 4, "rewards.long_epochs": 200}
        run = lab.run("xor4", key=1, overrides=settings).run
        (event,) = rewards(lab.journal.events(run))

        assert lab.show(run).state.started.rewards == RewardConfig(long_epochs=200)
        assert [(each.epochs, each.measured) for each in event.reward.impacts] == [
            (1, True),
            (5, True),
            (10, True),
            (200, False),
        ]
