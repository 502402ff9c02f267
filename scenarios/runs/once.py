"""Recording what is not recorded yet: the same question twice trains nothing twice, and what was cut off goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from domain.events import RunEnded
from domain.header import RunHeader
from engine.courses import headers_of
from engine.journal.journal import Journal
from scenarios import composition
from scenarios.lab import AT_EPOCH, PARENT, Lab, run_name
from scenarios.runs import trainers
from scenarios.runs.amending import amended
from scenarios.runs.results import RunResult
from scenarios.specification import Scenario


def run_once(lab: Lab, scenario: Scenario, *, tamiyo: str, karn: str | None = None, key: int) -> RunResult:
    """The live run of a scenario, policy and run key: the recorded one, resumed if it was cut off, else a new one."""
    header, _, _ = composition.header(scenario, key, tamiyo, karn, trainers.fingerprint(scenario.training.threads))
    for run_id in _namesakes(lab.journal, run_name(header)):
        if PARENT not in lab.journal.notes(run_id) and _header(lab.journal, run_id) == header:
            return _ended(lab, run_id)
    return lab.run(scenario, tamiyo=tamiyo, karn=karn, key=key)


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
    for run_id in _namesakes(lab.journal, run_name(header, at)):
        notes = lab.journal.notes(run_id)
        if (notes.get(PARENT), notes.get(AT_EPOCH)) == (parent, str(at)) and _in_force(lab.journal, run_id) == header:
            return _ended(lab, run_id)
    return lab.fork(parent, at, tamiyo=tamiyo, key=key, overrides=overrides)


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
        return lab.resume(run_id)
    return lab.result(run_id)
