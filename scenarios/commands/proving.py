"""How strong the claim about a run is, and runs that travel: verify, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.journal.errors import JournalDamaged
from scenarios.commands.answering import DAMAGED, DIVERGED, Journal, Json, Run, answer, answering, app, fail
from scenarios.display import recorded
from scenarios.evolving.recorded import result as evolution
from scenarios.lab import DEFAULT_JOURNAL, Lab
from scenarios.runs.history import is_evolution
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
            if is_evolution(lab.journal, run_id):
                from scenarios.evolving.verifying import verify_evolution  # which takes a while to load

                reached = verify_evolution(lab.journal, run_id, retrain=retrain)
            else:
                reached = lab.verify(run_id, retrain=retrain, first_epoch=first)
        except JournalDamaged as damaged:
            damage = {"position": damaged.position, "until": damaged.damage.until, "rule": damaged.damage.rule}
            answer({"run": run_id, "rung": 0, "digest": None, "damage": damage}, [], as_json=as_json)
            fail(DAMAGED, str(damaged))
        answer(reached.model_dump(mode="json", exclude_none=True), recorded.rung_lines(reached), as_json=as_json)
        if reached.divergence is not None:
            fail(DIVERGED, f"{run_id} diverges at {reached.divergence.line}")


@app.command()
def export(
    run_id: Run,
    file: Path,
    *,
    decrypt: Annotated[bool, typer.Option("--decrypt", help="Write plain text although the run is encrypted.")] = False,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Write a run as CloudEvents in JSON Lines."""
    with answering(), Lab(journal) as lab:
        lab.export(run_id, file, decrypt=decrypt)
        size = file.stat().st_size
        answer({"run": run_id, "file": str(file), "bytes": size}, [f"{file}: {size} bytes"], as_json=as_json)


@app.command(name="import")
def import_(file: Path, *, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """Verify an exported run and record it."""
    with answering(), Lab(journal) as lab:
        name = lab.import_(file)
        if is_evolution(lab.journal, name):
            evolved = evolution(lab.journal, name)
            line = f"{name}: {evolved.generation} generations, digest {evolved.digest}"
            answer(evolved.model_dump(mode="json"), [line], as_json=as_json)
            return
        result: RunResult = lab.result(name)
        line = f"{result.run}: {result.epochs} epochs, digest {result.digest}"
        answer(result.model_dump(mode="json"), [line], as_json=as_json)
