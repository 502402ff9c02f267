"""The PostgreSQL side of a journal: what makes a schema one, and connections that use it.

A journal takes the current schema of its address, ``public`` unless the address says otherwise, and shares it only
with tables of other names. ``synchronous=normal`` is PostgreSQL's ``synchronous_commit = off``: a killed client loses
nothing; a killed server may lose the epochs of its last second but never half of one, nor one without those after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, final
from urllib.parse import quote, urlencode

import psycopg
from eventsourcing.persistence import OperationalError
from eventsourcing.postgres import ConnectionPool, PostgresDatastore
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import PoolClosed, PoolTimeout

from engine.journal.addresses import Synchronous
from engine.journal.errors import Damage, JournalDamaged, JournalTooNew, NotAJournal, StorageFailed, UnknownStore

Done = TypeVar("Done")

FORMAT: Final = 1
"""Version of the tables below."""

LOCK_TIMEOUT_S: Final = 10
"""How long a writer waits for another, and anybody for a connection."""

CONNECTIONS_MAX: Final = 8
"""Of one open journal. It holds one; more threads get more."""

PROGRAM: Final = "regrow"

_CREATING: Final = 0x7265_6772
"""Advisory lock under which one process makes the tables and the others find them."""

_TABLES: Final = {
    # What marks the schema as a journal, and the last notification id given out. Whoever records takes this row's
    # lock and keeps it until the commit, so ids appear in their order, without gaps, and are never used again.
    "journal": "(program text NOT NULL, format integer NOT NULL, notifications bigint NOT NULL) WITH (fillfactor = 10)",
    "stored_events": '(notification_id bigint PRIMARY KEY, originator_id text COLLATE "C" NOT NULL, '
    "originator_version bigint NOT NULL, topic text NOT NULL, state bytea NOT NULL, checksum bigint NOT NULL, "
    "UNIQUE (originator_id, originator_version))",
    # One row a sealed epoch. See seals.py.
    "heads": '(run_id text COLLATE "C" NOT NULL, epoch bigint NOT NULL, position bigint NOT NULL, '
    "digest text NOT NULL, PRIMARY KEY (run_id, epoch))",
    # Names that are taken, in the order of taking, whether or not anything is recorded under them.
    "claims": '(number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id text COLLATE "C" NOT NULL UNIQUE)',
    # Wall clock, host name and the like: no digest covers them. UTF-8, whatever the database's own encoding.
    "notes": '(run_id text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, value bytea NOT NULL, '
    "PRIMARY KEY (run_id, name))",
    # How far each consumer got. The library's own table.
    "notification_tracking": "(application_name text PRIMARY KEY, notification_id bigint)",
    "blobs": '(run_id text COLLATE "C" NOT NULL, digest text COLLATE "C" NOT NULL, content bytea NOT NULL, '
    "PRIMARY KEY (run_id, digest))",
}

_FIRST_ROWS: Final = (
    f"INSERT INTO journal VALUES ('{PROGRAM}', {FORMAT}, 0)",
    "INSERT INTO notification_tracking VALUES ('__migration__', 1)",  # the mark of the library's current layout
    "ALTER TABLE blobs ALTER COLUMN content SET STORAGE EXTERNAL",  # weights cannot be compressed
)


@final
@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A database, as libpq knows it and as messages name it."""

    conninfo: str
    """With the password, if there is one."""
    name: str
    """Without it."""


def server_address(url: str) -> ServerAddress:
    """Take ``url`` apart. Raises UnknownStore; the message repeats nothing that may be a password."""
    unreadable = UnknownStore(
        "the address of the PostgreSQL journal cannot be read; write postgresql://user:password@host:port/database "
        "with %XX for any of :/?#[]@% in user and password"
    )
    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        raise unreadable from None
    # With a slash in the password, libpq takes half of it for a port and half for a database, and messages tell both.
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    if "@" in path or not re.fullmatch(r"[\d,]*", parts.get("port", "")):
        raise unreadable
    user, host, port, database = (parts.get(key, "") for key in ("user", "host", "port", "dbname"))
    host = f"[{host}]" if ":" in host and "," not in host else host  # IPv6
    is_plain = not host.startswith("/") and "," not in host and (bool(host) or not port)
    front = (f"{quote(user, safe='')}@" if user else "") + (host + (f":{port}" if port else "") if is_plain else "")
    told = {"host": host, "port": port} if not is_plain else {}
    query = urlencode(
        {key: value for key, value in {**told, "options": parts.get("options")}.items() if value}, safe="/,"
    )
    return ServerAddress(url, f"postgresql://{front}/{quote(database)}" + (f"?{query}" if query else ""))


