"""A fresh journal for each test, in each kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.journal.journal import Journal
from tests.support.stores import STORES, OnAFile, Place, place_of, postgres

__all__ = ["postgres"]


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, tmp_path, request)


@pytest.fixture
def url(place: Place) -> str:
    return place.url


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    with Journal.open(url) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """For what only a file can suffer."""
    return tmp_path / "folder" / "journal.db"


@pytest.fixture
def in_a_file(file: Path) -> Iterator[Journal]:
    with Journal.open(OnAFile(file).url) as opened:
        yield opened
