"""Recording: a new run, the rest of one that stopped, another course from an epoch of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios import specification
from scenarios.commands.answering import (
    ENDED_BADLY,
    Dynamics,
    Journal,
    Json,
    Karn,
    Run,
    Settings,
    Tamiyo,
    answer,
    answering,
    app,
    fail,
)
from scenarios.display import recorded
from scenarios.evolving.recorded import library_of
from scenarios.lab import DEFAULT_JOURNAL, Lab
from scenarios.runs import simulation
from scenarios.runs.remote import PATIENCE_S, Remote
from scenarios.runs.results import RunResult
from scenarios.specification import BadInput


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a .toml file.")],
    *,
    tamiyo: Tamiyo = None,
    karn: Karn = None,
    key: Annotated[int, typer.Option(min=0, help="The run key: all randomness comes from it.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the scenario's.")] = None,
    settings: Settings = None,
    library: Annotated[str | None, typer.Option(help="Plant what evolved: EVOLUTION, or EVOLUTION@GENERATION.")] = None,
    trainer: Annotated[str, typer.Option(help="What trains: live or simulated.")] = "live",
    dynamics: Dynamics = None,
    bus: Annotated[str | None, typer.Option(help="Where Tamiyo decides: nats://host:port or memory:.")] = None,
    patience: Annotated[float, typer.Option(min=0.1, help="With --bus: seconds to wait for a decision.")] = PATIENCE_S,
    log: Annotated[Path | None, typer.Option(help="With --bus: a file for what happens on it.")] = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Record a run."""
    with answering(), Lab(journal) as lab:
        if trainer not in ("live", "simulated"):
            raise BadInput(specification.unknown("trainer", trainer, ("live", "simulated")))
        if log is not None and bus is None:
            raise BadInput(f"--log {log}: it is kept of a run that is decided over a bus; name one with --bus")
        given = None if dynamics is None else simulation.dynamics_in(dynamics)
        simulation.trainer_named(trainer, given)
        overrides = dict(specification.parse_override(text) for text in settings or ())
        if epochs is not None:
            overrides["training.epochs"] = epochs
        chosen = specification.load(scenario, overrides)
        planted = None if library is None else library_of(lab.journal, library)
        elsewhere = None if bus is None else Remote(bus, patience, log)
        with recorded.progress(chosen.training.epochs, quiet=as_json) as watch:
            result = lab.run(
                chosen,
                tamiyo=tamiyo,
                karn=karn,
                key=key,
                dynamics=given,
                library=planted,
                watch=watch,
                elsewhere=elsewhere,
            )
        _answer_with(lab, result, as_json=as_json)


@app.command()
def resume(run_id: Run, *, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """Go on with a run that stopped before its end."""
    with answering(), Lab(journal) as lab:
        stopped = lab.show(run_id)
        with recorded.progress(stopped.state.started.epochs, quiet=as_json, after=stopped.epoch) as watch:
            result = lab.resume(run_id, watch=watch)
        _answer_with(lab, result, as_json=as_json)


@app.command()
def fork(
    run_id: Run,
    *,
    at: Annotated[int, typer.Option(min=0, help="The last epoch in common.")],
    tamiyo: Tamiyo = None,
    karn: Karn = None,
    trainer: Annotated[
        str | None, typer.Option(help="What trains: live, simulated, or recorded: nothing does.")
    ] = None,
    dynamics: Dynamics = None,
    key: Annotated[int | None, typer.Option(min=0, help="Another run key from there on; the data stay.")] = None,
    settings: Settings = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Take another course from an epoch on; with nothing changed the same one again."""
    with answering(), Lab(journal) as lab:
        overrides = dict(specification.parse_override(text) for text in settings or ())
        given = None if dynamics is None else simulation.dynamics_in(dynamics)
        epochs = lab.show(run_id, at).state.started.epochs
        with recorded.progress(epochs, quiet=as_json, after=at) as watch:
            result = lab.fork(
                run_id,
                at,
                tamiyo=tamiyo,
                karn=karn,
                trainer=trainer,
                key=key,
                overrides=overrides,
                dynamics=given,
                watch=watch,
            )
        _answer_with(lab, result, as_json=as_json)


def _answer_with(lab: Lab, result: RunResult, *, as_json: bool) -> None:
    """Say how a run went that was just recorded."""
    state, reason = lab.show(result.run).state, lab.last_reason(result.run)
    answer(result.model_dump(mode="json"), recorded.result_lines(result, state, reason), as_json=as_json)
    if not result.ended_well:
        fail(ENDED_BADLY, recorded.ending_line(state, reason))
