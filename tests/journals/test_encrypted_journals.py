"""Encryption at rest: what lies in the store tells nothing, what is read is as in a plain journal, keys are refused."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from domain.events import DomainEvent, RunStarted
from domain.safety import SafetyConfig
from engine.journal.addresses import open_store
from engine.journal.archive import export_run, import_run
from engine.journal.cipher import cipher_of, new_key
from engine.journal.errors import BlobDamaged, JournalDamaged, KeyRefused, RunMissing
from engine.journal.journal import Journal
from engine.journal.seals import check_of
from tests.support.headers import small_header
from tests.support.small_runs import append, body, end, large_report, sealed
from tests.support.stores import OnAFile, Place

KEY = b64encode(bytes(range(32))).decode()
"""The same in every process: it is part of the names of tests."""
ANOTHER = b64encode(bytes(range(1, 33))).decode()
PLAIN = (b'"epoch"', b"GRAFTING", b"as recorded", b"weights_digest")
"""What stands in the events of the small run."""


@pytest.fixture
def encrypted(place: Place) -> Iterator[Journal]:
    with Journal.open(place.url, key=KEY) as opened:
        yield opened


def stored(place: Place) -> bytes:
    """Everything that the store holds of bodies and blobs; of a file, all of its bytes."""
    kept = b"".join(bytes(state) for (state,) in place.execute("SELECT state FROM stored_events"))
    if isinstance(place, OnAFile):
        files = [path for path in place.file.parent.rglob("*") if path.is_file()]
        return kept + b"".join(path.read_bytes() for path in files)
    return kept + b"".join(bytes(content) for (content,) in place.execute("SELECT content FROM blobs"))


def written(events: Iterable[DomainEvent]) -> list[str]:
    """Events hold numbers that are none, which equal nothing; their bytes do."""
    return [event.model_dump_json() for event in events]


def test_an_encrypted_run_has_the_digests_of_a_plain_one_and_reads_the_same(place: Place, encrypted: Journal) -> None:
    append(encrypted, "run", range(3))
    hidden, other = stored(place), place.another()
    with Journal.open(other.url) as plain:
        append(plain, "run", range(3))

        assert encrypted.heads("run") == plain.heads("run") == list(encrypted.verify("run"))
        assert encrypted.raw("run") == plain.raw("run")
        assert written(encrypted.events("run")) == written(plain.events("run"))
    assert all(word not in hidden for word in PLAIN)
    assert all(word in stored(other) for word in PLAIN)


def test_an_encrypted_run_goes_on_after_it_was_opened_again(place: Place, encrypted: Journal) -> None:
    append(encrypted, "run", range(2))
    with Journal.open(place.url, key=KEY) as again:
        append(again, "run", range(2, 4))
        head = append(again, "run", range(4, 5))

        assert again.last("run", type(body(0)[3])) == (24, body(4)[3])
        assert again.summaries(type(body(0)[0]))[0].head == head
    assert encrypted.verify("run")[-1] == head


def test_the_same_epoch_twice_adds_nothing_although_it_never_looks_the_same(encrypted: Journal) -> None:
    events = sealed(encrypted, "run", body(0), 0)

    assert encrypted.append_epoch("run", 1, events) == encrypted.append_epoch("run", 1, events)
    assert len(encrypted.raw("run")) == len(events)


def test_who_follows_an_encrypted_journal_is_told_the_events(encrypted: Journal) -> None:
    append(encrypted, "run", range(1))
    told = encrypted.follow()

    assert written(next(told).event for _ in body(0)) == written(body(0))


def test_blobs_are_encrypted_and_named_by_what_they_hold(place: Place, encrypted: Journal) -> None:
    encrypted.new_run_id("run")
    blobs, content = encrypted.blobs("run"), b"weights of a network" * 9
    digest = blobs.put(content)

    assert blobs.put(content) == digest
    assert blobs.get(digest) == content
    assert content[:20] not in stored(place)
    with Journal.open(place.another().url) as plain:
        assert plain.blobs("run").put(content) == digest


def test_a_large_event_is_encrypted_with_its_blob(place: Place, encrypted: Journal) -> None:
    report = large_report(9_000)
    encrypted.append_epoch("run", 1, sealed(encrypted, "run", (report,), 0))

    assert written(encrypted.events("run")[:1]) == written((report,))
    assert encrypted.verify("run")
    assert b"ARROW" not in stored(place)


def test_a_blob_that_was_changed_is_damaged(place: Place, encrypted: Journal) -> None:
    digest = encrypted.blobs("run").put(b"weights")
    place.change_blobs("run", lambda content: content[:-1] + bytes([content[-1] ^ 1]))

    with pytest.raises(BlobDamaged, match="cannot be decrypted"):
        encrypted.blobs("run").get(digest)
    assert encrypted.blobs("run").put(b"weights") == digest
    assert encrypted.blobs("run").get(digest) == b"weights"


@pytest.mark.parametrize("is_covered_up", [False, True])
def test_a_changed_event_is_found_where_it_lies(place: Place, encrypted: Journal, is_covered_up: bool) -> None:
    append(encrypted, "run", range(2))
    ((topic, state),) = place.execute("SELECT topic, state FROM stored_events WHERE originator_version = 7")
    changed = bytes(state)[:-1] + bytes([bytes(state)[-1] ^ 1])
    place.execute("UPDATE stored_events SET state = ? WHERE originator_version = 7", (changed,))
    if is_covered_up:
        place.execute("UPDATE stored_events SET checksum = ? WHERE originator_version = 7", (check_of(topic, changed),))

    for read in (encrypted.verify, encrypted.events):
        with pytest.raises(JournalDamaged) as damaged:
            read("run")
        assert damaged.value.position == 7


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "is encrypted; put its key into REGROW_CIPHER_KEY"),
        (ANOTHER, "is encrypted with another key than the one in REGROW_CIPHER_KEY; give it that one"),
    ],
)
def test_without_its_key_a_journal_stays_shut_and_as_it_is(place: Place, key: str | None, said: str) -> None:
    with Journal.open(place.url, key=KEY) as journal:
        append(journal, "run", range(2))
    before = stored(place)

    with pytest.raises(KeyRefused) as refused:
        Journal.open(place.url, key=key)
    assert str(refused.value).endswith(said)
    assert "\n" not in str(refused.value)
    assert stored(place) == before
    with Journal.open(place.url, key=KEY) as journal:
        assert journal.verify("run")


def test_the_library_s_own_frame_is_refused_an_encrypted_journal(place: Place, encrypted: Journal) -> None:
    with pytest.raises(KeyRefused, match="is encrypted"):
        open_store(place.url)


@pytest.mark.parametrize("key", ["short", "c2hvcnQ=", "ä" * 44, KEY[:-4]])
def test_what_is_no_key_is_told_before_anything_is_made(file: Path, key: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        Journal.open(OnAFile(file).url, key=key)

    assert str(refused.value) == "the key is no base64 of 16, 24 or 32 bytes; `regrow new-key` makes one"
    assert not file.exists()


def test_a_plain_journal_with_runs_is_not_encrypted_afterwards(place: Place) -> None:
    with Journal.open(place.url) as journal:
        append(journal, "run", range(1))
    with pytest.raises(KeyRefused, match="is not encrypted and holds runs already"):
        Journal.open(place.url, key=KEY)
    with Journal.open(place.url) as journal:
        assert journal.verify("run")
        assert not journal.is_encrypted


def test_an_empty_plain_journal_is_encrypted_from_the_key_on(place: Place) -> None:
    Journal.open(place.url).close()
    with Journal.open(place.url, key=KEY) as journal:
        assert journal.is_encrypted
    with pytest.raises(KeyRefused):
        Journal.open(place.url)


def required() -> tuple[DomainEvent, ...]:
    return (RunStarted(epoch=0, header=small_header(safety=SafetyConfig(encryption_required=True))),)


def test_a_run_that_has_to_be_encrypted_is_refused_by_a_plain_journal(place: Place) -> None:
    with Journal.open(place.url) as journal:
        with pytest.raises(KeyRefused, match=r"safety.encryption_required is set; make a key with `regrow new-key`"):
            journal.append_epoch("run", 1, sealed(journal, "run", required(), 0))
        with pytest.raises(RunMissing):
            journal.verify("run")


def test_an_archive_is_plain_and_so_is_made_and_read_only_by_leave(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "run.jsonl"
    with Journal.open(place.url, key=KEY) as journal:
        journal.append_epoch("run", 1, sealed(journal, "run", required(), 0))
        end(journal, "run", 1)
        with pytest.raises(KeyRefused, match="--decrypt"):
            export_run(journal, "run", archive)
        assert not archive.exists()
        export_run(journal, "run", archive, decrypt=True)
        head = journal.head("run")
    with Journal.open(place.another().url, key=new_key()) as journal:
        assert journal.head(import_run(archive, journal)) == head
    with Journal.open(place.another().another().url) as journal:
        with pytest.raises(KeyRefused, match="encryption_required"):
            import_run(archive, journal)
        assert journal.runs() == []


def test_a_cipher_gives_back_what_it_was_given_and_nothing_else() -> None:
    cipher = cipher_of(KEY)
    hidden = cipher.encrypt(b"a secret")

    assert cipher.decrypt(hidden) == b"a secret"
    assert hidden != cipher.encrypt(b"a secret")
    for changed in (hidden[:-1], b"", bytes([hidden[0] ^ 1]) + hidden[1:]):
        with pytest.raises(ValueError, match=r"[Dd]amaged"):
            cipher.decrypt(changed)
    with pytest.raises(ValueError, match="damaged"):
        cipher_of(new_key()).decrypt(hidden)
