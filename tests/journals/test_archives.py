"""An exported run comes back the same, and the smallest change to its file is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.events import DecisionMade, LayerHealthReported
from engine.journal.archive import export_run, import_run
from engine.journal.errors import (
    BlobMissing,
    JournalDamaged,
    JournalError,
    JournalTooNew,
    NotAJournal,
    RunMissing,
    StorageFailed,
)
from engine.journal.journal import Journal
from tests.support.small_runs import append, end, large_report, sealed
from tests.support.stores import Place

ONLY_FROM_A_FILE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what is long and asks no store."""


@pytest.fixture
def archive(journal: Journal, tmp_path: Path) -> Path:
    append(journal, "run", range(3))
    end(journal, "run", 3)
    export_run(journal, "run", tmp_path / "run.jsonl")
    return tmp_path / "run.jsonl"


@pytest.fixture
def fresh(place: Place) -> Iterator[Journal]:
    with Journal.open(place.another().url) as opened:
        yield opened


def test_every_line_is_a_cloud_event(archive: Path) -> None:
    lines = [json.loads(line) for line in archive.read_text(encoding="utf-8").splitlines()]

    assert len(lines) == 17 + 2
    for line in lines:
        assert line["specversion"] == "1.0"
        assert line["source"] == "/regrow/runs/run"
        assert line["datacontenttype"] == "application/json"
        assert all(name.isalnum() and name.islower() for name in line)
        assert "time" not in line
    assert [line["id"] for line in lines] == [str(number) for number in range(19)]
    assert [line["position"] for line in lines[1:-1]] == list(range(1, 18))
    assert [line["type"] for line in lines[:6]] == [
        "regrow.archive-opened.v1",
        "regrow.layer-health-reported.v1",
        "regrow.epoch-completed.v1",
        f"regrow.decision-made.v{DecisionMade.VERSION}",
        "regrow.stage-changed.v1",
        "regrow.epoch-sealed.v1",
    ]
    assert lines[4]["subject"] == "seed 0.0"
    assert lines[2]["data"]["metrics"]["train_loss"] == "NaN"
    assert lines[-1]["type"] == "regrow.archive-closed.v1"


