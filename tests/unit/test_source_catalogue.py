"""Urza's catalogue: what the source lists, what is built of it here, and the libraries that runs may begin with."""

from __future__ import annotations

from collections import Counter

import pytest

from domain.blueprint import Combine, ConfidenceLevel, blueprint_id
from domain.shapes import fits, is_trainable, parameter_count
from domain.urza import blocks
from domain.urza.catalogue import INITIAL, registrations
from domain.urza.library import BlueprintLibrary, evolve
from domain.urza.source_catalogue import BUILT, ENTRIES, LIBRARIES, Need
from domain.urza.succession import succession
from scenarios import composition, specification
from scenarios.specification import BadInput


def test_the_source_lists_56_entries_in_12_categories() -> None:
    levels = Counter(entry.level for entry in ENTRIES)

    assert len(ENTRIES) == 56 and len({entry.category for entry in ENTRIES}) == 12
    assert [levels[level] for level in ConfidenceLevel] == [33, 16, 7]
    assert sum(entry.risky for entry in ENTRIES) == 9
    assert len({entry.title for entry in ENTRIES}) == 56


def test_an_entry_is_built_here_or_says_what_it_needs() -> None:
    for entry in ENTRIES:
        assert (entry.blueprint is None) == bool(entry.needs), entry.title
    assert {need for entry in ENTRIES for need in entry.needs} == set(Need)


def test_the_catalogue_goes_on_where_the_first_library_ends() -> None:
    first, larger = registrations(), composition.library("catalogue")

    assert larger[: len(first)] == first == composition.library("first")
    assert len(larger) == len(INITIAL) + len(BUILT) == 31
    assert len({blueprint_id(graph) for graph, _ in LIBRARIES["catalogue"]}) == 31


def test_what_nobody_tried_here_begins_speculative_and_as_the_identity() -> None:
    for graph, metadata in BUILT:
        assert metadata.urabrask.conf_level is ConfidenceLevel.SPECULATIVE
        assert is_trainable(graph) and graph.combine is Combine.ADD
        assert fits(graph, read=12, chunk=4)


def test_one_factor_or_one_bias_a_unit_is_all_that_the_smallest_learn() -> None:
    assert parameter_count(blocks.ia3(), read=9, chunk=5) == 5
    assert parameter_count(blocks.bitfit(), read=9, chunk=5) == 5


def test_heads_that_share_keys_have_fewer_parameters() -> None:
    sizes = [parameter_count(blocks.grouped_attention(4, groups), read=9, chunk=4) for groups in (4, 2, 1)]

    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3


def test_a_scenario_may_name_the_library_that_its_runs_begin_with() -> None:
    assert specification.load("xor4").library == "first"
    assert specification.load("xor4", {"library": "catalogue"}).library == "catalogue"
    with pytest.raises(BadInput, match="library 'catalog' is unknown; did you mean 'catalogue'"):
        composition.library("catalog")


def test_a_library_that_was_only_planted_is_inherited_as_it_was_registered() -> None:
    library = BlueprintLibrary()
    for event in registrations():
        library = evolve(library, event)

    assert succession(library) == registrations()
