"""Looking at what there is and what was recorded. Nothing here changes anything."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from domain.events import EVENTS
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
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Rebuild a run at any epoch."""
    with answering(), Lab(journal) as lab:
        moment = lab.show(run_id, at)
        only = None if seed is None else lab.seed_named(moment.state, seed)
        history = lab.history(run_id, moment.epoch, only)
        answer(recorded.moment_json(moment, only), recorded.moment_lines(moment, history, only), as_json=as_json)


@app.command()
def events(
    run_id: Run,
    *,
    topic: Annotated[str | None, typer.Option("--type", help="One topic, such as stage-changed.")] = None,
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
        found = [
            {"position": position, "type": event.TOPIC, "data": json.loads(event.model_dump_json())}
            for position, event in lab.events(run_id, topic=topic, first=first, last=last)
        ]
        answer(found, [json.dumps(entry, separators=(",", ":")) for entry in found], as_json=as_json)