def test_an_imported_run_is_the_exported_one(journal: Journal, archive: Path, fresh: Journal, tmp_path: Path) -> None:
    run_id = import_run(archive, fresh)

    assert run_id == "run"
    assert fresh.raw("run") == journal.raw("run")
    assert fresh.verify("run") == journal.verify("run")
    export_run(fresh, "run", tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == archive.read_bytes()


def test_importing_the_same_run_twice_adds_nothing(archive: Path, fresh: Journal) -> None:
    assert [import_run(archive, fresh) for _ in range(3)] == ["run"] * 3
    assert fresh.runs() == ["run"]


def test_another_run_under_the_same_name_gets_a_number(archive: Path, fresh: Journal) -> None:
    append(fresh, "run", range(3), flavour="otherwise")

    assert [import_run(archive, fresh) for _ in range(2)] == ["run.2"] * 2
    assert fresh.runs() == ["run", "run.2"]
    assert len(fresh.verify("run.2")) == 4


def test_a_large_report_travels_inside_its_archive(journal: Journal, fresh: Journal, tmp_path: Path) -> None:
    journal.append_epoch("run", 1, sealed(journal, "run", (large_report(8_000),), 0))
    export_run(journal, "run", tmp_path / "large.jsonl")

    import_run(tmp_path / "large.jsonl", fresh)

    assert fresh.raw("run") == journal.raw("run")
    (event,) = fresh.events("run", upto=1)
    assert isinstance(event, LayerHealthReported)
    assert journal.codec.encode(event) == journal.codec.encode(large_report(8_000))
    assert len(fresh.verify("run")) == 1


@ONLY_FROM_A_FILE
def test_every_flipped_byte_is_refused_and_nothing_is_imported(archive: Path, fresh: Journal) -> None:
    content = archive.read_bytes()
    for place in range(0, len(content), 7):
        archive.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(JournalError):
            import_run(archive, fresh)
    assert fresh.runs() == []


@pytest.mark.parametrize(
    ("old", "new", "position"),
    [
        (b'"reason":"as recorded","confidence"', b'"reason":"as rewritten","confidence"', 1),
        (b'"command":{"kind":"cull"', b'"command":{"kind":"cancel"', 1),
        (b'"confidence":1.0', b'"confidence":0.5', 1),
        (b'"confidence":1.0', b'"confidence":1', 3),
        (b'"target":"GRAFTING"', b'"target":"SINGING"', 4),
        (b'"memory_digest":"ef', b'"memory_digest":"ee', 5),
    ],
)
def test_a_changed_decision_is_refused_with_its_epoch_or_line(
    archive: Path, fresh: Journal, old: bytes, new: bytes, position: int
) -> None:
    content = archive.read_bytes()
    assert old in content
    archive.write_bytes(content.replace(old, new, 1))

    with pytest.raises(JournalDamaged) as found:
        import_run(archive, fresh)

    assert found.value.position == position
    assert "\n" not in str(found.value)
    assert fresh.runs() == []


@ONLY_FROM_A_FILE
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_lines_cut_doubled_moved_or_dropped_are_refused(archive: Path, fresh: Journal, data: st.DataObject) -> None:
    lines = archive.with_name("run.jsonl").read_bytes().splitlines(keepends=True)
    one, other = data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True))
    changed = list(lines)
    act = data.draw(st.sampled_from(["cut", "double", "swap", "drop", "half"]))
    if act == "cut":
        changed = changed[:one]
    elif act == "double":
        changed.insert(other, changed[one])
    elif act == "swap":
        changed[one], changed[other] = changed[other], changed[one]
    elif act == "drop":
        del changed[one]
    else:
        changed[one] = changed[one][: len(changed[one]) // 2]
    file = archive.with_name("changed.jsonl")
    file.write_bytes(b"".join(changed))

    with pytest.raises((JournalDamaged, NotAJournal)):
        import_run(file, fresh)

    assert fresh.runs() == []


def test_a_line_that_is_no_json_is_refused_with_its_number(archive: Path, fresh: Journal) -> None:
    lines = archive.read_bytes().splitlines(keepends=True)
    archive.write_bytes(b"".join([*lines[:4], b"hello\n", *lines[5:]]))

    with pytest.raises(JournalDamaged, match="line 5: the line is no event in JSON"):
        import_run(archive, fresh)


def test_a_run_spliced_from_two_is_refused(journal: Journal, archive: Path, fresh: Journal, tmp_path: Path) -> None:
    append(journal, "other", range(4), flavour="otherwise")
    export_run(journal, "other", tmp_path / "other.jsonl")
    ours = archive.read_bytes().splitlines(keepends=True)
    theirs = (tmp_path / "other.jsonl").read_bytes().replace(b"runs/other", b"runs/run").splitlines(keepends=True)
    archive.write_bytes(b"".join([*ours[:6], *theirs[6:11], *ours[11:]]))

    with pytest.raises(JournalDamaged) as found:
        import_run(archive, fresh)

    assert (found.value.damage.position, found.value.damage.until) == (5, 10), "the seal before or any of the epoch"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b"[1]\n", b"hello\n", b"\xff\xfe\n", b'{"type":"x","data":3}\n']
)
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, fresh: Journal, content: bytes) -> None:
    file = tmp_path / "no.jsonl"
    file.write_bytes(content)

    with pytest.raises(NotAJournal, match="is no archive of a run"):
        import_run(file, fresh)


def test_an_archive_of_a_newer_format_is_refused(archive: Path, fresh: Journal) -> None:
    archive.write_bytes(archive.read_bytes().replace(b'"format":1', b'"format":2', 1))

    with pytest.raises(JournalTooNew, match="has archive format 2 but this regrow reads up to 1"):
        import_run(archive, fresh)


def test_an_archive_with_an_event_of_a_newer_version_is_refused(archive: Path, fresh: Journal) -> None:
    today, newer = DecisionMade.VERSION, DecisionMade.VERSION + 1
    old, new = (b"regrow.decision-made.v%d" % version for version in (today, newer))
    archive.write_bytes(archive.read_bytes().replace(old, new, 1))

    with pytest.raises(JournalTooNew, match=rf"line 4 of .*'decision-made' has version {newer}"):
        import_run(archive, fresh)


def test_a_run_that_names_a_folder_elsewhere_is_refused(archive: Path, fresh: Journal) -> None:
    archive.write_bytes(
        archive.read_bytes()
        .replace(b"/regrow/runs/run", b"/regrow/runs/../up")
        .replace(b'"run":"run"', b'"run":"../up"')
    )

    with pytest.raises(JournalError, match="is no run id"):
        import_run(archive, fresh)


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path, fresh: Journal) -> None:
    with pytest.raises(StorageFailed, match="cannot read"):
        import_run(tmp_path / "missing.jsonl", fresh)


def test_a_damaged_or_missing_run_is_not_exported(journal: Journal, place: Place, tmp_path: Path) -> None:
    journal.append_epoch("run", 1, sealed(journal, "run", (large_report(8_000),), 0))
    place.change_blobs("run", lambda _: None)

    with pytest.raises((JournalDamaged, BlobMissing)):
        export_run(journal, "run", tmp_path / "run.jsonl")
    with pytest.raises(RunMissing):
        export_run(journal, "nobody", tmp_path / "nobody.jsonl")

    assert not list(tmp_path.glob("*.jsonl"))
    assert not list(tmp_path.glob(".writing-*"))
