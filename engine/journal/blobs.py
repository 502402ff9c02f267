"""Bytes under their own SHA-256: large reports and checkpoints of a run.

A journal file has one folder a run beside it, which is here; a journal on a server keeps them in a table of its own.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol, final

from engine.journal.cipher import Cipher
from engine.journal.errors import BlobDamaged, BlobMissing, StorageFailed
from engine.journal.names import checked

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class RunBlobs(Protocol):
    """The blobs of one run, wherever they lie."""

    def put(self, content: bytes) -> str:
        """Keep ``content`` and return its SHA-256. The same content twice is kept once. Raises StorageFailed."""
        ...

    def get(self, digest: str) -> bytes:
        """The content filed under ``digest``. Raises BlobMissing, or BlobDamaged if its hash is another."""
        ...

    def release(self, digest: str) -> None:
        """Drop the blob ``digest``; one that is not there is dropped already."""
        ...


class BlobPlace(Protocol):
    """All runs' blobs, wherever they lie."""

    def for_run(self, run_id: str) -> RunBlobs:
        """The blobs of run ``run_id``. Raises RunNameRefused."""
        ...

    def drop(self, run_id: str) -> None:
        """Drop every blob of run ``run_id``."""
        ...


def named(digest: str) -> str:
    """``digest`` itself. Raises BlobMissing for what is no SHA-256."""
    if not _DIGEST.fullmatch(digest):
        raise BlobMissing(f"{digest!r} names no blob: a blob is named by 64 lower-case hexadecimal digits")
    return digest


def unharmed(digest: str, content: bytes) -> bytes:
    """``content`` itself. Raises BlobDamaged unless ``digest`` is its SHA-256."""
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise BlobDamaged(f"blob {digest} is damaged: its content has SHA-256 {found}; restore it from a copy")
    return content


def decrypted(digest: str, stored: bytes, cipher: Cipher | None) -> bytes:
    """The content of the blob ``digest`` behind what is stored of it. Raises BlobDamaged unless it is whole."""
    if cipher is None:
        return unharmed(digest, stored)
    try:
        return unharmed(digest, cipher.decrypt(stored))
    except ValueError as error:
        raise BlobDamaged(f"blob {digest} is damaged: it cannot be decrypted; restore it from a copy") from error


def unwritten(path: Path, error: OSError) -> StorageFailed:
    """Why ``path`` could not be written, and what to do about it."""
    is_forbidden = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
    way_out = "make the folder writable" if is_forbidden else "free some space"
    return StorageFailed(f"cannot write {path}: {error.strerror}; {way_out} or choose another folder")


def write_atomically(path: Path, parts: Iterable[bytes]) -> None:
    """Put ``parts``, one after the other, at ``path``, whole or not at all, on the disk when this returns. Raises StorageFailed."""
    if path.exists() and not path.is_file():  # a device or a pipe would be replaced by a file
        raise StorageFailed(f"cannot write {path}: it is there and no file; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not by tempfile: what it makes is for its owner's eyes only, and an export is there to be shared.
        writing = path.with_name(f".writing-{secrets.token_hex(8)}")
        file = writing.open("xb")
    except OSError as error:
        raise unwritten(path, error) from error
    try:
        with file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(path)
    except BaseException as error:
        writing.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise unwritten(path, error) from error
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@final
class FolderBlobs:
    """The blobs of one run, one file each, encrypted where there is a cipher."""

    def __init__(self, folder: Path, cipher: Cipher | None = None) -> None:
        self.folder = folder
        self._cipher = cipher

    def path(self, digest: str) -> Path:
        """Where the blob ``digest`` lies or would lie. Raises BlobMissing for what is no SHA-256."""
        return self.folder / named(digest)

    def put(self, content: bytes) -> str:
        """Keep ``content`` and return its SHA-256. The same content twice is kept once. Raises StorageFailed."""
        digest = hashlib.sha256(content).hexdigest()
        if not self._holds(digest):
            write_atomically(self.path(digest), [content if self._cipher is None else self._cipher.encrypt(content)])
        return digest

    def _holds(self, digest: str) -> bool:
        try:
            self.get(digest)
        except (BlobMissing, BlobDamaged, StorageFailed):  # what cannot be read is written, or refuses to be
            return False
        return True

    def get(self, digest: str) -> bytes:
        """The content filed under ``digest``. Raises BlobMissing, or BlobDamaged if its hash is another."""
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise BlobMissing(f"blob {digest} is missing from {self.folder}; restore it from a copy") from None
        except OSError as error:
            raise StorageFailed(f"cannot read {path}: {error.strerror}") from error
        return decrypted(digest, content, self._cipher)

    def release(self, digest: str) -> None:
        """Drop the blob ``digest``; one that is not there is dropped already."""
        self.path(digest).unlink(missing_ok=True)


@final
class BlobStore:
    """All runs' blobs as files, under ``root``, encrypted where there is a cipher."""

    def __init__(self, root: Path, cipher: Cipher | None = None) -> None:
        self.root = root
        self._cipher = cipher

    def for_run(self, run_id: str) -> FolderBlobs:
        """The blobs of run ``run_id``; the folder appears with the first blob. Raises RunNameRefused."""
        return FolderBlobs(self.root / checked(run_id), self._cipher)

    def drop(self, run_id: str) -> None:
        """Drop every blob of run ``run_id``, and its folder."""
        shutil.rmtree(self.root / checked(run_id), ignore_errors=True)


def blobs_beside(file: Path, cipher: Cipher | None = None) -> BlobStore:
    """The blobs of the journal in ``file``: ``journal.blobs`` beside ``journal.db``."""
    return BlobStore(file.with_name(file.stem + ".blobs"), cipher)
