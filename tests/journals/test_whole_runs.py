"""A whole recorded run: nothing in it can be changed unseen, and its adaptations end as they must."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from domain.commands import Decision, Wait
from domain.events import AdaptationConcluded, DecisionMade, FieldReportFiled, SeedGerminated
from domain.lifecycle import Outcome
from engine.checkers import check
from engine.journal.errors import Damage, JournalDamaged
from engine.journal.journal import Journal
from engine.journal.seals import check_of, verify_chain
from scenarios.lab import Lab
from tests.support.commands import Shell
from tests.support.grown_runs import CODEC, address, events_of, recorded, row_of

DAMAGED = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def run(folder: Path) -> str:
    result = recorded(folder)
    assert result.metrics.outcomes == {"FOSSILIZED": 1}
    return result.run


@pytest.fixture(scope="module")
def archive(folder: Path, run: str) -> Path:
    with Lab(address(folder)) as lab:
        lab.export(run, folder / "run.jsonl")
    return folder / "run.jsonl"


@pytest.fixture
def copy(folder: Path, run: str, tmp_path: Path) -> Path:
    shutil.copy(folder / "journal.db", tmp_path / "journal.db")
    shutil.copytree(folder / "journal.blobs", tmp_path / "journal.blobs")
    return tmp_path


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_flipped_byte_in_any_event_is_found_at_that_event(folder: Path, run: str) -> None:
    with Journal.open(address(folder)) as journal:
        rows, heads, blobs = journal.raw(run), journal.heads(run), journal.blobs(run)
    assert len(rows) > 150
    for row, start in product(rows, (0, 37, 91)):
        place = (row.position * start) % len(row.state)
        changed = row._replace(state=flipped(row.state, place))
        damage = verify_chain([*rows[: row.position - 1], changed, *rows[row.position :]], heads, CODEC, blobs)
        assert isinstance(damage, Damage)
        assert (damage.position, damage.until) == (row.position, row.position)


@pytest.mark.parametrize("forge_checksum", [False, True])
def test_a_byte_changed_in_the_table_is_found_by_verify(copy: Path, run: str, *, forge_checksum: bool) -> None:
    with Journal.open(address(copy)) as journal:
        rows = journal.raw(run)
    change = "UPDATE stored_events SET state = ?, checksum = ? WHERE originator_id = ? AND originator_version = ?"
    for row in rows[:: len(rows) // 20]:
        state = flipped(row.state, (row.position * 37) % len(row.state))
        check_sum = check_of(row.topic, state) if forge_checksum else row.check
        with sqlite3.connect(copy / "journal.db") as connection:
            connection.execute(change, (state, check_sum, run, row.position))
        with Lab(address(copy)) as lab, pytest.raises(JournalDamaged) as found:
            lab.verify(run)
        assert found.value.damage.position <= row.position <= found.value.damage.until
        with sqlite3.connect(copy / "journal.db") as connection:
            connection.execute(change, (row.state, row.check, run, row.position))
        connection.close()
    with Lab(address(copy)) as lab:
        assert lab.verify(run).rung == 3, "put back as it was, it is whole"


def test_a_byte_changed_in_the_file_is_found_by_verify(copy: Path, run: str) -> None:
    with Journal.open(address(copy)) as journal:
        rows = journal.raw(run)
    file = copy / "journal.db"
    content = file.read_bytes()
    for row in rows[:: len(rows) // 20]:
        start = content.find(row.state[:48])
        assert start > 0, "the journal was folded into its one file when it was closed"
        file.write_bytes(flipped(content, start + row.position % 48))
        with Lab(address(copy)) as lab, pytest.raises(JournalDamaged) as found:
            lab.verify(run)
        assert found.value.damage.position <= row.position <= found.value.damage.until


def test_verify_names_the_damaged_position_and_exits_with_five(copy: Path, run: str) -> None:
    with sqlite3.connect(copy / "journal.db") as connection:
        connection.execute("UPDATE stored_events SET state = replace(state, '0', '1') WHERE originator_version = 77")
    connection.close()
    shell = Shell(copy)

    answer = shell.inside("verify", run, "--json")

    assert answer.code == DAMAGED
    assert (answer.document["run"], answer.document["rung"], answer.document["digest"]) == (run, 0, None)
    assert answer.document["damage"]["position"] == 77
    assert "is damaged at position 77" in answer.complaint
    for command in (("show",), ("events",), ("verify",)):
        told = shell.inside(*command, run)
        assert (told.code, told.out) == (DAMAGED, "")
        assert "position 77" in told.complaint
    assert shell.inside("export", run, "out.jsonl").code == DAMAGED
    assert not (copy / "out.jsonl").exists()


def otherwise(decision: Decision) -> list[Decision]:
    """The decision with one thing changed, in every way that matters."""
    return [
        decision.model_copy(update={"confidence": decision.confidence / 2}),
        decision.model_copy(update={"reason": decision.reason + "!"}),
        decision.model_copy(update={"command": Wait()}),
    ]


def test_any_changed_decision_in_an_export_is_refused(folder: Path, run: str, archive: Path, tmp_path: Path) -> None:
    lines = archive.read_bytes().splitlines(keepends=True)
    forged = tmp_path / "forged.jsonl"
    changed = 0
    with Lab(address(tmp_path)) as lab:
        for position, event in enumerate(events_of(folder, run), start=1):
            if not isinstance(event, DecisionMade):
                continue
            for decision in otherwise(event.decision):
                was, is_now = (
                    row_of(told, position).state for told in (event, event.model_copy(update={"decision": decision}))
                )
                assert lines[position].count(was) == 1
                forged.write_bytes(
                    b"".join([*lines[:position], lines[position].replace(was, is_now), *lines[position + 1 :]])
                )
                with pytest.raises(JournalDamaged) as found:
                    lab.import_(forged)
                assert found.value.damage.position <= position <= found.value.damage.until
                changed += 1
        assert lab.results() == [], "nothing was recorded"
    assert changed > 20
    answer = Shell(tmp_path).inside("import", str(forged))
    assert (answer.code, answer.out) == (DAMAGED, "")
    assert "is damaged at position" in answer.complaint


@pytest.mark.parametrize(
    ("scenario", "tamiyo", "key"),
    [
        ("xor4", "as_designed", 1),
        ("spirals", "as_designed", 2),
        ("digits", "as_implemented", 1),
        ("xor4", "always_grow", 2),
        ("clusters", "random_growth", 5),
    ],
)
def test_every_adaptation_concludes_at_most_once_and_reports_as_it_must(
    tmp_path: Path, scenario: str, tamiyo: str, key: int
) -> None:
    events = events_of(tmp_path, recorded(tmp_path, scenario, tamiyo, key).run)
    opened = [event.adaptation for event in events if isinstance(event, SeedGerminated)]
    concluded = Counter(event.adaptation for event in events if isinstance(event, AdaptationConcluded))
    owed = Counter(
        (event.adaptation, event.outcome)
        for event in events
        if isinstance(event, AdaptationConcluded) and event.outcome is not Outcome.CANCELLED
    )
    filed = Counter(
        (event.report.adaptation, event.report.outcome) for event in events if isinstance(event, FieldReportFiled)
    )

    assert opened and len(set(opened)) == len(opened)
    assert set(concluded.values()) <= {1} and concluded.keys() <= set(opened)
    assert filed == owed
    assert check(events) == []
