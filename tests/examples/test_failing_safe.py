"""Fail-safe mode and the stop after failures in a row, in live runs; and the audit trail that tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from domain.events import AdaptationConcluded, CommandRefused, DecisionMade, DecisionVetoed, SeedGerminated
from domain.lifecycle import Outcome
from projections.audit import AuditEntry, audit_trail
from scenarios.experiments.golden import HASTY
from scenarios.lab import Lab
from tests.support.commands import Shell

PLACEBO = "as_designed?only=no_op"
"""Grows only what gains nothing, so that every adaptation is culled."""
STUBBORN = {**HASTY, "training.epochs": 90, "tamiyo_config.max_consecutive_failures": 99}
"""Tamiyo itself would stop asking; so only the shield is in its way."""


@pytest.fixture
def lab(shell: Shell) -> Lab:
    return Lab(f"sqlite:///{shell.journal}")


@pytest.fixture
def shell(tmp_path: Any) -> Shell:
    return Shell(tmp_path)


def recorded(lab: Lab, **safety: Any) -> tuple[str, list[Any]]:
    """A run and everything that happened in it."""
    settings = {**STUBBORN, **{f"safety.{name}": value for name, value in safety.items()}}
    run = lab.run("xor4", tamiyo=PLACEBO, key=1, overrides=settings).run
    return run, list(lab.journal.events(run))


@pytest.mark.parametrize(
    ("safety", "failures", "said"),
    [
        ({"fail_safe_mode": True}, 1, "fail-safe mode is on and 1 adaptations failed in a row"),
        ({"max_consecutive_failures": 2}, 2, "2 adaptations failed in a row, the limit is 2"),
    ],
)
def test_after_its_failures_nothing_germinates_any_more(
    lab: Lab, safety: dict[str, Any], failures: int, said: str
) -> None:
    with lab:
        _, events = recorded(lab, **safety)
    outcomes = [event.outcome for event in events if isinstance(event, AdaptationConcluded)]
    stopped = max(event.epoch for event in events if isinstance(event, AdaptationConcluded))
    vetoes = [event for event in events if isinstance(event, DecisionVetoed)]

    assert outcomes == [Outcome.CULLED] * failures
    assert all(event.epoch < stopped for event in events if isinstance(event, SeedGerminated))
    assert vetoes
    assert {(v.rule, v.detail) for event in vetoes for v in event.violations} == {("fail_safe", said)}


def test_the_audit_trail_tells_every_decision_and_every_rule_that_stopped_one(lab: Lab, shell: Shell) -> None:
    with lab:
        run, events = recorded(lab, fail_safe_mode=True, audit_logging=True)
    trail = list(audit_trail(events))
    answer = shell.inside("audit", run, "--rule", "fail_safe", "--blueprint", "no_op")

    def count(kind: str) -> int:
        return sum(entry.kind == kind for entry in trail)

    violations = [violation for event in events if isinstance(event, DecisionVetoed) for violation in event.violations]
    assert count("decision") == sum(isinstance(event, DecisionMade) for event in events)
    assert count("veto") == len(violations)
    assert count("refusal") == sum(isinstance(event, CommandRefused) for event in events)
    assert [entry.epoch for entry in trail] == sorted(entry.epoch for entry in trail)
    assert (trail[0].kind, trail[-1].kind) == ("start", "end")
    assert all(entry.blueprint == "no_op" and entry.seed for entry in trail if entry.kind in {"veto", "conclusion"})
    assert all(entry.reason for entry in trail)
    assert answer.out.count("\n") == len(violations) and answer.out.count("fail-safe mode is on") == len(violations)


def test_the_audit_trail_as_json_is_a_list_of_entries(lab: Lab, shell: Shell) -> None:
    with lab:
        run, events = recorded(lab, max_consecutive_failures=1)
    document = shell.ask("audit", run, "--blueprint", "no_op")

    assert [AuditEntry(**entry) for entry in document] == [
        entry for entry in audit_trail(events) if entry.blueprint == "no_op"
    ]
    assert shell.inside("audit", "nothing").code == 2
