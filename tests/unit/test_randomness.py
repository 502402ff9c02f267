"""Named streams: equal names give equal numbers, and nobody moves anybody else's draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.randomness import BoundaryRandomness, stream, stream_seed

KEYS = st.integers(0, 2**64)
NAMES = st.text(max_size=20)
EPOCHS = st.integers(0, 10**6)
PINNED_DRAWS = [848, 275, 770, 902, 258]
PINNED_SEED = 2394984316421727084


@given(KEYS, NAMES, EPOCHS)
def test_a_stream_depends_on_its_key_name_and_epoch_alone(key: int, name: str, epoch: int) -> None:
    assert stream(key, name, epoch).random(4).tolist() == stream(key, name, epoch).random(4).tolist()
    assert stream(key, name, epoch).random() != stream(key, name, epoch + 1).random()
    assert stream(key, name, epoch).random() != stream(key, name + "x", epoch).random()
    assert stream(key, name, epoch).random() != stream(key + 1, name, epoch).random()


@given(KEYS, NAMES, EPOCHS)
def test_a_stream_seed_fits_torch(key: int, name: str, epoch: int) -> None:
    assert 0 <= stream_seed(key, name, epoch) < 2**63


def test_the_numbers_are_the_same_for_ever() -> None:
    assert stream(7, "tolaria/order", 3).integers(0, 1000, 5).tolist() == PINNED_DRAWS
    assert stream_seed(7, "tolaria/init") == PINNED_SEED


def test_asking_twice_in_one_boundary_goes_on() -> None:
    random = BoundaryRandomness(1, 2)
    first = random.generator("tamiyo/test").random(2)
    second = random.generator("tamiyo/test").random(2)

    assert np.array_equal(np.concatenate((first, second)), stream(1, "tamiyo/test", 2).random(4))


def test_another_consumer_moves_nobody_elses_draws() -> None:
    alone, crowded = BoundaryRandomness(1, 2), BoundaryRandomness(1, 2)
    crowded.generator("tamiyo/other").random(100)

    assert alone.generator("tamiyo/test").random() == crowded.generator("tamiyo/test").random()


def test_draws_from_a_stream_that_nobody_asked_for_are_refused() -> None:
    random = BoundaryRandomness(1, 2)
    with pytest.raises(ValueError, match="'tamiyo/test'"):
        random.drawn("tamiyo/test", 1)
    random.generator("tamiyo/test")

    assert random.drawn("tamiyo/test", 3).count == 3


@pytest.mark.parametrize(("key", "epoch"), [(-1, 0), (0, -1)])
def test_negative_keys_and_epochs_are_refused(key: int, epoch: int) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        stream(key, "x", epoch)
