"""What runs are called."""

from __future__ import annotations

import hashlib
from typing import Final

from domain.header import RunHeader

NAME_MAX: Final = 48
"""Characters of a policy's name that a run id holds."""


def run_name(header: RunHeader, at: int | None = None, library: str = "") -> str:
    """What a run under ``header`` is called, as a fork after epoch ``at`` if it is one; namesakes get a number.

    ``library`` is the provenance head of what it is planted with, empty for the first library.
    """
    label = hashlib.sha256((header.model_dump_json() + library).encode()).hexdigest()[:6]
    fork = "" if at is None else f"-at-{at}"
    return f"{header.scenario}-{plain(header.tamiyo.name)}-{header.run_key}{fork}-{label}"


def plain(name: str) -> str:
    """A policy's name as part of an id: the class and its parameters, plain characters only, not too long."""
    kept = name.rpartition("/")[2].rpartition(":")[2][:NAME_MAX]
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter == "_") else "-" for letter in kept)