def prepare(address: ServerAddress) -> str:
    """Make the address's schema a journal if nothing of ours is there, and check that it is one if not.

    Returns the schema. Raises NotAJournal, JournalTooNew, JournalDamaged, StorageFailed, or the library's
    OperationalError if the server cannot be reached.
    """
    is_told = "connect_timeout" in conninfo_to_dict(address.conninfo)
    waiting: dict[str, Any] = {} if is_told else {"connect_timeout": LOCK_TIMEOUT_S}
    try:
        with (
            psycopg.connect(address.conninfo, client_encoding="utf8", **waiting) as connection,
            connection.transaction(),
        ):
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATING,))
            return _prepare(connection, address.name)
    except psycopg.Error as error:
        raise OperationalError(str(error)) from error


def _prepare(connection: Connection[Any], name: str) -> str:
    (schema,) = connection.execute("SELECT current_schema()").fetchone() or (None,)
    if schema is None:
        raise StorageFailed(f"{name} names a schema that is not there; make it with CREATE SCHEMA or name another")
    taken = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE nspname = current_schema() AND relname = ANY(%s)",
        (list(_TABLES),),
    )
    found = sorted(relation for (relation,) in taken.fetchall())
    if not found:
        for table, columns in _TABLES.items():
            connection.execute(f"CREATE TABLE {table} {columns}")
        for statement in _FIRST_ROWS:
            connection.execute(statement)
    elif "journal" not in found:
        raise _foreign(name, found[0])
    else:
        _check(connection, name, found)
    return str(schema)


def _check(connection: Connection[Any], name: str, found: list[str]) -> None:
    try:
        with connection.transaction():
            program, version = connection.execute("SELECT program, format FROM journal").fetchone() or ("", 0)
    except psycopg.errors.UndefinedColumn:
        raise _foreign(name, "journal") from None
    if program != PROGRAM:
        raise _foreign(name, "journal")
    if version > FORMAT:
        raise JournalTooNew(
            f"{name} has journal format {version} but this regrow reads up to {FORMAT}; use a newer regrow"
        )
    missing = [table for table in _TABLES if table not in found]
    if missing:
        raise JournalDamaged(name, Damage(1, 1, "every table is there", f"table {missing[0]!r} is missing"))


def _foreign(name: str, table: str) -> NotAJournal:
    return NotAJournal(
        f"{name} holds another program's {table!r}, so no journal fits there; name another database, or another schema "
        "with ?options=-csearch_path%3DNAME"
    )


@final
class PostgresJournalDatastore(PostgresDatastore):
    """A journal's database."""

    def __init__(self, address: ServerAddress, *, synchronous: Synchronous = "normal") -> None:
        self.synchronous = synchronous
        schema = prepare(address)
        # The library knows five parts of an address; its pool is replaced by one that takes an address whole.
        super().__init__("", "", "", "", "", schema=schema, lock_timeout=LOCK_TIMEOUT_S, originator_id_type="text")
        self.pool = ConnectionPool(
            address.conninfo,
            connection_class=Connection[DictRow],
            kwargs={"row_factory": dict_row, "client_encoding": "utf8"},
            min_size=1,
            max_size=CONNECTIONS_MAX,
            open=False,
            configure=self.after_connect_func(),
            timeout=LOCK_TIMEOUT_S,
            num_workers=1,
        )

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        """What makes a connection fit: statements commit on their own, nothing waits for ever."""
        settings = {
            "search_path": f'"{self.schema.replace(chr(34), chr(34) * 2)}"',
            "synchronous_commit": "on" if self.synchronous == "full" else "off",
            "default_transaction_isolation": "read committed",
        }

        def after_connect(connection: Connection[Any]) -> None:
            connection.autocommit = True
            for name, value in settings.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            connection.execute(
                "SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'",
                (f"{LOCK_TIMEOUT_S}s",),
            )

        return after_connect

    def fetch(self, statement: str, params: Sequence[Any] = ()) -> list[Any]:
        """The rows of one statement, as tuples. Should the connection be lost, it is tried once more on a new one.

        So the statement must be one that may run twice.
        """

        def run() -> list[Any]:
            with self.get_connection() as connection, connection.cursor(binary=True, row_factory=tuple_row) as cursor:
                cursor.execute(statement, params)
                return cursor.fetchall() if cursor.description else []

        return self.surviving(run)

    def surviving(self, work: Callable[[], Done]) -> Done:
        """Do ``work``; if its connection turns out to be lost, as after a restart of the server, once more.

        Every lost connection of the pool is replaced in between.
        """
        try:
            return work()
        except OperationalError as lost:
            if not _is_lost(lost):
                raise
            self.pool.check()
            try:
                return work()
            except OperationalError as again:
                if isinstance(again.__cause__, PoolTimeout):
                    raise lost from lost.__cause__
                raise

    def __del__(self) -> None:
        if hasattr(self, "pool"):
            self.close()


def _is_lost(error: OperationalError) -> bool:
    cause = error.__cause__
    if not isinstance(cause, psycopg.OperationalError) or isinstance(cause, PoolTimeout | PoolClosed):
        return False
    return not cause.sqlstate or cause.sqlstate.startswith(("08", "57P"))
