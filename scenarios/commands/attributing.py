"""What one adaptation was worth, from forks of its run with it and without it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from scenarios.commands.answering import Journal, Json, Run, answer, answering, app, say
from scenarios.lab import DEFAULT_JOURNAL, Lab


@app.command()
def attribute(
    run_id: Run,
    *,
    seed: Annotated[str, typer.Option(help="LAYER.SEED.")],
    attempt: Annotated[int | None, typer.Option(min=1, help="Which of its germinations; by default the last.")] = None,
    continuations: Annotated[int, typer.Option(help="Pairs of forks, with it and without it.")] = 8,
    never: Annotated[bool, typer.Option("--never", help="Without it: that seed never again.")] = False,
    on: Annotated[str, typer.Option(help="Where: local, ray or ray=ADDRESS.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="How many forks train at a time.")] = 2,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """What was one adaptation worth?"""
    with answering(), Lab(journal) as lab:
        told = lab.attribute(
            run_id,
            seed,
            attempt=attempt,
            continuations=continuations,
            never=never,
            on=on,
            workers=workers,
            progress=(lambda line: None) if as_json else say,
        )
        from scenarios.display.comparisons import attribution_lines  # which takes a while to load

        answer(json.loads(told.model_dump_json()), attribution_lines(told), as_json=as_json)
