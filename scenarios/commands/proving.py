"""How strong the claim about a run is, and runs that travel: verify, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.journal.errors import JournalDamaged
from scenarios.commands.answering import DAMAGED, DIVERGED, Journal, Json, Run, answer, answering, app, fail
from scenarios.display import recorded
from scenarios.lab import DEFAULT_JOURNAL, Lab
from scenarios.runs.results import RunResult


@app.command()
def verify(
    run_id: Run,
    *,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again in a new process: rung 4.")] = False,
    first: Annotated[int, typer.Option("--from", min=0, help="Train again only from a checkpoint at or before.")] = 0,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Climb the rungs and say which was reached."""
    with answering(), Lab(journal) as lab:
        try:
            reached = lab.verify(run_id, retrain=retrain, first_epoch=first)
        except JournalDamaged as damaged:
            damage = {"position": damaged.position, "until": damaged.damage.until, "rule": damaged.damage.rule}
            answer({"run": run_id, "rung": 0, "digest": None, "damage": damage}, [], as_json=as_json)
            fail(DAMAGED, str(damaged))
        answer(reached.model_dump(mode="json", exclude_none=True), recorded.rung_lines(reached), as_json=as_json)
        if reached.divergence is not None:
            fail(DIVERGED, f"{run_id} diverges at {reached.divergence.line}")


@app.command()
def export(run_id: Run, file: Path, *, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """Write a run as CloudEvents in JSON Lines."""
    with answering(), Lab(journal) as lab:
        lab.export(run_id, file)
        size = file.stat().st_size
        answer({"run": run_id, "file": str(file), "bytes": size}, [f"{file}: {size} bytes"], as_json=as_json)


@app.command(name="import")
def import_(file: Path, *, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """Verify an exported run and record it."""
    with answering(), Lab(journal) as lab:
        result: RunResult = lab.result(lab.import_(file))
        line = f"{result.run}: {result.epochs} epochs, digest {result.digest}"
        answer(result.model_dump(mode="json"), [line], as_json=as_json)
