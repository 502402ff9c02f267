"""Saved read models on disk: a folder a generation, and a pointer to the one that counts.

    CURRENT                  name of the generation, and the SHA-256 of its memory.json
    generation-7/            written and on the disk before CURRENT names it; removed after CURRENT names the next
        memory.json          positions, open rows, what views remember, and the SHA-256 of each Parquet file
        runs.parquet ...     one a view

Whoever is killed in between leaves the generation before it in force, positions and rows alike.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars

from projections.errors import ViewsUnreadable

POINTER: Final = "CURRENT"
MEMORY: Final = "memory.json"
GENERATION: Final = "generation-"
FORMAT: Final = 1


def is_saved(folder: Path) -> bool:
    """Whether read models were ever saved in ``folder``."""
    return (folder / POINTER).is_file()


def save(folder: Path, frames: Mapping[str, polars.DataFrame], memory: Mapping[str, Any]) -> None:
    """Save a generation and make it the one that counts. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    before = [path for path in folder.iterdir() if path.name.startswith(GENERATION)]
    number = 1 + max((int(path.name.removeprefix(GENERATION)) for path in before), default=0)
    generation = folder / f"{GENERATION}{number}"
    generation.mkdir()
    digests = {}
    for name, frame in frames.items():
        path = generation / f"{name}.parquet"
        frame.write_parquet(path)
        digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        _to_disk(path)
    content = json.dumps({"format": FORMAT, "files": digests, **memory}).encode()
    _write(generation / MEMORY, content)
    _to_disk(generation)
    pointer = folder / f".{POINTER}"
    _write(pointer, f"{generation.name} {hashlib.sha256(content).hexdigest()}\n".encode())
    pointer.replace(folder / POINTER)
    _to_disk(folder)
    for path in before:
        shutil.rmtree(path)


def load(folder: Path) -> tuple[dict[str, Any], dict[str, polars.DataFrame]]:
    """What was saved: memory and frames. Raises ViewsUnreadable."""
    pointer = _bytes(folder, folder / POINTER).decode(errors="replace").split()
    if len(pointer) != 2 or not pointer[0].startswith(GENERATION):
        raise _unreadable(folder, f"{POINTER} names no generation")
    generation = folder / pointer[0]
    content = _bytes(folder, generation / MEMORY)
    if hashlib.sha256(content).hexdigest() != pointer[1]:
        raise _unreadable(folder, f"{MEMORY} was changed")
    memory: dict[str, Any] = json.loads(content)
    if memory["format"] != FORMAT:
        raise _unreadable(folder, f"it has format {memory['format']} but this regrow reads {FORMAT}")
    frames = {}
    for name, digest in memory["files"].items():
        path = generation / f"{name}.parquet"
        if hashlib.sha256(_bytes(folder, path)).hexdigest() != digest:
            raise _unreadable(folder, f"{path.name} was changed")
        frames[name] = polars.read_parquet(path)
    return memory, frames


def _bytes(folder: Path, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(folder, f"{path.name}: {error.strerror}") from error


def _unreadable(folder: Path, problem: str) -> ViewsUnreadable:
    return ViewsUnreadable(f"{folder} does not hold saved read models: {problem}; delete it and read the journal again")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _to_disk(path: Path) -> None:
    """Wait until the disk has it. A folder's entries are on the disk only when the folder is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
