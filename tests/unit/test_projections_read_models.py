"""Read models are in step with a journal or say that they are not, also when they were saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from domain.events import DomainEvent
from projections import saving
from projections.errors import OutOfStep, UnknownView, ViewsUnreadable
from projections.read_models import ReadModels
from projections.views import VIEWS
from tests.support.chaotic_runs import chaotic_run
from tests.support.golden_events import golden_runs

EVENTS = golden_runs()["version-1/digits-as_designed"]


def models(upto: int, *names: str) -> ReadModels:
    made = ReadModels(names or VIEWS)
    made.extend("digits", 0, EVENTS[:upto])
    return made


def test_a_gap_is_refused_with_where_to_read_on() -> None:
    with pytest.raises(
        OutOfStep, match="run digits was read up to position 40 but the next event is at 51; read on from 40"
    ):
        models(40).extend("digits", 50, EVENTS[50:])


def test_events_that_were_read_are_passed_over() -> None:
    made = models(100, "epochs")

    assert made.extend("digits", 20, EVENTS[20:90]) == 0
    assert made.extend("digits", 20, EVENTS[20:]) == len(EVENTS) - 100
    assert_frame_equal(made.frame("epochs"), models(len(EVENTS), "epochs").frame("epochs"))


def test_reading_that_was_interrupted_is_not_gone_on_with() -> None:
    def broken() -> Iterator[tuple[int, DomainEvent]]:
        yield 41, EVENTS[40]
        raise KeyboardInterrupt

    made = models(40)
    with pytest.raises(KeyboardInterrupt):
        made.read("digits", 40, 60, broken())

    with pytest.raises(OutOfStep, match="reading run digits was interrupted"):
        made.extend("digits", 40, EVENTS[40:])


def test_an_unknown_view_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UnknownView, match="there is no view 'adaptions'; did you mean adaptations"):
        ReadModels(["adaptions"])
    with pytest.raises(UnknownView, match="view runs is not among those that are kept: epochs"):
        models(10, "epochs").frame("runs")


def test_what_is_wanted_is_what_the_views_read() -> None:
    assert {kind.TOPIC for kind in ReadModels(["field_reports"]).wanted} == {
        "blueprint-registered",
        "field-report-filed",
        "run-ended",
    }


def test_nothing_is_read_of_an_empty_journal() -> None:
    assert {name: frame.height for name, frame in ReadModels().frames().items()} == dict.fromkeys(VIEWS, 0)


def test_saving_twice_leaves_one_generation(tmp_path: Path) -> None:
    made = models(50)
    made.save(tmp_path)
    made.extend("digits", 50, EVENTS[50:])
    made.save(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["CURRENT", "generation-2"]
    assert ReadModels.load(tmp_path).positions == {"digits": len(EVENTS)}


@pytest.mark.parametrize("step", range(1, 16))
def test_whoever_is_killed_while_saving_leaves_the_generation_before(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the ``step``-th time that something must reach the disk: after a file, the memory, the pointer."""
    made = models(60)
    made.save(tmp_path)
    made.extend("digits", 60, EVENTS[60:])
    done = 0

    def killed(descriptor: int) -> None:
        nonlocal done
        done += 1
        if done == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(saving.os, "fsync", killed)
        try:
            made.save(tmp_path)
        except KeyboardInterrupt:
            assert done == step

    again = ReadModels.load(tmp_path)
    assert again.position("digits") in {60, len(EVENTS)}
    again.extend("digits", again.position("digits"), EVENTS[again.position("digits") :])
    again.save(tmp_path)
    for name, frame in models(len(EVENTS)).frames().items():
        assert_frame_equal(ReadModels.load(tmp_path).frame(name), frame, check_exact=True)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    models(60, "runs", "epochs").save(tmp_path)
    generation = tmp_path / "generation-1"
    for file in sorted(generation.iterdir()):
        content = file.read_bytes()
        file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
        with pytest.raises(ViewsUnreadable, match=f"{file.name} was changed; delete it and read the journal again"):
            ReadModels.load(tmp_path)
        file.unlink()
        with pytest.raises(ViewsUnreadable, match=f"{file.name}: No such file"):
            ReadModels.load(tmp_path)
        file.write_bytes(content)
    assert ReadModels.load(tmp_path).positions == {"digits": 60}


def test_views_of_another_version_are_refused(tmp_path: Path) -> None:
    made = models(60, "runs")
    content = {"columns": {"run": "String"}, "open": [], "memory": None}
    memory = {"positions": {"digits": 60}, "notification": 0, "views": {"runs": content}}
    saving.save(tmp_path, made.frames(), memory)

    with pytest.raises(ViewsUnreadable, match="holds view runs of another version"):
        ReadModels.load(tmp_path)


def test_where_nothing_was_saved_nothing_is_loaded(tmp_path: Path) -> None:
    assert not saving.is_saved(tmp_path)
    with pytest.raises(ViewsUnreadable, match="CURRENT: No such file"):
        ReadModels.load(tmp_path)

    (tmp_path / "CURRENT").write_text("nonsense\n")
    with pytest.raises(ViewsUnreadable, match="CURRENT names no generation"):
        ReadModels.load(tmp_path)


def test_saved_memory_is_standard_json_and_parquet_that_anyone_may_read(tmp_path: Path) -> None:
    import polars

    made = ReadModels()
    made.extend("chaos", 0, chaotic_run(1)[:200])
    made.save(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "generation-1", copy)

    assert json.loads((copy / "memory.json").read_text())["positions"] == {"chaos": 200}
    for name, frame in made.frames().items():
        assert_frame_equal(polars.read_parquet(copy / f"{name}.parquet"), frame, check_exact=True)
