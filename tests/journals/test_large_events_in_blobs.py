"""Blobs keep their bytes, and an event over 1 MB leaves only a claim in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.events import LayerHealthReported, PanicRaised
from domain.health import METRICS
from engine.journal.blobs import BlobStore
from engine.journal.claims import CLAIM_BYTES_MIN, Claim
from engine.journal.codec import Codec
from engine.journal.errors import BlobDamaged, BlobMissing, JournalDamaged, RunNameRefused
from engine.journal.journal import Journal
from tests.support.small_runs import large_report, sealed
from tests.support.stores import Change, Place


def test_a_report_of_a_hundred_thousand_seeds_goes_to_a_blob_and_comes_back_bit_for_bit(journal: Journal) -> None:
    event = large_report(100_000)
    journal.append_epoch("run", 1, sealed(journal, "run", (event,), 0))

    row = journal.raw("run")[0]
    back = journal.events("run")[0]

    assert Claim.marks(row.state)
    assert len(row.state) < 2_000
    assert isinstance(back, LayerHealthReported)
    encode = Codec().encode
    assert encode(back) == encode(event)
    assert len(encode(event)) > CLAIM_BYTES_MIN
    assert all(getattr(back.report, name) == getattr(event.report, name) for name in METRICS)
    assert len(journal.verify("run")) == 1


@pytest.mark.parametrize("harm", ["flip", "delete", "swap"])
def test_a_harmed_blob_is_damage_at_the_event_that_claims_it(journal: Journal, place: Place, harm: str) -> None:
    events = (PanicRaised(epoch=0, reason="small"), large_report(8_000))
    journal.append_epoch("run", 1, sealed(journal, "run", events, 0))
    changes: dict[str, Change] = {
        "flip": lambda content: content[:-300] + b"\x00" * 300,
        "delete": lambda _: None,
        "swap": lambda _: b"",
    }
    place.change_blobs("run", changes[harm])

    with pytest.raises(JournalDamaged, match="damaged at position 2: ") as found:
        journal.verify("run")
    with pytest.raises(JournalDamaged, match="damaged at position 2: "):
        journal.events("run")

    assert found.value.position == 2


def test_a_large_event_of_any_other_type_goes_to_a_blob_too(journal: Journal) -> None:
    event = PanicRaised(epoch=0, reason="x" * (CLAIM_BYTES_MIN + 1))
    head = journal.append_epoch("run", 1, sealed(journal, "run", (event,), 0))

    assert journal.events("run")[0] == event
    assert journal.verify("run") == (head,)
    assert len(journal.raw("run")[0].state) < 500


def test_an_epoch_with_a_claim_appended_twice_adds_nothing(journal: Journal) -> None:
    events = sealed(journal, "run", (large_report(8_000),), 0)

    assert journal.append_epoch("run", 1, events) == journal.append_epoch("run", 1, events)
    assert len(journal.raw("run")) == 2


def test_blobs_lie_beside_the_journal_under_their_run_and_digest(in_a_file: Journal, file: Path) -> None:
    digest = in_a_file.blobs("run").put(b"weights")

    assert (file.parent / "journal.blobs" / "run" / digest).read_bytes() == b"weights"


def test_a_blob_is_kept_once_and_for_its_own_run(journal: Journal, place: Place) -> None:
    one, other = journal.blobs("one"), journal.blobs("other")
    digest = one.put(b"weights")

    assert one.put(b"weights") == other.put(b"weights") == digest
    assert one.get(digest) == b"weights"
    other.release(digest)
    assert one.get(digest) == b"weights"
    with pytest.raises(BlobMissing, match=f"blob {digest} is missing"):
        other.get(digest)


def test_a_blob_is_read_only_as_it_was_written(journal: Journal, place: Place) -> None:
    blobs = journal.blobs("run")
    digest = blobs.put(b"weights")
    place.change_blobs("run", lambda _: b"weightS")

    with pytest.raises(BlobDamaged, match=f"blob {digest} is damaged"):
        blobs.get(digest)
    blobs.release(digest)
    with pytest.raises(BlobMissing, match=f"blob {digest} is missing"):
        blobs.get(digest)
    blobs.release(digest)


def test_putting_a_blob_again_heals_it(journal: Journal, place: Place) -> None:
    blobs = journal.blobs("run")
    digest = blobs.put(b"weights")
    place.change_blobs("run", lambda _: b"")

    assert blobs.put(b"weights") == digest
    assert blobs.get(digest) == b"weights"


def test_nothing_is_left_beside_a_blob_that_was_healed(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path).for_run("run")
    digest = blobs.put(b"weights")
    blobs.path(digest).write_bytes(b"")
    blobs.put(b"weights")

    assert [path.name for path in blobs.folder.iterdir()] == [digest]


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "AB" * 32, "ab" * 31])
def test_what_is_no_digest_names_no_blob(journal: Journal, digest: str) -> None:
    with pytest.raises(BlobMissing, match="names no blob"):
        journal.blobs("run").get(digest)


def test_a_run_that_is_no_plain_name_has_no_blobs(journal: Journal) -> None:
    with pytest.raises(RunNameRefused, match="is no run id"):
        journal.blobs("../other")
