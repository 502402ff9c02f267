"""The run that tests of going on start from, and its journal: one for each file of tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenarios.lab import Lab
from scenarios.runs.results import RunResult
from tests.support.cut_runs import recorded
from tests.support.grown_runs import address


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("going-on")


@pytest.fixture(scope="module")
def lab(folder: Path) -> Any:
    with Lab(address(folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def parent(lab: Lab) -> RunResult:
    found = recorded(lab)
    assert found.metrics.test_accuracy_before_growth is not None, "something grew"
    return found
