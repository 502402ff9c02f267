"""What would have been decided otherwise, told from a recording alone."""

from __future__ import annotations

from typing import Annotated

import typer

from scenarios.commands.answering import Journal, Json, Run, answer, answering, app
from scenarios.display import recorded
from scenarios.lab import DEFAULT_JOURNAL, Lab


@app.command()
def ledger(
    run_id: Run,
    *,
    tamiyo: Annotated[str, typer.Option(help="The policy that is asked what it would have chosen.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Go on past the first difference, forced to agree.")
    ] = False,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Epoch by epoch, what was chosen and what another Tamiyo would have chosen."""
    with answering(), Lab(journal) as lab:
        told = lab.ledger(run_id, tamiyo)
        if not everything:
            told = told.up_to_boundary()
        answer(told.to_document(), recorded.ledger_lines(told), as_json=as_json)
