from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.observations import at_epoch, header, metrics, observe, planted, run

from domain.commands import Decision, Germinate, Wait
from domain.events import DecisionMade, DomainEvent, SeedGerminated
from domain.hardware import HardwareContext
from domain.identifiers import SeedId
from domain.run import RunState
from domain.seed import Seed
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.bandit_settings import BanditSettings, SeedSelection
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.memory import SeedPerformance, TamiyoMemory
from domain.tamiyo.performance import Performance, Sample
from domain.tamiyo.plateau import Plateau
from engine.checkers import check
from engine.randomness import BoundaryRandomness

WAYS = [way.value for way in SeedSelection if way is not SeedSelection.NEED]
FULL = TamiyoMemory(plateau=Plateau(epochs=9, reference=0.9))
"""A plateau that is full at the next boundary."""


def boundary(key: int = 1, memory: TamiyoMemory = FULL, run_: RunState | None = None, **parameters: Any) -> Decision:
    """What is decided at a boundary at which the trigger fires."""
    state = run_ or waiting()
    (decision,) = AsDesigned(**parameters).step(observe(state), memory, BoundaryRandomness(key, state.epoch)).decisions
    return decision


def waiting(config: TamiyoConfig | None = None, **changes: Any) -> RunState:
    """A run whose seeds are all free, with a long past."""
    settled = config or TamiyoConfig(max_active_seeds=2, allow_concurrent_adaptations=True)
    made = planted(header(settled, seeds=3).model_copy(update=changes))
    return at_epoch(made, 20, metrics(0.6), metrics(0.6))


def remembering(**performances: float) -> TamiyoMemory:
    """A full plateau, and seeds (``s00`` is 0.0) with one sample of this accuracy delta each."""
    return FULL.model_copy(
        update={
            "performances": tuple(
                SeedPerformance(
                    seed=SeedId(layer=int(name[1]), index=int(name[2])),
                    performance=Performance().after(Sample(accuracy_delta=delta, loss_delta=0.0)),
                )
                for name, delta in sorted(performances.items())
            )
        }
    )


def tried(state: RunState, *names: str, since: int = 1) -> RunState:
    """The run, in which these seeds germinated once and have been dormant since an epoch."""
    seeds = [SeedId.parse(name) for name in names]
    past = {name: Seed(seed_id=name, since=since, attempts=1) for name in seeds}
    return replace(state, seeds=past, last_germinations=tuple((name, since) for name in seeds))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_germinates_a_free_seed_and_says_by_what_odds(way: str) -> None:
    decision = boundary(seeds=way)

    assert isinstance(decision.command, Germinate)
    assert f"{way} takes seed {decision.command.seed} at score" in decision.reason
    assert "of 6 viable ones, at chance" in decision.reason
    assert decision.legal is not None
    assert dict(decision.odds)[decision.legal.index(decision.command)] == decision.propensity
    assert bool(decision.draws) is (len(decision.odds) > 1)
    seeds = [entry for entry in decision.considered if entry.option.startswith("seed ")]
    assert all("chance" in entry.note and "samples improved" in entry.note for entry in seeds)


@pytest.mark.parametrize("way", ["thompson", "performance_weighted", "epsilon_greedy"])
def test_what_is_drawn_over_many_run_keys_follows_the_recorded_odds(way: str) -> None:
    memory = remembering(s00=0.5, s01=-0.5, s02=0.1)
    state = tried(waiting(), "0.0", "0.1", "0.2")
    drawn = [boundary(key, memory, state, seeds=way) for key in range(300)]
    (odds,) = {decision.odds for decision in drawn}

    numbers = [decision.legal.index(decision.command) for decision in drawn if decision.legal]
    shares = [numbers.count(number) / len(numbers) for number, _ in odds]
    assert shares == pytest.approx([chance for _, chance in odds], abs=0.09)


def test_ucb_takes_unexplored_seeds_first_and_then_the_better_one() -> None:
    memory = remembering(s00=0.0, s01=0.3, s02=0.0, s10=0.0, s11=0.0)
    state = tried(waiting(), "0.0", "0.1", "0.2", "1.0", "1.1")
    all_tried = tried(state, "0.0", "0.1", "0.2", "1.0", "1.1", "1.2")

    assert seed_of(boundary(1, memory, state, seeds="ucb")) == "1.2"
    assert seed_of(boundary(1, memory, all_tried, seeds="ucb")) == "0.1"


def seed_of(decision: Decision) -> str:
    assert isinstance(decision.command, Germinate)
    return str(decision.command.seed)


def test_round_robin_takes_the_seed_after_the_last_one() -> None:
    assert seed_of(boundary(seeds="round_robin")) == "0.0"
    assert seed_of(boundary(run_=tried(waiting(), "0.1"), seeds="round_robin")) == "0.2"
    assert seed_of(boundary(run_=tried(waiting(), "1.2"), seeds="round_robin")) == "0.0"


