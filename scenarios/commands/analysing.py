"""What can be read out of runs: their networks as graphs, their decisions beside their rewards."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from scenarios.commands.answering import Journal, Json, answer, answering, app
from scenarios.lab import DEFAULT_JOURNAL, Lab


@app.command("analyse")
def analyse_runs(
    runs: Annotated[list[str], typer.Argument(help="One run or more; `regrow runs` lists them.")],
    *,
    at: Annotated[int | None, typer.Option(min=0, help="Epoch; the last one of each by default.")] = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Which layers are a problem, how does health go, and what do rewarded decisions have in common?"""
    with answering(), Lab(journal) as lab:
        from scenarios.display.analyses import analysis_lines  # which takes a while to load
        from scenarios.runs.analysing import analysed

        told = analysed(lab, runs, at)
        answer(json.loads(told.model_dump_json()), analysis_lines(told), as_json=as_json)
