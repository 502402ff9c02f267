"""What only a PostgreSQL journal can meet: passwords, strangers' tables, lost connections, many writers at once."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from engine.journal.addresses import open_store
from engine.journal.errors import (
    EpochConflict,
    JournalBusy,
    JournalDamaged,
    JournalError,
    NotAJournal,
    StorageFailed,
    UnknownStore,
)
from engine.journal.journal import Journal
from engine.journal.postgres_blobs import BLOB_BYTES_MAX
from engine.journal.postgres_datastore import server_address
from tests.support.commands import Shell
from tests.support.lossy_server import LossyServer
from tests.support.small_runs import append, body, sealed
from tests.support.stores import OnAServer

SECRET = "s3cret"


@pytest.fixture
def schema(postgres: str) -> OnAServer:
    return OnAServer(postgres)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://kim:s3cret@db.example:5433/lab", "postgresql://kim@db.example:5433/lab"),
        ("postgres://kim:s3cret@db.example/lab", "postgresql://kim@db.example/lab"),
        ("postgresql://kim:a?s3cret&b@db/lab?sslmode=require", "postgresql://kim@db/lab"),
        ("postgresql://kim%40home:s3cret@db/my%20lab", "postgresql://kim%40home@db/my%20lab"),
        ("postgresql:///lab?host=/run/pg&user=kim&password=s3cret", "postgresql://kim@/lab?host=/run/pg"),
        ("postgresql://db/lab?options=-csearch_path%3Dx", "postgresql://db/lab?options=-csearch_path%3Dx"),
        ("postgresql://one:1,two:2/lab", "postgresql:///lab?host=one,two&port=1,2"),
        ("postgresql://kim:s3cret@[::1]:5433/lab", "postgresql://kim@[::1]:5433/lab"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_a_server_is_named_without_its_password(url: str, name: str) -> None:
    assert server_address(url).name == name
    assert server_address(url).conninfo == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://kim:s3cret@nowhere.invalid/lab",
        "postgresql://kim:s3cret@127.0.0.1:1/lab",
        "postgresql://kim:s3/cret@127.0.0.1:1/lab",
        "postgresql://kim:s3cret@127.0.0.1:s3cret/lab",
        "postgresql://kim:s3cret@127.0.0.1:1/lab?s3cret=1",
        "postgresql://kim:s3cret@127.0.0.1:1/lab?synchronous=s3cret",
        "postgresql://kim:s3cret@127.0.0.1:1/lab?password=s3cret",
        "postgresql:/kim:s3cret@127.0.0.1/lab",
        "host=127.0.0.1 password=s3cret dbname=lab",
        "postgresq://kim:s3cret@127.0.0.1:1/lab",
        "mysql://kim:s3cret@127.0.0.1:1/lab",
    ],
)
def test_no_complaint_about_an_address_tells_the_password(url: str) -> None:
    with pytest.raises((StorageFailed, UnknownStore)) as found:
        Journal.open(url)

    assert SECRET not in str(found.value)
    assert "s3" not in str(found.value)
    assert "\n" not in str(found.value)


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(
        StorageFailed, match=r"^postgresql://kim@127.0.0.1:1/lab cannot be reached: .*; see that the server runs"
    ):
        Journal.open("postgresql://kim:s3cret@127.0.0.1:1/lab")


def test_a_database_or_schema_that_is_not_there_is_one_clear_line(schema: OnAServer) -> None:
    with pytest.raises(StorageFailed, match='database "nowhere" does not exist; see that the server runs, has the'):
        Journal.open(schema.url.replace("/postgres?", "/nowhere?"))
    with pytest.raises(StorageFailed, match="names a schema that is not there; make it with CREATE SCHEMA"):
        Journal.open(schema.url.replace(schema.schema, "nowhere"))


def test_without_the_driver_the_way_to_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("engine.journal.postgres")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(UnknownStore, match=r"pip install 'regrow\[postgres\]'"):
        Journal.open("postgresql://kim:s3cret@db/lab")


@pytest.mark.parametrize("table", ["journal", "stored_events", "notes"])
def test_another_programs_table_is_refused_and_left_alone(schema: OnAServer, table: str) -> None:
    schema.execute(f"CREATE TABLE {table} (recipe text)")
    schema.execute(f"INSERT INTO {table} VALUES ('soup')")

    with pytest.raises(NotAJournal, match=f"holds another program's '{table}'"):
        Journal.open(schema.url)

    assert schema.execute(f"SELECT * FROM {table}") == [("soup",)]
    assert schema.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == [(1,)]


def test_another_programs_journal_is_refused(schema: OnAServer) -> None:
    schema.execute("CREATE TABLE journal (program text, format integer)")
    schema.execute("INSERT INTO journal VALUES ('diary', 1)")

    with pytest.raises(NotAJournal, match="holds another program's 'journal'"):
        Journal.open(schema.url)


def test_a_journal_shares_a_schema_with_tables_of_other_names(schema: OnAServer) -> None:
    schema.execute("CREATE TABLE recipes (name text)")

    with Journal.open(schema.url) as journal:
        append(journal, "run", range(1))

    assert schema.execute("SELECT * FROM recipes") == []


def test_a_journal_that_lost_a_table_is_damaged(schema: OnAServer) -> None:
    Journal.open(schema.url).close()
    schema.execute("DROP TABLE heads")

    with pytest.raises(JournalDamaged, match="table 'heads' is missing"):
        Journal.open(schema.url)


def test_a_journal_may_take_a_database_of_its_own(postgres: str, schema: OnAServer) -> None:
    name = f"database_of_{schema.schema}"
    schema.execute(f"CREATE DATABASE {name}")
    url = postgres.replace("/postgres?", f"/{name}?")
    with Journal.open(f"{url}&synchronous=full") as journal:
        append(journal, "run", range(1))
        assert journal.name.startswith(f"postgresql://postgres@/{name}?host=")
    with Journal.open(url) as journal:
        assert journal.runs() == ["run"]
        assert len(journal.verify("run")) == 1


def test_a_journal_that_another_client_holds_says_so(schema: OnAServer) -> None:
    with Journal.open(f"{schema.url}%20-clock_timeout%3D20") as journal:
        append(journal, "run", range(1))
        with psycopg.connect(schema.url) as other:
            other.execute("SELECT * FROM journal FOR UPDATE")
            with pytest.raises(JournalBusy, match="in use by another process"):
                append(journal, "run", range(1, 2))
            assert len(journal.events("run")) == 5, "readers wait for nobody"
        append(journal, "run", range(1, 2))

        assert len(journal.verify("run")) == 2


def _end_connections(schema: OnAServer) -> None:
    """As a restart of the server does to a journal that is open."""
    schema.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = ?", (schema.schema,)
    )


def test_a_lost_connection_is_made_again(schema: OnAServer) -> None:
    with Journal.open(f"{schema.url}&application_name={schema.schema}") as journal:
        append(journal, "run", range(1))
        _end_connections(schema)
        assert len(journal.events("run")) == 5
        _end_connections(schema)
        append(journal, "run", range(1, 3))
        _end_connections(schema)
        digest = journal.blobs("run").put(b"weights")

        assert len(journal.verify("run")) == 3
        assert journal.blobs("run").get(digest) == b"weights"


def test_an_epoch_whose_commit_nobody_heard_of_is_recorded_once(schema: OnAServer) -> None:
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket must be short
        host = psycopg.conninfo.conninfo_to_dict(schema.url)["host"]
        lossy = LossyServer(Path(folder), Path(str(host)) / ".s.PGSQL.5432")
        with Journal.open(schema.url.replace(str(host), folder)) as journal:
            append(journal, "run", range(1))
            events = sealed(journal, "run", body(1), 1)
            lossy.lose_the_next_commit()
            head = journal.append_epoch("run", 6, events)

            assert lossy.losses == 1
            assert journal.verify("run")[-1] == head
            assert len(journal.raw("run")) == 10
        lossy.close()


def test_a_blob_too_large_for_a_database_is_refused(schema: OnAServer) -> None:
    with (
        Journal.open(schema.url) as journal,
        pytest.raises(StorageFailed, match="takes no blob of 1,000,000,001 bytes"),
    ):
        journal.blobs("run").put(bytes(BLOB_BYTES_MAX + 1))


def test_workers_reach_each_others_blobs(schema: OnAServer) -> None:
    with Journal.open(schema.url) as one, Journal.open(schema.url) as other:
        digest = one.blobs("run").put(bytes(range(256)) * 40_000)

        assert other.blobs("run").get(digest) == bytes(range(256)) * 40_000


def test_an_event_that_commits_late_is_not_passed_over(schema: OnAServer) -> None:
    """The first writer holds its ids and does not commit; the second waits; the follower sees them in order."""
    with Journal.open(schema.url) as journal:
        append(journal, "a", range(1))
        late, rows = psycopg.connect(schema.url), journal.raw("a")
        late.execute("UPDATE journal SET notifications = notifications + 1")
        late.execute(
            "INSERT INTO stored_events VALUES (6, 'late', 1, %s, %s, %s)", (rows[0].topic, rows[0].state, rows[0].check)
        )
        second = threading.Thread(target=append, args=(journal, "b", range(1)))
        second.start()
        following = journal.follow()
        seen = [next(following) for _ in range(5)]
        late.commit()
        late.close()
        seen += [next(following) for _ in range(6)]
        second.join()

    assert [entry.notification for entry in seen] == list(range(1, 12))
    assert [entry.run_id for entry in seen] == ["a"] * 5 + ["late"] + ["b"] * 5


def test_of_two_processes_that_append_to_one_run_one_is_told_and_nothing_is_lost(schema: OnAServer) -> None:
    with Journal.open(schema.url) as one, Journal.open(schema.url) as other:
        append(one, "run", range(1))
        epochs = {
            journal: sealed(journal, "run", body(1, flavour=flavour), 1)
            for journal, flavour in ((one, "ours"), (other, "theirs"))
        }
        outcomes: list[str] = []

        def record(journal: Journal) -> None:
            try:
                journal.append_epoch("run", 6, epochs[journal])
                outcomes.append("recorded")
            except EpochConflict:
                outcomes.append("told")

        threads = [threading.Thread(target=record, args=(journal,)) for journal in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == ["recorded", "told"]
        assert len(one.verify("run")) == 2
        assert one.raw("run") == other.raw("run")


def test_a_store_that_is_closed_says_so_in_our_words(schema: OnAServer) -> None:
    journal = Journal.open(schema.url)
    journal.close()

    with pytest.raises(JournalError):
        journal.runs()
    assert open_store(schema.url).name == journal.name


def test_a_run_is_recorded_and_verified_on_a_server_by_the_command(schema: OnAServer, tmp_path: Path) -> None:
    shell = Shell(tmp_path, {"REGROW_JOURNAL": schema.url})
    run = shell.inside("run", "xor4", "--epochs", "3", "--json").document["run"]

    assert shell.inside("verify", run, "--json").document["rung"] == 3
    assert [listed["run"] for listed in shell.inside("runs", "--json").document] == [run]


def test_the_command_ends_with_the_code_of_what_went_wrong(schema: OnAServer, tmp_path: Path) -> None:
    schema.execute("CREATE TABLE notes (recipe text)")
    foreign = Shell(tmp_path, {"REGROW_JOURNAL": schema.url}).inside("runs")
    away = Shell(tmp_path, {"REGROW_JOURNAL": "postgresql://kim:s3cret@127.0.0.1:1/lab"}).inside("runs")

    assert (foreign.code, away.code) == (2, 3)
    assert "holds another program's 'notes'" in foreign.complaint
    assert "cannot be reached" in away.complaint and SECRET not in away.complaint
