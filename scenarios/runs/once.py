"""Recording what is not recorded yet: the same question twice trains nothing twice, and what was cut off goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from domain.events import RunEnded
from domain.header import RunHeader
from engine.courses import headers_of
from engine.journal.errors import EpochConflict
from engine.journal.journal import Journal
from scenarios import composition
from scenarios.lab import AT_EPOCH, PARENT, Lab, run_name
from scenarios.runs import trainers
from scenarios.runs.amending import amended
from scenarios.runs.results import RunResult
from scenarios.specification import BadInput, Scenario


def run_once(lab: Lab, scenario: Scenario, *, tamiyo: str, karn: str | None = None, key: int) -> RunResult:
    """The live run of a scenario, policy and run key: the recorded one, resumed if it was cut off, else a new one."""
    header, _, _ = composition.header(scenario, key, tamiyo, karn, trainers.fingerprint(scenario.training.threads))

    def once() -> RunResult:
        for run_id in _namesakes(lab.journal, run_name(header)):
            if PARENT not in lab.journal.notes(run_id) and _header(lab.journal, run_id) == header:
                return _ended(lab, run_id)
        return lab.run(scenario, tamiyo=tamiyo, karn=karn, key=key)

    return _with_others(once)


def fork_once(
    lab: Lab,
    parent: str,
    at: int,
    *,
    tamiyo: str | None = None,
    key: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> RunResult:
    """The fork of ``parent`` after epoch ``at`` with these differences: the recorded one, or a new one."""
    head = lab.head_at(parent, at)
    header = headers_of(lab.journal.events(parent, upto=head.position))[-1]
    header = amended(header, tamiyo=tamiyo, key=key, overrides=overrides)

    def once() -> RunResult:
        for run_id in _namesakes(lab.journal, run_name(header, at)):
            notes = lab.journal.notes(run_id)
            origin = (notes.get(PARENT), notes.get(AT_EPOCH))
            if origin == (parent, str(at)) and _in_force(lab.journal, run_id) == header:
                return _ended(lab, run_id)
        return lab.fork(parent, at, tamiyo=tamiyo, key=key, overrides=overrides)

    return _with_others(once)


def _with_others(once: Callable[[], RunResult]) -> RunResult:
    """``once``, again for as long as another process records the same run and is faster: then look at what it recorded.

    It ends, because whoever is too late has seen an epoch recorded.
    """
    while True:
        try:
            return once()
        except EpochConflict:
            continue


def _namesakes(journal: Journal, base: str) -> Iterator[str]:
    """The recorded runs called ``base``, ``base.2``, …, as far as something of them is sealed."""
    number = 1
    while True:
        name = base if number == 1 else f"{base}.{number}"
        if journal.head(name) is not None:
            yield name
        elif not journal.notes(name):  # nobody ever took this name
            return
        number += 1


def _header(journal: Journal, run_id: str) -> RunHeader:
    return headers_of(journal.events(run_id, upto=1))[0]


def _in_force(journal: Journal, run_id: str) -> RunHeader:
    return headers_of(journal.events(run_id))[-1]


def _ended(lab: Lab, run_id: str) -> RunResult:
    if lab.journal.last(run_id, RunEnded) is None:
        try:
            return lab.resume(run_id)
        except BadInput:
            if lab.journal.last(run_id, RunEnded) is None:
                raise  # else another process recorded its end meanwhile
    return lab.result(run_id)
