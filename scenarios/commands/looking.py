"""Looking at what there is and what was recorded. Nothing here changes anything."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from domain.events import EVENTS, StageChanged
from domain.lifecycle import Stage
from domain.vocabularies import VOCABULARIES, stage_named
from scenarios import composition, specification
from scenarios.commands.answering import Journal, Json, Run, answer, answering, app
from scenarios.display import recorded
from scenarios.display.evolutions import catalogue_lines
from scenarios.lab import DEFAULT_JOURNAL, Lab
from scenarios.specification import BadInput


@app.command()
def scenarios(*, as_json: Json = False) -> None:
    """What can be run: a task, a host, how to grow it."""
    with answering():
        found = [specification.load(name) for name in specification.names()]
        rows = [(scenario.name, scenario.description, scenario.target) for scenario in found]
        answer(
            [{"scenario": name, "description": text, "target": target} for name, text, target in rows],
            [f"{name:14}{text}" for name, text, _ in rows],
            as_json=as_json,
        )


@app.command()
def policies(*, as_json: Json = False) -> None:
    """Who can control: Tamiyo grows, Karn invents."""
    with answering():
        rows = [("tamiyo", name, composition.summary(place)) for name, place in composition.TAMIYO.items()]
        rows += [("karn", name, composition.summary(place)) for name, place in composition.KARN.items()]
        answer(
            [{"role": role, "policy": name, "description": text} for role, name, text in rows],
            [f"{role:8}{name:18}{text}" for role, name, text in rows],
            as_json=as_json,
        )


@app.command()
def blueprints(*, as_json: Json = False) -> None:
    """What can be grown, and what of Urza's catalogue cannot, and why. Runs begin with numbers 1 to 13."""
    with answering():
        rows = composition.blueprint_rows()
        answer(rows, catalogue_lines(rows), as_json=as_json)


@app.command()
def runs(*, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """What was recorded."""
    with answering(), Lab(journal) as lab:
        found = lab.results()
        answer([result.model_dump(mode="json") for result in found], recorded.run_table(found), as_json=as_json)


@app.command()
def show(
    run_id: Run,
    *,
    at: Annotated[int | None, typer.Option(min=0, help="Epoch; the last one by default.")] = None,
    seed: Annotated[str | None, typer.Option(help="LAYER.SEED: its whole history.")] = None,
    words: Annotated[str | None, typer.Option(help=f"Stages in words of: {', '.join(VOCABULARIES)}.")] = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Rebuild a run at any epoch."""
    with answering(), Lab(journal) as lab:
        if words is not None and words not in VOCABULARIES:
            raise BadInput(specification.unknown("vocabulary", words, tuple(VOCABULARIES)))
        moment = lab.show(run_id, at)
        only = None if seed is None else lab.seed_named(moment.state, seed)
        history = lab.history(run_id, moment.epoch, only)
        said = recorded.in_words(moment, history, words)
        lines = recorded.moment_lines(moment, history, only, said)
        answer(recorded.moment_json(moment, only, said), lines, as_json=as_json)


@app.command()
def events(
    run_id: Run,
    *,
    topic: Annotated[str | None, typer.Option("--type", help="One topic, such as stage-changed.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only moves into this stage or out of it.")] = None,
    first: Annotated[int | None, typer.Option("--from", min=0, help="First epoch.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=0, help="Last epoch.")] = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Every event of a run, one a line."""
    with answering(), Lab(journal) as lab:
        topics = tuple(event.TOPIC for event in EVENTS)
        if topic is not None and topic not in topics:
            raise BadInput(specification.unknown("event type", topic, topics))
        if stage is not None and topic not in {None, StageChanged.TOPIC}:
            raise BadInput(f"--stage goes with --type {StageChanged.TOPIC} or with none, not with {topic}")
        concerned = None if stage is None else _stage(stage)
        found = [
            {"position": position, "type": event.TOPIC, "data": json.loads(event.model_dump_json())}
            for position, event in lab.events(run_id, topic=topic, first=first, last=last)
            if concerned is None or (isinstance(event, StageChanged) and concerned in {event.source, event.target})
        ]
        answer(found, [json.dumps(entry, separators=(",", ":")) for entry in found], as_json=as_json)


def _stage(word: str) -> Stage:
    """The stage that a person names, in another lifecycle's word too. Raises BadInput."""
    try:
        return stage_named(word)
    except ValueError as error:
        raise BadInput(f"--stage {error}") from error
