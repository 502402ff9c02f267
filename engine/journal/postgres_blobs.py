"""Blobs in a table of the journal's own database, so that whoever reaches the journal reaches them too."""

from __future__ import annotations

import hashlib
from typing import Final, final

from engine.journal.blobs import decrypted, named
from engine.journal.cipher import Cipher
from engine.journal.errors import BlobMissing, StorageFailed
from engine.journal.failures import translated
from engine.journal.names import checked
from engine.journal.postgres_datastore import PostgresJournalDatastore

BLOB_BYTES_MAX: Final = 1_000_000_000
"""Largest blob. PostgreSQL's own limit for a value and for the message that carries it is 2^30 bytes."""

# The same content is written again only if what lies there is not it any more; encrypted it never looks the same.
_PUT: Final = (
    "INSERT INTO blobs VALUES (%s, %s, %b) ON CONFLICT (run_id, digest) "
    "DO UPDATE SET content = EXCLUDED.content WHERE blobs.content <> EXCLUDED.content"
)


@final
class TableBlobs:
    """The blobs of one run, one row each, encrypted where there is a cipher."""

    def __init__(
        self, datastore: PostgresJournalDatastore, name: str, run_id: str, cipher: Cipher | None = None
    ) -> None:
        self._datastore: Final = datastore
        self._name: Final = name
        self._run_id: Final = run_id
        self._cipher: Final = cipher

    def put(self, content: bytes) -> str:
        """Keep ``content`` and return its SHA-256. The same content twice is kept once.

        Raises StorageFailed, also for more than ``BLOB_BYTES_MAX``.
        """
        if len(content) > BLOB_BYTES_MAX:
            raise StorageFailed(
                f"{self._name} takes no blob of {len(content):,} bytes: a database keeps up to {BLOB_BYTES_MAX:,}; "
                "record into a file, sqlite:///path.db"
            )
        digest = hashlib.sha256(content).hexdigest()
        stored = content if self._cipher is None else self._cipher.encrypt(content)
        with translated(self._name):
            self._datastore.fetch(_PUT, (self._run_id, digest, stored))
        return digest

    def get(self, digest: str) -> bytes:
        """The content filed under ``digest``. Raises BlobMissing, or BlobDamaged if its hash is another."""
        statement = "SELECT content FROM blobs WHERE run_id = %s AND digest = %s"
        with translated(self._name):
            found = self._datastore.fetch(statement, (self._run_id, named(digest)))
        if not found:
            raise BlobMissing(f"blob {digest} is missing from {self._run_id} in {self._name}; restore it from a copy")
        return decrypted(digest, bytes(found[0][0]), self._cipher)

    def release(self, digest: str) -> None:
        """Drop the blob ``digest``; one that is not there is dropped already."""
        with translated(self._name):
            self._datastore.fetch("DELETE FROM blobs WHERE run_id = %s AND digest = %s", (self._run_id, named(digest)))


@final
class PostgresBlobs:
    """All runs' blobs, in the table ``blobs``. ``name`` is what messages call the database."""

    def __init__(self, datastore: PostgresJournalDatastore, name: str, cipher: Cipher | None = None) -> None:
        self._datastore: Final = datastore
        self._name: Final = name
        self._cipher: Final = cipher

    def for_run(self, run_id: str) -> TableBlobs:
        """The blobs of run ``run_id``. Raises RunNameRefused."""
        return TableBlobs(self._datastore, self._name, checked(run_id), self._cipher)

    def drop(self, run_id: str) -> None:
        """Drop every blob of run ``run_id``."""
        with translated(self._name):
            self._datastore.fetch("DELETE FROM blobs WHERE run_id = %s", (checked(run_id),))
