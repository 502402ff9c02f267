"""How seeds and adaptations are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identifiers import AdaptationId, SeedId


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_seed_is_read_back_from_its_name(layer: int, index: int) -> None:
    name = SeedId(layer=layer, index=index)
    assert SeedId.parse(str(name)) == name


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "-1.0", "1.0.0", "a.b", "1,0", " 1.0", "1.0 ", "1e1.0"])
def test_what_is_no_seeds_name_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"LAYER\.SEED, such as 0\.1"):
        SeedId.parse(text)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=8))
def test_seeds_sort_by_layer_and_then_by_index_as_numbers(pairs: list[tuple[int, int]]) -> None:
    names = [SeedId(layer=layer, index=index) for layer, index in pairs]
    assert [(name.layer, name.index) for name in sorted(names)] == sorted(pairs)


def test_an_adaptation_is_named_by_its_seed_and_attempt() -> None:
    assert str(AdaptationId(seed=SeedId(layer=1, index=0), attempt=2)) == "1.0#2"
