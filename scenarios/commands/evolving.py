"""Evolving: a library that grows over many runs, what came of it, and where a blueprint comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from scenarios import specification
from scenarios.commands.answering import Journal, Json, Settings, Tamiyo, answer, answering, app, say
from scenarios.display import evolutions as display
from scenarios.evolving import recorded
from scenarios.evolving.recording import evolve as record
from scenarios.evolving.recording import planned
from scenarios.lab import DEFAULT_JOURNAL, Lab


@app.command()
def evolve(
    names: Annotated[list[str], typer.Argument(help="Scenarios, by name or .toml file.", metavar="SCENARIO...")],
    *,
    generations: Annotated[int, typer.Option(min=1, help="How many.")] = 6,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each scenario in a generation.")] = 2,
    candidates: Annotated[int, typer.Option(min=0, help="Blueprints that Karn may propose in a generation.")] = 12,
    karn: Annotated[str, typer.Option(help="Who invents: a built-in name, module:Class or path/file.py:Class.")] = (
        "evolution?unprompted=true"
    ),
    tamiyo: Tamiyo = None,
    key: Annotated[int, typer.Option(min=0, help="All randomness of it comes from this key.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of each run, instead of the scenario's.")] = None,
    settings: Settings = None,
    workers: Annotated[int, typer.Option(min=1, help="Runs that train at once.")] = 2,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Grow a library of blueprints over many runs. What was cut off goes on."""
    with answering(), Lab(journal) as lab:
        overrides = dict(specification.parse_override(text) for text in settings or ())
        if epochs is not None:
            overrides["training.epochs"] = epochs
        plan = planned(
            [specification.load(name, overrides) for name in names],
            key=key,
            generations=generations,
            runs=runs,
            candidates=candidates,
            karn=karn,
            tamiyo=tamiyo,
        )
        found = record(lab, plan, workers=workers, progress=(lambda line: None) if as_json else say)
        answer(found.model_dump(mode="json"), display.evolution_lines(found), as_json=as_json)


@app.command()
def evolutions(*, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """The libraries that were evolved."""
    with answering(), Lab(journal) as lab:
        found = recorded.results(lab.journal)
        answer([one.model_dump(mode="json") for one in found], display.evolution_table(found), as_json=as_json)


@app.command()
def lineage(
    blueprint: Annotated[str, typer.Argument(help="Its name, number, or how its id begins.")],
    *,
    library: Annotated[str, typer.Option(help="EVOLUTION, or EVOLUTION@GENERATION.")],
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Where a blueprint comes from, what came of it, and that nobody changed the story."""
    with answering(), Lab(journal) as lab:
        found = recorded.lineage(lab.journal, blueprint, library)
        answer(found.model_dump(mode="json"), display.lineage_lines(found), as_json=as_json)
