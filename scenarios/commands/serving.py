"""Tamiyo as a process of its own: ``regrow tamiyo`` decides for the runs of ``regrow run --bus``; and what stayed undealt with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from engine.service.log import JsonLines
from engine.service.statistics import ServiceStatistics
from engine.service.tamiyo import TamiyoService
from scenarios.commands.answering import Journal, Json, answer, answering, app
from scenarios.lab import DEFAULT_JOURNAL, Lab
from scenarios.runs.remote import check_extra, dead_letters_on, logging, service

TURN_S: Final = 1.0
"""How long one wait for a message takes at most: statistics are due while nothing comes, too."""


@app.command()
def tamiyo(
    *,
    bus: Annotated[str, typer.Option(help="Where runs ask for decisions: nats://host:port.")],
    once: Annotated[str | None, typer.Option(help="Stop when this run has ended; else on Ctrl-C.")] = None,
    log: Annotated[Path | None, typer.Option(help="A file for the log; else it goes to standard error.")] = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Decide for every run on a bus, with a line of log for each decision, until interrupted."""
    with answering(), Lab(journal) as lab, logging(log, process="tamiyo") as file:
        check_extra()
        log_to = JsonLines(typer.get_text_stream("stderr"), process="tamiyo") if log is None else file
        with service(bus, lab.journal, log_to) as serving:
            _serve(serving, once)
            counted = serving.statistics()
        answer(counted.model_dump(mode="json"), _lines(counted), as_json=as_json)


@app.command("dead-letters")
def dead_letters(
    *,
    bus: Annotated[str, typer.Option(help="Which bus: nats://host:port.")],
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """What nobody on a bus could deal with, and why, oldest first."""
    with answering(), Lab(journal) as lab:
        found = dead_letters_on(bus, lab.journal)
        lines = [f"{letter.subject}, for {letter.consumer}: {letter.reason}" for letter in found]
        answer([letter.model_dump(mode="json") for letter in found], lines or ["no dead letters"], as_json=as_json)


def _serve(serving: TamiyoService, once: str | None) -> None:
    """Turn after turn, until the run ``once`` has ended or somebody interrupts, which is how a service ends."""
    try:
        while once is None or not serving.ended(once):
            serving.turn(TURN_S)
    except KeyboardInterrupt:
        return


def _lines(counted: ServiceStatistics) -> list[str]:
    plain = {name: value for name, value in counted if not isinstance(value, dict)}
    plain |= {f"rejected by {rule}": count for rule, count in counted.rejections_by_check.items()}
    for name, counts in counted.breakers.items():
        plain[f"breaker {name}"] = f"{counts.state.value}, {counts.failures} of {counts.requests} calls failed"
    return [f"{name:32} {value}" for name, value in plain.items()]
