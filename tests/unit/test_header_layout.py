"""How a layer is cut into chunks, and what a blueprint in one reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import Reads
from domain.header import LayerLayout, RunHeader
from tests.support.headers import small_header


def layout(outputs: int, seeds: int, inputs: int = 5) -> LayerLayout:
    return LayerLayout(layer=0, inputs=inputs, outputs=outputs, seeds=seeds)


@pytest.mark.parametrize(
    ("outputs", "seeds", "chunks"),
    [
        (8, 2, [(0, 4), (4, 8)]),
        (7, 2, [(0, 4), (4, 7)]),
        (10, 4, [(0, 3), (3, 6), (6, 8), (8, 10)]),
        (3, 3, [(0, 1), (1, 2), (2, 3)]),
        (5, 1, [(0, 5)]),
    ],
)
def test_chunks_are_cut_as_by_hand(outputs: int, seeds: int, chunks: list[tuple[int, int]]) -> None:
    assert [layout(outputs, seeds).chunk(index) for index in range(seeds)] == chunks


@given(st.integers(1, 300).flatmap(lambda outputs: st.tuples(st.just(outputs), st.integers(1, outputs))))
def test_chunks_cover_every_unit_once_and_widths_differ_by_at_most_one_wider_first(cut: tuple[int, int]) -> None:
    outputs, seeds = cut
    made = layout(outputs, seeds)
    chunks = [made.chunk(index) for index in range(seeds)]
    assert [unit for start, stop in chunks for unit in range(start, stop)] == list(range(outputs))
    widths = [made.chunk_width(index) for index in range(seeds)]
    assert widths == sorted(widths, reverse=True)
    assert max(widths) - min(widths) <= 1 and min(widths) >= 1


@pytest.mark.parametrize(("reads", "width"), [(Reads.CHUNK, 3), (Reads.LAYER, 7), (Reads.INPUT, 5), (Reads.BOTH, 12)])
def test_what_a_blueprint_reads_has_its_width(reads: Reads, width: int) -> None:
    assert layout(7, 2).read_width(reads, 1) == width


def test_a_header_comes_back_from_json_the_same() -> None:
    header = small_header()
    assert RunHeader.model_validate_json(header.model_dump_json()) == header
    assert header.epochs == header.training.epochs
