"""A new journal that several processes open at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

from engine.journal.journal import Journal

OPENERS = 4


def open_all(paths: Sequence[Path], together: Barrier) -> None:
    """Open one after the other, each at the same time as the other processes."""
    for path in paths:
        together.wait()
        with Journal.open(f"sqlite:///{path}") as journal:
            assert journal.runs() == []


def test_a_new_journal_may_be_opened_by_several_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    paths, together = [tmp_path / f"{number}.db" for number in range(80)], context.Barrier(OPENERS, timeout=60)
    openers = [context.Process(target=open_all, args=(paths, together)) for _ in range(OPENERS)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()

    assert [opener.exitcode for opener in openers] == [0] * OPENERS
