"""Where a journal is kept, as an address: which store answers to it, and what it is called in messages.

    sqlite:///relative.db or sqlite:////absolute.db
        One file, and a folder of blobs beside it.
    postgresql://user:password@host:port/database
        Tables in a database, blobs included. It is read as libpq reads it: any part may be missing, and options follow
        as ``?name=value&…``, such as ``?host=/folder/of/the/socket`` or ``?options=-csearch_path%3Dlab`` for a schema.

Either takes ``?synchronous=normal`` or ``full``. ``full`` waits for the disk at every epoch. The default ``normal``
survives a killed process whole, and a power cut up to the last few epochs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, final
from urllib.parse import parse_qsl

from engine.journal.blobs import BlobPlace, blobs_beside
from engine.journal.cipher import Cipher, agreed, cipher_of
from engine.journal.errors import StorageFailed, UnknownStore
from engine.journal.failures import translated

if TYPE_CHECKING:
    from engine.journal.store import RunStore

Synchronous = Literal["normal", "full"]

_SERVER: Final = re.compile(r"postgres(ql)?://")
_OPTION: Final = "synchronous="


@final
@dataclass(frozen=True, slots=True)
class Opened:
    """A store that is open."""

    store: RunStore
    blobs: BlobPlace
    name: str
    """The address without a password: what messages say."""
    is_encrypted: bool = False


def open_store(url: str, key: str | None = None) -> Opened:
    """Open or make what ``url`` names, encrypted with ``key`` if there is one (see ``cipher``).

    Raises UnknownStore, KeyRefused, NotAJournal, JournalTooNew, StorageFailed.
    """
    cipher = None if key is None else cipher_of(key)
    if _SERVER.match(url):
        return _on_a_server(url, cipher)
    scheme, _, place = url.partition(":///")
    name, _, query = place.partition("?")
    if scheme != "sqlite" or not name:
        raise UnknownStore(
            f"no store answers to {_without_password(url)!r}; use sqlite:///relative/path.db, "
            "sqlite:////absolute/path.db or postgresql://user:password@host:port/database"
        )
    return _in_a_file(url, Path(name), query, cipher)


def _in_a_file(url: str, path: Path, query: str, cipher: Cipher | None) -> Opened:
    from engine.journal.datastore import JournalDatastore
    from engine.journal.recorder import JournalRecorder

    options = dict(parse_qsl(query, keep_blank_values=True))
    synchronous = _chosen(url, options.pop("synchronous", "normal"))
    if options:
        raise _unknown_option(url)
    with translated(url):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageFailed(f"cannot make {path.parent}: {error.strerror}; choose another folder") from error
        store = JournalRecorder(JournalDatastore(path, synchronous=synchronous))
    return _agreed(Opened(store, blobs_beside(path, cipher), url), cipher)


def _agreed(opened: Opened, cipher: Cipher | None) -> Opened:
    """What was opened, with the cipher around its store if there is one. Raises KeyRefused; it is then closed."""
    try:
        with translated(opened.name):
            if agreed(opened.store, opened.name, cipher) is None:
                return opened
    except BaseException:
        opened.store.close()
        raise
    from engine.journal.encrypted import EncryptedStore

    assert cipher is not None, "a journal was encrypted without a cipher"
    return Opened(EncryptedStore(opened.store, cipher), opened.blobs, opened.name, is_encrypted=True)


def _on_a_server(url: str, cipher: Cipher | None) -> Opened:
    try:
        from engine.journal.postgres import PostgresJournalRecorder
        from engine.journal.postgres_blobs import PostgresBlobs
        from engine.journal.postgres_datastore import PostgresJournalDatastore, server_address
    except ImportError as error:  # psycopg, or the C library that it needs
        raise UnknownStore("a PostgreSQL journal needs psycopg: pip install 'regrow[postgres]'") from error

    # What stands before the last question mark may hold a password with question marks in it.
    front, mark, query = url.rpartition("?") if "?" in url else (url, "", "")
    options = query.split("&")
    ours = [option for option in options if option.startswith(_OPTION)]
    rest = "&".join(option for option in options if option not in ours)
    address = server_address(front + (mark + rest if rest else ""))
    synchronous = _chosen(address.name, ours[-1].removeprefix(_OPTION) if ours else "normal")
    with translated(address.name):
        store = PostgresJournalRecorder(PostgresJournalDatastore(address, synchronous=synchronous))
    return _agreed(Opened(store, PostgresBlobs(store.datastore, address.name, cipher), address.name), cipher)


def _chosen(name: str, value: str) -> Synchronous:
    if value == "full":
        return "full"
    if value == "normal":
        return "normal"
    raise _unknown_option(name)


def _unknown_option(name: str) -> UnknownStore:
    return UnknownStore(f"{name!r} has an option that no store knows; the only one is synchronous=normal or =full")


def _without_password(url: str) -> str:
    """Of an address that is none, too: a slash that was forgotten is no reason to tell."""
    return re.sub(r"(password=)[^&\s]*", r"\1…", re.sub(r"(:/*).*@", r"\1…@", url))
