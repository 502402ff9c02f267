"""Recording what is not recorded yet: the same question twice trains nothing twice, and what was cut off goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from domain.events import RunEnded
from domain.header import RunHeader
from domain.urza.provenance import planted_library, provenance_head
from engine.courses import headers_of
from engine.journal.errors import EpochConflict
from engine.journal.journal import Journal
from scenarios.lab import AT_EPOCH, PARENT, Lab
from scenarios.runs import beginning
from scenarios.runs.amending import amended
from scenarios.runs.beginning import Plan
from scenarios.runs.names import run_name
from scenarios.runs.results import RunResult
from scenarios.specification import BadInput, Scenario


def run_once(lab: Lab, scenario: Scenario, *, tamiyo: str, karn: str | None = None, key: int) -> RunResult:
    """The live run of a scenario, policy and run key: the recorded one, resumed if it was cut off, else a new one."""
    return record_once(lab, beginning.planned(scenario, key, tamiyo, karn, None))


def record_once(lab: Lab, plan: Plan) -> RunResult:
    """The run that is planned: the recorded one, resumed if it was cut off, else a new one."""

    def once() -> RunResult:
        base = run_name(plan.header, library=plan.heirloom)
        for run_id in namesakes(lab.journal, base):
            if PARENT not in lab.journal.notes(run_id) and _is_as_planned(lab.journal, run_id, plan):
                return _ended(lab, run_id)
        begun = _begun(lab.journal, base)
        if begun is None:
            return lab.record(plan)
        beginning.run(lab.journal, plan, begun, lambda view: None)
        return lab.result(begun)

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
        for run_id in namesakes(lab.journal, run_name(header, at)):
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


def namesakes(journal: Journal, base: str) -> Iterator[str]:
    """The recorded runs called ``base``, ``base.2``, …, as far as something of them is sealed."""
    number = 1
    while True:
        name = base if number == 1 else f"{base}.{number}"
        if journal.head(name) is not None:
            yield name
        elif not journal.notes(name):  # nobody ever took this name
            return
        number += 1


def _begun(journal: Journal, base: str) -> str | None:
    """A run called ``base``, ``base.2``, … of which nothing is sealed yet: cut off, or just begun by another process.

    Who takes its name over gives it the same epochs, which are recorded once whoever is faster.
    """
    number = 1
    while journal.notes(name := base if number == 1 else f"{base}.{number}"):
        if journal.head(name) is None and PARENT not in journal.notes(name):
            return name
        number += 1
    return None


def _is_as_planned(journal: Journal, run_id: str, plan: Plan) -> bool:
    """Whether a run was planted with the plan's header and library."""
    planting = journal.events(run_id, upto=journal.heads(run_id)[0].position)
    return headers_of(planting)[0] == plan.header and provenance_head(planted_library(planting)) == plan.provenance


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
