"""Comparing: runs side by side, policies over run keys, anything at all by SQL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from projections.errors import BadQuery
from scenarios import specification
from scenarios.commands.answering import (
    ENDED_BADLY,
    Journal,
    Json,
    Run,
    Settings,
    answer,
    answering,
    app,
    fail,
    say,
    write,
)
from scenarios.display import comparisons
from scenarios.display.off_policy import exploration_lines, off_policy_lines
from scenarios.display.queries import render
from scenarios.lab import DEFAULT_JOURNAL, Lab
from scenarios.specification import BadInput
from scenarios.whatif.question import Question, metric_named, run_keys

METHODS = ("exact", "simulated", "off-policy")


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more; the first is what the others stand beside.")],
    *,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Where runs part, and what came of each."""
    with answering(), Lab(journal) as lab:
        comparison = lab.compare(runs)
        answer(comparison.model_dump(mode="json"), comparisons.comparison_lines(comparison), as_json=as_json)


@app.command()
def evaluate(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a .toml file.")],
    *,
    tamiyo: Annotated[str, typer.Option(help="Policies with commas between them.")],
    keys: Annotated[str, typer.Option(help="Run keys: 0:20 for 0 to 19, or 3,5,8.")] = "0:10",
    baseline: Annotated[
        str | None, typer.Option(help="What the others are compared with; by default the last.")
    ] = None,
    method: Annotated[str, typer.Option(help="exact, simulated or off-policy.")] = "exact",
    at: Annotated[int | None, typer.Option(min=0, help="Switch after this epoch of common runs.")] = None,
    origin: Annotated[str, typer.Option(help="With --at: the policy of the common runs.")] = "never_grow",
    metric: Annotated[str, typer.Option(help="final_accuracy, best_accuracy, area or reward.")] = "final_accuracy",
    controls: Annotated[bool, typer.Option("--controls", help="Add the control arms of the first policy.")] = False,
    race: Annotated[bool, typer.Option("--race", help="Stop as soon as the policies are told apart.")] = False,
    on: Annotated[str, typer.Option(help="local, ray or ray=ADDRESS.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Runs that train at once.")] = 2,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Go on with what was interrupted: as is always done.")
    ] = False,
    dynamics: Annotated[Path | None, typer.Option(help="Simulated: a file of `regrow fit`.")] = None,
    settings: Settings = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Which policy is better: a leaderboard with intervals."""
    del go_on  # nothing recorded is ever trained twice, with the flag or without
    with answering():
        if method not in METHODS:
            raise BadInput("--method " + specification.unknown("method", method, METHODS))
        _refuse_idle(method, {"--race": race, "--controls": controls, "--dynamics": dynamics is not None})
        policies = tuple(tamiyo.split(","))
        overrides = dict(specification.parse_override(text) for text in settings or ())
        question = Question(
            scenario=specification.load(scenario, overrides),
            policies=policies,
            baseline=baseline or policies[-1],
            keys=run_keys(keys),
            at=at,
            origin=origin,
            metric=metric_named(metric),
        )
        if method == "exact":
            with Lab(journal) as lab:
                found = lab.evaluate(
                    question, on=on, workers=workers, race=race, controls=controls, progress=_mute if as_json else say
                )
            answer(found.model_dump(mode="json"), comparisons.evaluation_lines(found), as_json=as_json)
            if found.failed:
                fail(ENDED_BADLY, f"{len(found.failed)} trials gave no run; the first: {found.failed[0]}")
        elif method == "simulated":
            _simulated(journal, question, dynamics, as_json=as_json)
        else:
            with Lab(journal) as lab:
                read_off = lab.evaluate_off_policy(question)
            answer(read_off.model_dump(mode="json"), off_policy_lines(read_off), as_json=as_json)


def _refuse_idle(method: str, given: Mapping[str, bool]) -> None:
    """Raises BadInput for an option that the method has no use for, rather than answer another question."""
    for option, is_given in given.items():
        of = "simulated" if option == "--dynamics" else "exact"
        if is_given and method != of:
            raise BadInput(f"--method {method} has no use for {option}; leave it out, or ask with --method {of}")


def _simulated(journal: str, question: Question, dynamics: Path | None, *, as_json: bool) -> None:
    with Lab(journal) as lab:
        imagined = lab.evaluate_simulated(question, dynamics)
    answer(imagined.model_dump(mode="json"), comparisons.simulated_lines(imagined), as_json=as_json)


@app.command()
def fit(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a .toml file.")],
    *,
    out: Annotated[Path, typer.Option(help="Where the dynamics go.")],
    settings: Settings = None,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Fit simulated dynamics to the recorded live runs of a scenario."""
    with answering(), Lab(journal) as lab:
        overrides = dict(specification.parse_override(text) for text in settings or ())
        fitted, count = lab.fit(specification.load(scenario, overrides), out)
        document = {"file": str(out), "digest": fitted.digest, "runs": count, "members": len(fitted.members)}
        answer(
            document,
            [f"{out}: {len(fitted.members)} members fitted to {count} runs, {fitted.digest[:12]}"],
            as_json=as_json,
        )


@app.command()
def exploration(
    run_id: Run,
    *,
    tamiyo: Annotated[str, typer.Option(help="The policy that the log is to speak of.")],
    epsilon: Annotated[float, typer.Option(help="How often the logging policy explores, [0, 1].")] = 0.02,
    wanted: Annotated[float, typer.Option("--effective", help="Effective runs that are wanted.")] = 50.0,
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """How many runs a log needs to speak of a policy, and how much they should explore."""
    with answering(), Lab(journal) as lab:
        advice = lab.exploration(run_id, tamiyo, epsilon, wanted)
        answer(advice.model_dump(mode="json"), exploration_lines(advice), as_json=as_json)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the views; projections/README.md lists them.")],
    *,
    form: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """SQL over everything recorded."""
    with answering(), Lab(journal) as lab:
        try:
            write(render(lab.query(sql), "json" if as_json else form))
        except BadQuery as error:
            raise BadInput(str(error)) from error


def _mute(line: str) -> None:
    """Say nothing."""
