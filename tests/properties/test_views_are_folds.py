"""A view equals the fold of its prefix at any cut, whatever the order of runs, and each event counts once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from domain.events import DomainEvent
from projections.read_models import ReadModels
from projections.views import VIEWS
from tests.support.chaotic_runs import chaotic_run
from tests.support.golden_events import golden_runs
from tests.support.rewarded_runs import rewarded_run

FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Told:
    """An event as a journal's ``follow`` tells of it."""

    notification: int
    run_id: str
    position: int
    event: DomainEvent


@lru_cache(maxsize=1)
def histories() -> dict[str, tuple[DomainEvent, ...]]:
    """Two golden runs, three chaotic ones, and one that was rewarded often."""
    golden = golden_runs()
    chaotic = {f"chaotic-{key}": chaotic_run(key) for key in (1, 5)}
    simplified = {"chaotic-simplified": chaotic_run(3, profile="simplified")}
    rewarded = {"rewarded": rewarded_run()}
    return (
        {name: golden[f"version-1/{name}"] for name in ("digits-as_designed", "digits-as_implemented")}
        | chaotic
        | simplified
        | rewarded
    )


@lru_cache(maxsize=1)
def whole() -> dict[str, polars.DataFrame]:
    models = ReadModels()
    for run, events in histories().items():
        models.extend(run, 0, events)
    return models.frames()


def same(found: dict[str, polars.DataFrame], expected: dict[str, polars.DataFrame]) -> None:
    for name, frame in expected.items():
        assert_frame_equal(found[name], frame, check_exact=True)


def interleaved(choices: list[int]) -> list[Told]:
    """All histories in one order of recording: each choice says which run goes on next, for a few events."""
    left = {run: list(enumerate(events, start=1)) for run, events in histories().items()}
    told: list[Told] = []
    for choice in [*choices, *range(len(left))]:
        run = sorted(left)[choice % len(left)]
        amount = len(left[run]) if len(told) > len(choices) * 7 else 7
        batch, left[run] = left[run][:amount], left[run][amount:]
        told += [Told(len(told) + n, run, position, event) for n, (position, event) in enumerate(batch, start=1)]
    for run, rest in left.items():
        told += [Told(len(told) + n, run, position, event) for n, (position, event) in enumerate(rest, start=1)]
    return told


@FEW
@given(run=st.sampled_from(sorted(histories())), cut=st.integers(0, 10_000))
def test_folding_a_prefix_and_then_the_rest_is_folding_all(run: str, cut: int) -> None:
    events = histories()[run]
    cut %= len(events) + 1
    at_once, in_two, prefix = ReadModels(), ReadModels(), ReadModels()
    at_once.extend(run, 0, events)
    in_two.extend(run, 0, events[:cut])
    prefix.extend(run, 0, events[:cut])

    same(in_two.frames(), prefix.frames())
    in_two.extend(run, cut, events[cut:])
    same(in_two.frames(), at_once.frames())


@FEW
@given(choices=st.lists(st.integers(0, 4), max_size=60))
def test_the_order_in_which_runs_were_recorded_does_not_matter(choices: list[int]) -> None:
    models = ReadModels()

    told = interleaved(choices)

    assert models.follow(told) == len(told)
    assert models.notification == len(told)
    same(models.frames(), whole())


@FEW
@given(choices=st.lists(st.integers(0, 4), max_size=20), cuts=st.lists(st.integers(0, 2_000), max_size=3))
def test_what_is_told_twice_counts_once(choices: list[int], cuts: list[int]) -> None:
    models, told = ReadModels(), interleaved(choices)
    for cut in sorted(cuts):
        models.follow(told[:cut])
    models.follow(told)

    assert models.follow(told) == 0
    same(models.frames(), whole())


@FEW
@given(cut=st.integers(0, 2_000), data=st.data())
def test_saving_and_loading_in_between_changes_nothing(cut: int, data: st.DataObject) -> None:
    told = interleaved([0, 3, 1, 4, 2] * 6)
    models = ReadModels()
    models.follow(told[:cut])
    with tempfile.TemporaryDirectory() as folder:
        models.save(Path(folder))
        again = ReadModels.load(Path(folder))

    assert (again.positions, again.notification) == (models.positions, models.notification)
    same(again.frames(), models.frames())
    again.follow(told[data.draw(st.integers(0, min(cut, len(told)))) :])
    same(again.frames(), whole())


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_on_its_own_is_the_view_among_others(name: str) -> None:
    alone = ReadModels([name])
    for run, events in histories().items():
        alone.extend(run, 0, events)

    assert_frame_equal(alone.frame(name), whole()[name], check_exact=True)
    assert {column: kind.dtype for column, kind in VIEWS[name].SCHEMA.items()} == dict(alone.frame(name).schema)


def test_every_view_has_rows_of_these_histories() -> None:
    assert {name: frame.height > 0 for name, frame in whole().items()} == dict.fromkeys(VIEWS, True)
    verdicts = whole()["decisions"]["verdict"].unique().to_list()
    outcomes = whole()["adaptations"]["outcome"].unique().to_list()
    kinds = whole()["seed_timeline"]["kind"].unique().to_list()

    assert sorted(verdicts) == ["CARRIED_OUT", "REFUSED", "VETOED"]
    assert set(outcomes) >= {"FOSSILIZED", "CULLED", "ROLLED_BACK", "CANCELLED"}
    assert sorted(kinds) == ["alpha", "concluded", "fault", "germinated", "grafting", "stage"]
