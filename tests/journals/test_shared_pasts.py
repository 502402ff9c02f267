"""A fork's past: recorded together with its first epoch, its large events its own, nothing of it without that epoch."""

from __future__ import annotations

import pytest

from domain.events import PanicRaised
from engine.journal.archive import export_run, import_run
from engine.journal.claims import Claim
from engine.journal.errors import BlobMissing, RunMissing
from engine.journal.journal import Journal
from engine.recording import JournalSink
from tests.support.small_runs import append, body, large_report, sealed

DIGESTS = ("cd" * 32, "ef" * 32)


def parent_with_a_large_report(journal: Journal) -> None:
    """A run of three epochs whose first holds a claim."""
    events = sealed(journal, "parent", (large_report(8_000), PanicRaised(epoch=0, reason="small")), 0)
    journal.append_epoch("parent", 1, events)
    append(journal, "parent", range(1, 3))


def forked(journal: Journal, at: int) -> JournalSink:
    """A sink that records a fork of the parent after epoch ``at``."""
    head = journal.heads("parent")[at]
    journal.share_past("parent", head, journal.new_run_id("child"))
    return JournalSink(journal, "child", head)


def test_a_fork_has_the_claims_of_its_past_and_their_bytes(journal: Journal) -> None:
    parent_with_a_large_report(journal)
    sink = forked(journal, 1)
    sink.seal(2, body(2, flavour="otherwise"), *DIGESTS)

    (claimed,) = (row for row in journal.raw("child") if Claim.marks(row.state))
    assert journal.raw("child", 0, 7) == journal.raw("parent", 0, 7)
    journal.blobs("parent").release(Claim.parse(claimed.state).blob)
    assert journal.verify("child")[-1] == sink.head
    assert journal.heads("child")[:2] == journal.heads("parent")[:2]


def test_a_fork_of_large_events_travels_alone(journal: Journal, tmp_path_factory: pytest.TempPathFactory) -> None:
    parent_with_a_large_report(journal)
    sink = forked(journal, 0)
    sink.seal(1, body(1, flavour="otherwise"), *DIGESTS)
    folder = tmp_path_factory.mktemp("elsewhere")
    export_run(journal, "child", folder / "child.jsonl")
    with Journal.open(f"sqlite:///{folder}/journal.db") as there:
        assert import_run(folder / "child.jsonl", there) == "child"
        assert there.verify("child")[-1] == sink.head


def test_a_past_alone_is_no_run_and_can_be_dropped(journal: Journal) -> None:
    parent_with_a_large_report(journal)
    sink = forked(journal, 1)
    (claimed,) = (row for row in journal.raw("parent") if Claim.marks(row.state))
    blob = Claim.parse(claimed.state).blob

    assert journal.runs() == ["parent"]
    with pytest.raises(RunMissing):
        journal.verify("child")
    assert journal.blobs("child").get(blob)
    journal.drop_blobs("child")
    with pytest.raises(BlobMissing):
        journal.blobs("child").get(blob)
    assert journal.blobs("parent").get(blob)
    assert sink.head == journal.heads("parent")[1]


def test_a_run_that_is_recorded_keeps_its_blobs(journal: Journal) -> None:
    parent_with_a_large_report(journal)
    with pytest.raises(AssertionError, match="parent is recorded and keeps its blobs"):
        journal.drop_blobs("parent")
    assert len(journal.verify("parent")) == 3
