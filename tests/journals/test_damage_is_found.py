"""Any single changed byte of a run's events is found, and its place is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.events import EpochSealed
from engine.journal.codec import Codec
from engine.journal.errors import Damage, JournalDamaged, JournalError
from engine.journal.journal import Journal
from engine.journal.seals import GENESIS, Head, Row, chain, check_of, verify_chain
from tests.support.small_runs import append, end
from tests.support.stores import OnAFile, Place

CODEC = Codec()
EPOCHS = 7


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed journal with a run of 37 events, and another run that must not be blamed."""
    file = tmp_path_factory.mktemp("recorded") / "journal.db"
    _record(OnAFile(file))
    return file


def _record(place: Place) -> None:
    with Journal.open(place.url) as journal:
        append(journal, "run", range(EPOCHS))
        end(journal, "run", EPOCHS)
        append(journal, "other", range(1))


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(recorded, tmp_path / "copy.db"))


@pytest.fixture
def kept(place: Place) -> Place:
    """A place that holds what ``recorded`` does."""
    _record(place)
    return place


def _flipped(state: bytes, place: int, bit: int = 0) -> bytes:
    return state[:place] + bytes([state[place] ^ (1 << bit)]) + state[place + 1 :]


def _rows(file: Path) -> list[Row]:
    with Journal.open(f"sqlite:///{file}") as journal:
        return journal.raw("run")


def test_every_flipped_byte_of_every_state_is_found_at_its_position(recorded: Path) -> None:
    with Journal.open(f"sqlite:///{recorded}") as journal:
        rows, heads, blobs = journal.raw("run"), journal.heads("run"), journal.blobs("run")
    assert len(rows) == 37
    for row in rows:
        for place in range(len(row.state)):
            changed = row._replace(state=_flipped(row.state, place))
            damage = verify_chain([*rows[: row.position - 1], changed, *rows[row.position :]], heads, CODEC, blobs)
            assert isinstance(damage, Damage)
            assert (damage.position, damage.until) == (row.position, row.position)


def test_a_changed_byte_whose_checksum_was_changed_too_is_found_in_its_epoch(recorded: Path) -> None:
    with Journal.open(f"sqlite:///{recorded}") as journal:
        rows, heads, blobs = journal.raw("run"), journal.heads("run"), journal.blobs("run")
    for row in rows:
        for place in range(0, len(row.state), 3):
            state = _flipped(row.state, place)
            changed = row._replace(state=state, check=check_of(row.topic, state))
            damage = verify_chain([*rows[: row.position - 1], changed, *rows[row.position :]], heads, CODEC, blobs)
            assert isinstance(damage, Damage)
            assert damage.position <= row.position <= damage.until
            assert damage.until - damage.position < 5


