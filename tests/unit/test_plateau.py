from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.observations import at_epoch, header, metrics, observe, planted

from domain.commands import Germinate
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.seed import Seed
from domain.tamiyo.always_grow import AlwaysGrow
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.as_implemented import AsImplemented
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.plateau import Plateau, obstacles, places_free
from domain.tamiyo.policy import TamiyoPolicy
from domain.tamiyo.random_growth import RandomGrowth
from engine.randomness import BoundaryRandomness


def accuracy(epoch: int) -> float:
    return 1.0 - math.exp(-epoch / 5)


def first_plateau(patience: int, delta: float, reference: str) -> int:
    """First epoch of 1 - exp(-epoch/5) at which the counter reaches the patience."""
    plateau, epoch = Plateau(), 0
    while plateau.epochs < patience:
        epoch += 1
        plateau = plateau.after(accuracy(epoch), delta, reference)  # type: ignore[arg-type]
    return epoch


def test_against_the_previous_epoch_the_plateau_comes_when_by_hand() -> None:
    # The gain of epoch e is (exp(0.2) - 1) exp(-e/5) = 0.2214 exp(-e/5): 0.0110 at 15, 0.0090 at 16, the first under
    # 0.01. Epochs 16, 17, 18, 19, 20 are five without improvement.
    assert first_plateau(5, 0.01, "previous") == 20


def test_against_the_best_epoch_a_slow_creep_still_counts_as_improvement() -> None:
    # What is left to gain, exp(-e/5): 0.0498 at 15, 0.0334 at 17, 0.0224 at 19, 0.0123 at 22. Each lies 0.01 or more
    # under the one before it, so these epochs start over; from 22 on only 0.0123 is left and 23 to 27 gain 0.0078.
    assert first_plateau(5, 0.01, "best") == 27


def test_noise_keeps_a_plateau_against_the_previous_epoch_from_filling() -> None:
    noisy = [0.80, 0.82] * 10
    best = previous = Plateau()
    for value in noisy:
        best = best.after(value, 0.001, "best")
        previous = previous.after(value, 0.001, "previous")

    assert best.epochs == 18
    assert previous.epochs == 0


def test_a_gain_equal_to_delta_starts_over() -> None:
    assert Plateau(epochs=4, reference=0.5).after(0.75, 0.25, "best") == Plateau(reference=0.75)


def test_the_first_epoch_never_counts() -> None:
    assert Plateau().after(0.0, 0.001, "best") == Plateau(reference=0.0)
    assert Plateau().after(math.nan, 0.001, "best") == Plateau()


def test_an_accuracy_that_is_not_finite_counts_and_leaves_the_reference() -> None:
    assert Plateau(epochs=1, reference=0.5).after(math.nan, 0.001, "previous") == Plateau(epochs=2, reference=0.5)


FULL = Plateau(epochs=5, reference=0.5)


def test_the_trigger_fires_when_every_condition_holds() -> None:
    assert obstacles(FULL, at_epoch(planted(), 20), TamiyoConfig(), None) == ()


@pytest.mark.parametrize(
    ("plateau", "epoch", "failed_at", "value", "words"),
    [
        (Plateau(epochs=4, reference=0.5), 20, None, 0.5, "4 of 5 epochs"),
        (FULL, 20, None, 0.95, "has reached 0.95"),
        (FULL, 4, None, 0.5, "warming up until epoch 5"),
        (FULL, 20, 16, 0.5, "cooling down until epoch 21"),
        (FULL, 36, None, 0.5, "24 epochs left, an adaptation needs 25"),
        (FULL, 20, None, math.nan, "not finite"),
    ],
)
def test_each_obstacle_is_told_in_words(
    plateau: Plateau, epoch: int, failed_at: int | None, value: float, words: str
) -> None:
    found = obstacles(plateau, at_epoch(planted(), epoch, metrics(value)), TamiyoConfig(), failed_at)

    assert len(found) == 1
    assert words in found[0]


def test_too_many_failures_in_a_row_stop_growth() -> None:
    state = replace(at_epoch(planted(), 20), consecutive_failures=3)

    assert obstacles(FULL, state, TamiyoConfig(), None) == ("3 adaptations failed in a row",)


@pytest.mark.parametrize("stage", [Stage.GERMINATING, Stage.LOADING, Stage.TRAINING, Stage.FINE_TUNING, Stage.ACTIVE])
def test_a_seed_that_grows_holds_the_next_one_back_unless_they_may_grow_together(stage: Stage) -> None:
    name = SeedId(layer=0, index=0)
    together = TamiyoConfig(max_active_seeds=2, allow_concurrent_adaptations=True)
    state = replace(at_epoch(planted(header(together)), 20), seeds={name: Seed(seed_id=name, stage=stage)})

    assert obstacles(FULL, state, TamiyoConfig(), None) == ("1 of 1 places are taken",)
    assert obstacles(FULL, state, together, None) == ()
    assert places_free(state) == 1


def test_fossils_and_dormant_seeds_take_no_place() -> None:
    seeds = {
        SeedId(layer=0, index=i): Seed(seed_id=SeedId(layer=0, index=i), stage=stage)
        for i, stage in enumerate((Stage.FOSSILIZED, Stage.DORMANT))
    }
    state = replace(at_epoch(planted(), 20), seeds=seeds)

    assert obstacles(FULL, state, TamiyoConfig(), None) == ()


def test_while_growth_is_paused_nothing_germinates_and_waiting_is_all_there_is_to_choose() -> None:
    growing = at_epoch(planted(), 20)
    paused = replace(growing, paused=True)

    assert obstacles(FULL, paused, TamiyoConfig(), None) == ("growth is paused from outside",)
    assert (places_free(growing), places_free(paused)) == (2, 0)
    assert len(legal_actions(growing)) > 1
    assert len(legal_actions(paused)) == 1


@pytest.mark.parametrize(
    "policy",
    [
        AsDesigned(patience=1),
        AsDesigned(patience=1, seeds="thompson"),
        AsImplemented(),
        AlwaysGrow(),
        RandomGrowth(0.9),
    ],
    ids=lambda policy: f"{type(policy).__name__} {getattr(policy, 'seeds', '')}",
)
def test_no_policy_orders_a_germination_that_a_pause_would_refuse(policy: TamiyoPolicy) -> None:
    observation = observe(replace(at_epoch(planted(), 20, metrics(0.1), metrics(0.1)), paused=True))
    memory = policy.initial()

    for _ in range(3):
        step = policy.step(observation, memory, BoundaryRandomness(1, 20))
        memory = step.memory
        assert not [decision for decision in step.decisions if isinstance(decision.command, Germinate)]
