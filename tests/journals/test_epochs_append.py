"""Epochs are appended whole, once, in their place."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from domain.events import DecisionMade, EpochCompleted, EpochSealed, RunEnded
from engine.journal.codec import Codec
from engine.journal.errors import EpochConflict, RunMissing, RunNameRefused
from engine.journal.journal import Journal
from engine.journal.seals import GENESIS, Head
from tests.support.small_runs import append, body, end, sealed
from tests.support.stores import Place
from tests.support.writers import writer


def test_what_is_appended_is_what_is_read(journal: Journal) -> None:
    epochs = [sealed(journal, "run", body(0), 0)]
    head = journal.append_epoch("run", 1, epochs[0])
    epochs.append(sealed(journal, "run", body(1), 1))
    journal.append_epoch("run", head.position + 1, epochs[1])

    everything = journal.events("run")

    encode = Codec().encode
    written = [encode(event) for epoch in epochs for event in epoch]
    assert [encode(event) for event in everything] == written
    assert [encode(event) for event in journal.events("run", after=5)] == written[5:]
    assert [encode(event) for event in journal.events("run", upto=5)] == written[:5]
    assert [encode(event) for event in journal.events("run", after=3, upto=6)] == written[3:6]


def test_the_same_epoch_twice_adds_nothing(journal: Journal) -> None:
    events = sealed(journal, "run", body(0), 0)
    first = journal.append_epoch("run", 1, events)
    append(journal, "run", range(1, 3))

    again = journal.append_epoch("run", 1, events)

    assert again == first
    assert len(journal.raw("run")) == 15


def test_a_different_epoch_in_the_same_place_is_a_conflict_that_changes_nothing(journal: Journal) -> None:
    append(journal, "run", range(2))
    before = journal.raw("run")
    other = sealed(journal, "run", body(0, flavour="otherwise"), 0, after=Head(-1, 0, GENESIS))

    with pytest.raises(EpochConflict, match="run holds another decision-made at position 3"):
        journal.append_epoch("run", 1, other)

    assert journal.raw("run") == before
    assert len(other) == 5, "the caller still has its events"


def test_an_epoch_cannot_leave_a_gap(journal: Journal) -> None:
    append(journal, "run", range(1))

    with pytest.raises(EpochConflict, match="run ends at position 5, so an epoch cannot begin at 7"):
        journal.append_epoch("run", 7, sealed(journal, "run", body(1), 1))


def test_an_epoch_that_was_sealed_after_another_history_is_a_conflict(journal: Journal) -> None:
    append(journal, "run", range(1))
    elsewhere = sealed(journal, "run", body(1), 1, after=Head(0, 5, "ab" * 32))

    with pytest.raises(EpochConflict, match="epoch 1 of run was sealed after another history"):
        journal.append_epoch("run", 6, elsewhere)


def test_an_epoch_of_another_length_in_the_same_place_is_a_conflict(journal: Journal) -> None:
    append(journal, "run", range(1))
    short = sealed(journal, "run", body(0)[:3], 0, after=Head(-1, 0, GENESIS))

    with pytest.raises(EpochConflict, match="run holds another stage-changed at position 4"):
        journal.append_epoch("run", 1, short)


def test_the_slower_of_two_writers_is_told(url: str) -> None:
    with Journal.open(url) as one, Journal.open(url) as other:
        append(one, "run", range(1))
        ours = sealed(one, "run", body(1), 1)
        theirs = sealed(other, "run", body(1, flavour="otherwise"), 1)
        one.append_epoch("run", 6, ours)

        with pytest.raises(EpochConflict, match="position 8"):
            other.append_epoch("run", 6, theirs)

        assert other.raw("run") == one.raw("run")
        assert len(other.raw("run")) == 10


def test_many_threads_append_one_epoch_once(journal: Journal) -> None:
    events = sealed(journal, "run", body(0), 0)
    heads: list[Head] = []
    threads = [threading.Thread(target=lambda: heads.append(journal.append_epoch("run", 1, events))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(heads) == 6
    assert len(set(heads)) == 1
    assert len(journal.raw("run")) == 5


def test_sealing_and_appending_in_one_go_records_the_same_as_in_two(journal: Journal) -> None:
    heads = []
    for epoch, first in ((0, 1), (1, 6)):
        append(journal, "two", range(epoch, epoch + 1))
        seal, head = journal.seal_epoch(
            "one", first, body(epoch), epoch=epoch, state_digest="cd" * 32, memory_digest="ef" * 32
        )
        again = journal.append_epoch("one", first, (*body(epoch), seal))
        heads.append((head, again))

    assert journal.raw("one") == journal.raw("two")
    assert [head for head, _ in heads] == [again for _, again in heads] == journal.heads("two")


def test_many_processes_may_make_one_journal_at_once(url: str) -> None:
    writers = [writer(url, f"run-{number}") for number in range(4)]
    for writing in writers:
        with writing:
            assert writing.stdout is not None
            assert writing.stdout.readline() == "0\n"
            writing.kill()

    with Journal.open(url) as journal:
        assert sorted(journal.runs()) == [f"run-{number}" for number in range(4)]
        for run_id in journal.runs():
            journal.verify(run_id)


def test_two_names_are_never_the_same(url: str) -> None:
    with Journal.open(url) as one, Journal.open(url) as other:
        names = [one.new_run_id("digits"), other.new_run_id("digits"), one.new_run_id("digits"), one.new_run_id("xor4")]

    assert names == ["digits", "digits.2", "digits.3", "xor4"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 129])
def test_a_name_that_is_no_plain_name_is_refused(journal: Journal, name: str) -> None:
    with pytest.raises(RunNameRefused, match="is no run id"):
        journal.new_run_id(name)


def test_runs_are_listed_by_age_and_only_once_something_is_recorded(journal: Journal) -> None:
    for name in ("zebra", "aardvark", "empty"):
        journal.new_run_id(name)
    append(journal, "aardvark", range(1))
    append(journal, "zebra", range(2))

    assert journal.runs() == ["zebra", "aardvark"]


def test_a_summary_holds_the_first_event_the_head_and_the_latest_of_each_kind(journal: Journal) -> None:
    append(journal, "run", range(3))
    head = end(journal, "run", 3)

    (summary,) = journal.summaries(EpochSealed, RunEnded, EpochCompleted)

    assert (summary.run_id, summary.head, summary.first.epoch) == ("run", head, 0)
    assert {kind.TOPIC: event.epoch for kind, event in summary.latest.items()} == {
        "epoch-completed": 2,
        "run-ended": 3,
        "epoch-sealed": 3,
    }


def test_the_latest_event_of_a_kind_is_found_with_its_position(journal: Journal) -> None:
    append(journal, "run", range(3))

    found = journal.last("run", DecisionMade)

    assert found is not None
    assert (found[0], found[1].epoch) == (13, 2)
    assert journal.last("run", RunEnded) is None


def test_notes_lie_beside_the_run_and_change_no_digest(journal: Journal) -> None:
    head = append(journal, "run", range(1))
    journal.note("run", "host", "a")
    journal.note("run", "host", "b")

    assert journal.notes("run") == {"host": "b"}
    assert journal.head("run") == head
    assert journal.verify("run") == (head,)


def test_two_journals_of_the_same_run_hold_the_same_digests(place: Place, tmp_path: Path) -> None:
    found = []
    for name, url in (("one", place.url), ("two", f"sqlite:///{tmp_path}/two.db")):
        with Journal.open(url) as journal:
            append(journal, f"run-{name}", range(4))
            found.append(journal.heads(f"run-{name}"))

    assert found[0] == found[1]


def test_a_follower_sees_what_was_and_what_comes_from_here_and_elsewhere(url: str) -> None:
    with Journal.open(url) as one, Journal.open(url) as other:
        append(one, "a", range(1))
        following = one.follow(after_notification=2)
        seen = [next(following) for _ in range(3)]
        append(other, "b", range(1))
        seen += [next(following) for _ in range(5)]
        append(one, "a", range(1, 2))
        seen += [next(following)]

    assert [(entry.run_id, entry.position) for entry in seen] == [
        *[("a", position) for position in (3, 4, 5)],
        *[("b", position) for position in (1, 2, 3, 4, 5)],
        ("a", 6),
    ]
    assert [entry.notification for entry in seen] == list(range(3, 12))
    assert list(following) == [], "closing the journal ends the following"


def test_a_follower_sees_every_event_of_two_writing_processes_once_and_in_order(url: str) -> None:
    writers = [writer(url, name) for name in ("one", "two")]
    seen: list[tuple[int, str, int]] = []
    reached = {"one": 0, "two": 0}
    turns = 0
    with Journal.open(url) as journal:
        following = journal.follow()
        # Until both wrote at once: where one has the store to itself for long, the other is waited for.
        while min(reached.values()) < 150 or turns <= 2:
            entry = next(following)
            turns += bool(seen) and seen[-1][1] != entry.run_id
            assert len(seen) < 20_000, "the writers never took turns"
            seen.append((entry.notification, entry.run_id, entry.position))
            reached[entry.run_id] = entry.position
        for process in writers:
            with process:
                process.kill()
        journal.verify("one")
        journal.verify("two")

    assert [notification for notification, _, _ in seen] == list(range(1, len(seen) + 1))
    for name in ("one", "two"):
        positions = [position for _, run_id, position in seen if run_id == name]
        assert positions == list(range(1, len(positions) + 1))


def test_a_run_that_is_not_there_is_missing(journal: Journal) -> None:
    assert journal.events("nobody") == ()
    assert journal.head("nobody") is None
    with pytest.raises(RunMissing, match="there is no run 'nobody'"):
        journal.verify("nobody")


@pytest.mark.parametrize("lines", [1, 3, 10, 40])
def test_a_killed_writer_leaves_whole_epochs_that_go_on(url: str, lines: int) -> None:
    with writer(url, "run") as writing:
        assert writing.stdout is not None
        for _ in range(lines):
            writing.stdout.readline()
        writing.send_signal(signal.SIGKILL)

    with Journal.open(url) as journal:
        heads = journal.verify("run")
        assert len(heads) >= lines
        assert heads[-1].position == len(journal.raw("run")) == 5 * len(heads)
        append(journal, "run", range(len(heads), len(heads) + 1))
        assert len(journal.verify("run")) == len(heads) + 1


def test_a_reader_sees_whole_epochs_while_another_process_writes(url: str) -> None:
    with writer(url, "run") as writing:
        assert writing.stdout is not None
        writing.stdout.readline()
        with Journal.open(url) as journal:
            lengths = [len(journal.raw("run")) for _ in range(200)]
        writing.kill()

    assert {length % 5 for length in lengths} == {0}
    assert lengths == sorted(lengths)
