"""What a journal says where an address, a file, a folder or the disk will not do, and that it leaves them as they are."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.journal.blobs import unwritten
from engine.journal.datastore import JournalDatastore
from engine.journal.errors import JournalBusy, JournalTooNew, NotAJournal, StorageFailed, UnknownStore
from engine.journal.failures import translated
from engine.journal.journal import Journal
from tests.support.small_runs import append
from tests.support.stores import OnAFile, Place


def test_a_full_disk_is_one_clear_line_and_keeps_what_was_recorded(in_a_file: Journal, file: Path) -> None:
    journal = in_a_file
    append(journal, "run", range(2))
    pages = sqlite3.connect(file).execute("PRAGMA page_count").fetchone()[0]
    _on_every_connection(journal, lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}"))
    epoch, failure = 2, ""
    while not failure:
        try:
            append(journal, "run", range(epoch, epoch + 1))
        except StorageFailed as error:
            failure = str(error)
        else:
            epoch += 1

    assert "database or disk is full; free some space or choose another place" in failure
    assert "\n" not in failure
    assert len(journal.verify("run")) == epoch
    _on_every_connection(journal, lambda connection: connection.execute("PRAGMA max_page_count = 100000"))
    append(journal, "run", range(epoch, epoch + 1))
    assert len(journal.verify("run")) == epoch + 1


def test_a_file_that_may_only_be_read_is_to_be_made_writable_and_reads_on(in_a_file: Journal) -> None:
    journal = in_a_file
    append(journal, "run", range(2))
    _on_every_connection(journal, lambda connection: connection.execute("PRAGMA query_only = ON"))

    with pytest.raises(StorageFailed, match="attempt to write a readonly database; the file may only be read: make it"):
        append(journal, "run", range(2, 3))
    assert len(journal.verify("run")) == 2


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (sqlite3.SQLITE_READONLY, "make it writable or choose another journal"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "make it writable or choose another journal"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "make the folder writable or copy all of it to one that is"),
        (sqlite3.SQLITE_CANTOPEN, "see that the file and its folder may be read and written, or choose another place"),
        (sqlite3.SQLITE_FULL, "free some space or choose another place"),
        (sqlite3.SQLITE_IOERR_WRITE, "free some space or choose another place"),
    ],
)
def test_the_way_out_of_what_the_disk_refuses_is_one_that_leads_out(code: int, way_out: str) -> None:
    refused = sqlite3.OperationalError("no")
    refused.sqlite_errorcode = code

    with pytest.raises(StorageFailed) as failed, translated("sqlite:///journal.db"):
        raise refused
    assert str(failed.value).startswith("sqlite:///journal.db could not be used: no; ")
    assert str(failed.value).endswith(way_out)


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (errno.ENOSPC, "free some space or choose another folder"),
        (errno.EFBIG, "free some space or choose another folder"),
        (errno.EACCES, "make the folder writable or choose another folder"),
        (errno.EROFS, "make the folder writable or choose another folder"),
    ],
)
def test_the_way_out_for_what_lies_beside_the_journal_is_as_exact(code: int, way_out: str) -> None:
    refusal = unwritten(Path("journal.blobs/run/blob"), OSError(code, os.strerror(code)))

    assert str(refusal) == f"cannot write journal.blobs/run/blob: {os.strerror(code)}; {way_out}"


def _on_every_connection(journal: Journal, act: Callable[[sqlite3.Connection], object]) -> None:
    store = journal._store
    for connection in store.datastore.pool._pool:  # type: ignore[attr-defined]
        act(connection._sqlite_conn)


def test_a_file_that_another_process_holds_says_so(in_a_file: Journal, file: Path) -> None:
    journal = in_a_file
    append(journal, "run", range(1))
    _on_every_connection(journal, lambda connection: connection.execute("PRAGMA busy_timeout = 1"))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(JournalBusy, match="in use by another process"):
        append(journal, "run", range(1, 2))

    other.execute("ROLLBACK")
    append(journal, "run", range(1, 2))


@pytest.mark.parametrize(
    "address", ["mongodb://x", "journal.db", "sqlite://", "sqlite:///", "sqlite:///x.db?mode=ro", ""]
)
def test_an_address_that_no_store_answers_to_is_refused(address: str) -> None:
    with pytest.raises(UnknownStore, match=r"no store|option that no store knows"):
        Journal.open(address)


def test_an_address_takes_the_rest_as_a_path_whatever_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sub folder/a#b%20c.db", ".regrow/journal.db"):
        with Journal.open(f"sqlite:///{name}?synchronous=full") as journal:
            append(journal, "run", range(1))
        assert (tmp_path / name).is_file()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a journal " * 200)

    with pytest.raises(NotAJournal, match="is no SQLite file"):
        Journal.open(f"sqlite:///{file}")

    assert file.read_text() == "not a journal " * 200


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    content = file.read_bytes()

    with pytest.raises(NotAJournal, match="another program's database"):
        Journal.open(f"sqlite:///{file}")

    assert file.read_bytes() == content


def test_a_journal_of_a_newer_format_is_refused(place: Place) -> None:
    Journal.open(place.url).close()
    place.execute("PRAGMA user_version = 2" if isinstance(place, OnAFile) else "UPDATE journal SET format = 2")

    with pytest.raises(JournalTooNew, match="has journal format 2 but this regrow reads up to 1"):
        Journal.open(place.url)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageFailed, match="cannot make"):
        Journal.open(f"sqlite:///{tmp_path}/file/journal.db")


def test_closing_the_file_spares_a_connection_that_is_in_use(tmp_path: Path) -> None:
    """Closing a connection under another thread's statement would be a segmentation fault."""
    datastore = JournalDatastore(tmp_path / "journal.db")
    connection = datastore.pool.get_connection()

    datastore.close()

    assert connection.cursor().execute("SELECT 1") is None
    assert not connection.closed
    datastore.pool.put_connection(connection)
    assert connection.closed