@pytest.mark.parametrize("position", [1, 3, 5, 18, 36, 37])
def test_verify_names_the_position_of_an_event_changed_in_the_table(kept: Place, position: int) -> None:
    with Journal.open(kept.url) as journal:
        row = journal.raw("run")[position - 1]
        kept.execute(
            "UPDATE stored_events SET state = ? WHERE originator_id = 'run' AND originator_version = ?",
            (_flipped(row.state, len(row.state) // 2), position),
        )

        with pytest.raises(JournalDamaged, match=f"run is damaged at position {position}: ") as found:
            journal.verify("run")
        with pytest.raises(JournalDamaged, match=f"run is damaged at position {position}: "):
            journal.events("run")
        assert len(journal.verify("other")) == 1
    assert found.value.position == position


@pytest.mark.parametrize(
    ("change", "position"),
    [
        ("UPDATE stored_events SET topic = 'seed-faulted:1' WHERE notification_id = 8", 8),
        ("UPDATE stored_events SET checksum = checksum + 1 WHERE notification_id = 8", 8),
        ("UPDATE stored_events SET state = 'text' WHERE notification_id = 8", 8),
        ("DELETE FROM stored_events WHERE notification_id = 8", 8),
        ("DELETE FROM stored_events WHERE notification_id BETWEEN 36 AND 37", 36),
        ("DELETE FROM stored_events WHERE notification_id = 37", 36),
        ("DELETE FROM stored_events WHERE originator_id = 'run'", 1),
        ("UPDATE stored_events SET originator_version = 99 WHERE notification_id = 8", 8),
        ("UPDATE heads SET digest = replace(digest, 'a', 'b') WHERE run_id = 'run' AND epoch = 7", 37),
        ("UPDATE heads SET digest = '7' WHERE run_id = 'run' AND epoch = 2", 15),
        ("UPDATE heads SET position = 36 WHERE run_id = 'run' AND epoch = 7", 37),
        ("DELETE FROM heads WHERE run_id = 'run' AND epoch = 7", 37),
        ("DELETE FROM heads WHERE run_id = 'run'", 5),
        ("INSERT INTO heads VALUES ('run', 8, 40, 'ab')", 38),
        (
            "INSERT INTO stored_events SELECT 99, originator_id, 38, topic, state, checksum "
            "FROM stored_events WHERE notification_id = 1",
            38,
        ),
    ],
)
def test_whatever_changes_in_the_tables_is_found(kept: Place, change: str, position: int) -> None:
    kept.execute(change)

    with Journal.open(kept.url) as journal, pytest.raises(JournalDamaged) as found:
        journal.verify("run")

    assert found.value.position == position


def test_a_topic_in_broken_text_is_found(copy: Path) -> None:
    """A server takes no such text into its tables."""
    OnAFile(copy).execute("UPDATE stored_events SET topic = CAST(x'ff' AS TEXT) WHERE notification_id = 8")

    with Journal.open(f"sqlite:///{copy}") as journal, pytest.raises(JournalDamaged) as found:
        journal.verify("run")

    assert found.value.position == 8


def test_two_events_that_changed_places_are_found(kept: Place) -> None:
    swap = "UPDATE stored_events SET originator_version = ? WHERE originator_id = 'run' AND originator_version = ?"
    for pair in ((100, 8), (8, 13), (13, 100)):
        kept.execute(swap, pair)

    with Journal.open(kept.url) as journal, pytest.raises(JournalDamaged) as found:
        journal.verify("run")

    assert found.value.damage.position <= 8 <= found.value.damage.until


def test_every_flipped_byte_of_event_data_in_the_closed_file_is_found(recorded: Path, tmp_path: Path) -> None:
    content = recorded.read_bytes()
    copy = tmp_path / "copy.db"
    for row in _rows(recorded)[::6]:
        start = content.find(row.state)
        assert start > 0
        for place in range(start - len(row.topic), start + len(row.state), 4):  # the topic lies in front of the state
            copy.write_bytes(_flipped(content, place, bit=place % 8))
            with Journal.open(f"sqlite:///{copy}") as journal, pytest.raises(JournalDamaged) as found:
                journal.verify("run")
            assert found.value.position == row.position


@pytest.mark.parametrize("position", [2, 18, 37])
def test_a_run_id_that_changed_in_the_table_but_not_in_the_index_is_found(copy: Path, position: int) -> None:
    row = _rows(copy)[position - 1]
    content = copy.read_bytes()
    record = b"run" + bytes([position]) + row.topic.encode() + row.state
    place = content.find(record)
    assert place > 0
    copy.write_bytes(_flipped(content, place))

    with Journal.open(f"sqlite:///{copy}") as journal, pytest.raises(JournalDamaged) as found:
        journal.verify("run")

    assert found.value.position == position


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_flipped_byte_anywhere_in_the_file_passes_for_another_run(
    recorded: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = recorded.read_bytes()
    with Journal.open(f"sqlite:///{recorded}") as journal:
        truth = journal.raw("run"), tuple(journal.heads("run"))
    copy = tmp_path / "copy.db"
    for leftover in tmp_path.glob("copy.db-*"):
        leftover.unlink()
    place = data.draw(st.integers(0, len(content) - 1))
    copy.write_bytes(_flipped(content, place, data.draw(st.integers(0, 7))))
    try:
        with Journal.open(f"sqlite:///{copy}") as journal:
            heads = journal.verify("run")
            assert (journal.raw("run"), heads) == truth
    except JournalError:
        return


def test_a_file_whose_tables_are_described_in_broken_text_is_damaged(recorded: Path, tmp_path: Path) -> None:
    """SQLite quotes such a description in its complaint, so that not even the complaint can be read."""
    content = recorded.read_bytes()
    copy = tmp_path / "copy.db"
    copy.write_bytes(content.replace(b"CREATE TABLE tracking", b"CREATE TABLE \xf4racking", 1))

    with pytest.raises(JournalDamaged, match="the file can be read"):
        Journal.open(f"sqlite:///{copy}")


def test_an_unsealed_tail_is_damage_at_its_first_position(recorded: Path) -> None:
    with Journal.open(f"sqlite:///{recorded}") as journal:
        rows, blobs = journal.raw("run"), journal.blobs("run")

    damage = verify_chain(rows[:33], None, CODEC, blobs)

    assert isinstance(damage, Damage)
    assert (damage.position, damage.until, damage.rule) == (31, 33, "every epoch ends in a seal")


def test_an_epoch_cut_out_whole_is_damage(recorded: Path) -> None:
    with Journal.open(f"sqlite:///{recorded}") as journal:
        rows, blobs = journal.raw("run"), journal.blobs("run")
    without = [*rows[:5], *(row._replace(position=row.position - 5) for row in rows[10:])]

    damage = verify_chain(without, None, CODEC, blobs)

    assert isinstance(damage, Damage)
    assert damage.position == 10
    assert damage.rule == "seals count the epochs"


def test_no_rows_are_damage_and_not_an_empty_run(recorded: Path) -> None:
    with Journal.open(f"sqlite:///{recorded}") as journal:
        damage = verify_chain([], [], CODEC, journal.blobs("run"))

    assert isinstance(damage, Damage)
    assert damage.position == 1


def test_an_event_that_says_the_same_in_other_bytes_is_damage(recorded: Path) -> None:
    """Even where chain, checksum and heads were all made anew: there is one way to write an event."""
    with Journal.open(f"sqlite:///{recorded}") as journal:
        rows, blobs = journal.raw("run")[:5], journal.blobs("run")
    state = rows[2].state.replace(b'{"epoch":0,', b'{"epoch": 0,')
    rows[2] = rows[2]._replace(state=state, check=check_of(rows[2].topic, state))
    seal = CODEC.decode(rows[4].topic, rows[4].state)
    assert isinstance(seal, EpochSealed)
    state = CODEC.encode(seal.model_copy(update={"log_digest": chain(GENESIS, rows[:4])}))
    rows[4] = rows[4]._replace(state=state, check=check_of(rows[4].topic, state))

    damage = verify_chain(rows, [Head(0, 5, chain(GENESIS, rows))], CODEC, blobs)

    assert isinstance(damage, Damage)
    assert (damage.position, damage.rule) == (3, "events are written in one way")


def test_the_message_of_damage_is_one_line_that_says_where_and_what_to_do() -> None:
    error = JournalDamaged("run", Damage(6, 10, "seals chain the events", "epoch 1 was sealed otherwise"))

    assert str(error) == (
        "run is damaged at positions 6 to 10: epoch 1 was sealed otherwise (seals chain the events); "
        "restore it from a copy or an export"
    )
