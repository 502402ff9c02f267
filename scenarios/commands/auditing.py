"""What safety asks of a person: the audit trail of a run, and a key for a journal that is encrypted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from scenarios.commands.answering import Journal, Json, Run, answer, answering, app
from scenarios.lab import DEFAULT_JOURNAL, Lab


@app.command()
def audit(
    run_id: Run,
    *,
    blueprint: Annotated[str | None, typer.Option(help="Only what is about the blueprint of this name.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only what happened under this rule, such as fail_safe.")] = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """The audit trail of a run: every decision, veto, move, rollback and certificate, with its rule and reason."""
    from projections.audit import audit_trail

    with answering(), Lab(journal) as lab:
        told = audit_trail(event for _, event in lab.events(run_id))
        found = [entry for entry in told if entry.concerns(blueprint, rule)]
        lines = [
            f"{entry.epoch:>5}  {entry.kind:17}{entry.seed or '-':6}{entry.blueprint or '-':24}{entry.rule or '-':24}"
            f"{entry.reason}"
            for entry in found
        ]
        answer([asdict(entry) for entry in found], lines, as_json=as_json)


@app.command(name="new-key")
def new_key(*, as_json: Json = False) -> None:
    """A new key for an encrypted journal; put it into REGROW_CIPHER_KEY and keep it: without it nothing is read."""
    from engine.journal.cipher import new_key as made

    with answering():
        key = made()
        answer({"key": key}, [key], as_json=as_json)
