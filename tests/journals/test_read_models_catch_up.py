"""Read models over a real journal: caught up with exactly once, while it grows, and after a restart."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from domain.events import DomainEvent, EpochSealed
from engine.journal.errors import JournalDamaged
from engine.journal.journal import Journal
from projections.errors import BadQuery, OutOfStep
from projections.read_models import ReadModels
from scenarios.frames import catch_up, frames, query
from tests.support.chaotic_runs import chaotic_run
from tests.support.golden_events import golden_runs
from tests.support.small_runs import append

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def kept(folder: Path) -> Iterator[Journal]:
    with Journal.open(f"sqlite:///{folder}/kept.db") as opened:
        yield opened


def epochs_of(events: tuple[DomainEvent, ...]) -> list[list[DomainEvent]]:
    """The events of each epoch without its seal."""
    found: list[list[DomainEvent]] = [[]]
    for event in events:
        if isinstance(event, EpochSealed):
            found.append([])
        else:
            found[-1].append(event)
    return found[:-1]


def seal(journal: Journal, run: str, epoch: int, events: list[DomainEvent]) -> None:
    head = journal.head(run)
    first = head.position + 1 if head else 1
    journal.seal_epoch(run, first, events, epoch=epoch, state_digest="0" * 64, memory_digest="0" * 64)


def record(journal: Journal, run: str, events: tuple[DomainEvent, ...]) -> None:
    for epoch, told in enumerate(epochs_of(events)):
        seal(journal, run, epoch, told)


def test_catching_up_again_and_again_gives_what_reading_at_once_gives(kept: Journal) -> None:
    models = ReadModels()
    waiting = {
        "digits": epochs_of(golden_runs()["version-1/digits-as_designed"]),
        "chaos": epochs_of(chaotic_run(1)),
    }
    for epoch in range(40):
        for run, told in waiting.items():
            if epoch < len(told):
                seal(kept, run, epoch, told[epoch])
        if epoch % 7 == 0:
            assert catch_up(models, kept) > 0
            assert catch_up(models, kept) == 0
    catch_up(models, kept)

    assert models.positions == {run: len(kept.events(run)) for run in waiting}
    for name, frame in frames(kept).items():
        assert_frame_equal(models.frame(name), frame, check_exact=True)


def test_following_a_live_journal_and_catching_up_with_it_are_the_same(kept: Journal, folder: Path) -> None:
    append(kept, "one", range(5))
    models = ReadModels()
    catch_up(models, kept)
    append(kept, "two", range(3))
    append(kept, "one", range(5, 8))
    models.save(folder / "views")

    again = ReadModels.load(folder / "views")
    total = sum(len(kept.events(run)) for run in kept.runs())
    new = again.follow(islice(kept.follow(again.notification), total))

    assert new == total - 5 * 5
    assert again.notification > 0
    for name, frame in frames(kept).items():
        assert_frame_equal(again.frame(name), frame, check_exact=True)


def test_read_models_of_another_journal_are_told_from_this_ones(kept: Journal) -> None:
    append(kept, "one", range(3))
    models, ahead = ReadModels(["runs"]), ReadModels(["runs"])
    models.extend("elsewhere", 0, chaotic_run(1)[:5])
    ahead.extend("one", 0, chaotic_run(1))

    with pytest.raises(OutOfStep, match=r"hold run elsewhere but sqlite:///.* does not; they are of another journal"):
        catch_up(models, kept)
    with pytest.raises(OutOfStep, match=r"hold run one up to position [0-9]+ but sqlite:///.* up to 15"):
        catch_up(ahead, kept)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("UPDATE {table} SET state = zeroblob(8) WHERE {position} = 4", "events keep their bytes"),
        ("DELETE FROM {table} WHERE {position} = 4", "positions have no gaps"),
    ],
)
def test_damage_is_named_with_its_position(folder: Path, change: str, rule: str) -> None:
    with Journal.open(f"sqlite:///{folder}/kept.db") as journal:
        append(journal, "one", range(3))
    with sqlite3.connect(folder / "kept.db") as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: [row[1] for row in file.execute(f"PRAGMA table_info({name})")] for name in tables}
        table = next(name for name in tables if "state" in columns[name])
        position = "position" if "position" in columns[table] else "originator_version"
        file.execute(change.format(table=table, position=position))
    file.close()

    with Journal.open(f"sqlite:///{folder}/kept.db") as journal, pytest.raises(JournalDamaged, match=rule) as caught:
        frames(journal, ["seed_timeline"])
    assert caught.value.damage.position == 4


def test_a_query_reads_the_journal_and_a_bad_one_does_not(kept: Journal) -> None:
    record(kept, "digits", golden_runs()["version-1/digits-as_designed"])

    found = query(kept, "SELECT scenario, tamiyo, ending FROM runs")

    assert found.rows() == [("digits", "as_designed", "COMPLETED")]
    with pytest.raises(BadQuery, match="there is no table 'run'"):
        query(kept, "SELECT * FROM run")


def test_the_example_in_the_readme_runs(folder: Path) -> None:
    with Journal.open(f"sqlite:///{folder}/.regrow/journal.db") as journal:
        record(journal, "digits", golden_runs()["version-1/digits-as_designed"])
    code = (
        (ROOT / "projections" / "README.md").read_text(encoding="utf-8").partition("```python")[2].partition("```")[0]
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "as_designed" in done.stdout
    assert ReadModels.load(folder / ".regrow" / "views").names == ("runs", "adaptations")


def test_nothing_that_a_command_imports_at_its_start_loads_polars() -> None:
    code = "import sys, scenarios.frames, scenarios.display.queries, projections.errors; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