def test_a_seed_that_has_hardly_rested_or_took_too_much_memory_is_not_viable() -> None:
    state = tried(waiting(hardware=HardwareContext(memory_available_gb=0.01)), "0.0", since=18)
    big = Performance().after(Sample(accuracy_delta=0.1, loss_delta=0.0, memory_mb=9.0))
    memory = FULL.model_copy(
        update={"performances": (SeedPerformance(seed=SeedId(layer=0, index=1), performance=big),)}
    )

    decision = boundary(1, memory, state, seeds="round_robin")

    notes = {entry.option: entry.note for entry in decision.considered}
    assert notes["seed 0.0"] == "rested 2 of 5 epochs"
    assert notes["seed 0.1"] == "took 9 MB, more than 8 MB"
    assert seed_of(decision) == "0.2"


@pytest.mark.parametrize(("fallback", "kind"), [(True, Germinate), (False, Wait)])
def test_where_no_seed_is_viable_the_first_is_taken_or_nothing(fallback: bool, kind: type) -> None:
    config = TamiyoConfig(bandit=BanditSettings(fallback_to_first=fallback))
    names = [f"{layer}.{index}" for layer in range(2) for index in range(3)]

    decision = boundary(run_=tried(waiting(config), *names, since=19), seeds="ucb")

    assert isinstance(decision.command, kind)
    assert ("as none is viable" if fallback else "no seed is viable") in decision.reason


def test_with_enough_seeds_active_a_bandit_waits() -> None:
    config = TamiyoConfig(max_active_seeds=3, allow_concurrent_adaptations=True, plateau_patience=1, reserve_epochs=0)
    single = config.model_copy(update={"bandit": BanditSettings(max_concurrent_seeds=1)})

    events, _ = run(AsDesigned(seeds="round_robin"), header(single), lambda epoch, seen: metrics(0.6), epochs=12)

    assert any("1 seeds are active, of at most 1" in decision.reason for decision in decisions(events))


def decisions(events: list[DomainEvent]) -> list[Decision]:
    return [event.decision for event in events if isinstance(event, DecisionMade)]


def test_under_no_strategy_blueprints_are_drawn_alike_and_the_odds_are_of_pairs() -> None:
    needy = [boundary(key, strategy="NONE") for key in range(200)]
    both = boundary(seeds="thompson", strategy="NONE")

    blueprints = [decision.command.blueprint_id for decision in needy if isinstance(decision.command, Germinate)]
    (odds,) = {decision.odds for decision in needy}
    assert len(set(blueprints)) == len(odds) > 10
    assert {chance for _, chance in odds} == {1 / len(odds)}
    assert len(both.odds) == 6 * len(odds)
    assert {draw.stream for draw in both.draws} == {"tamiyo/seed-selection", "tamiyo/blueprint-selection"}
    assert np.allclose([chance for _, chance in both.odds], 1 / len(both.odds), rtol=1e-3)


def test_a_policy_that_draws_weighs_nothing() -> None:
    observation = observe(waiting())

    assert AsDesigned(seeds="ucb").alternatives(observation, FULL) == ()
    assert AsDesigned(strategy="NONE").alternatives(observation, FULL) == ()
    assert AsDesigned().alternatives(observation, FULL)


def test_what_a_bandit_learns_is_kept_in_its_memory_and_only_there() -> None:
    config = TamiyoConfig(plateau_patience=1, reserve_epochs=0, max_active_seeds=2, allow_concurrent_adaptations=True)
    policy = AsDesigned(seeds="ucb")
    state, memory = waiting(config), policy.initial()
    blended = tried(state, "0.0")

    assert policy.step(observe(blended), memory, BoundaryRandomness(1, 20)).memory.performances == ()
    learned = remembering(s00=0.5)
    assert policy.step(observe(blended), learned, BoundaryRandomness(1, 20)).memory.performances == learned.performances
    assert AsDesigned().step(observe(blended), learned, BoundaryRandomness(1, 20)).memory.performances == ()
    assert "performances" not in AsDesigned().initial().model_dump()


@pytest.mark.parametrize("way", WAYS)
def test_a_whole_run_by_a_bandit_keeps_every_law_of_the_lifecycle(way: str) -> None:
    config = TamiyoConfig(plateau_patience=2, reserve_epochs=0, max_active_seeds=2, allow_concurrent_adaptations=True)

    events, state = run(AsDesigned(seeds=way), header(config, seeds=2), lambda epoch, seen: metrics(0.6), epochs=40)

    assert sum(isinstance(event, SeedGerminated) for event in events) > 2
    assert state.epoch == 40
    assert [found for found in check(events) if "seal" not in str(found)] == []


def test_several_seeds_grow_at_a_time_where_that_is_allowed() -> None:
    config = TamiyoConfig(
        plateau_patience=2, reserve_epochs=0, warm_up_epochs=0, max_active_seeds=3, allow_concurrent_adaptations=True
    )
    most: list[int] = []

    def script(epoch: int, seen: RunState) -> Any:
        most.append(seen.places_taken)
        return metrics(0.6)

    run(AsDesigned(), header(config, seeds=2, gates=header().gates.model_copy(update={})), script, epochs=25)

    assert max(most) == 3
