"""The command ``regrow``. The only place that prints and exits.

To add a command: a function here with ``@app.command()``, three lines in the README, and a test in ``tests/examples``.
Exit codes: 0 done, 2 usage, 3 the run ended badly, 4 a replay diverged, 5 the journal is damaged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from typer import TyperException

from domain.events import EVENTS
from engine.journal.errors import BlobDamaged, BlobMissing, JournalDamaged, JournalError, StorageFailed
from engine.trainers.trainer import CheckpointDamaged, CheckpointMissing
from scenarios import composition, display, specification
from scenarios.lab import DEFAULT_JOURNAL, Lab, RunResult
from scenarios.specification import BadInput

USAGE: Final = 2
ENDED_BADLY: Final = 3
DIVERGED: Final = 4
DAMAGED: Final = 5

app = typer.Typer(
    name="regrow",
    help="Record, replay and re-imagine the growth of neural networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Journal = Annotated[str, typer.Option("--journal", help="Where runs are kept.", envvar="REGROW_JOURNAL")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Run = Annotated[str, typer.Argument(help="A run's id; `regrow runs` lists them.")]


@app.command()
def scenarios(*, as_json: Json = False) -> None:
    """What can be run: a task, a host, how to grow it."""
    with _answering():
        found = [specification.load(name) for name in specification.names()]
        rows = [(scenario.name, scenario.description, scenario.target) for scenario in found]
        _answer(
            [{"scenario": name, "description": text, "target": target} for name, text, target in rows],
            [f"{name:14}{text}" for name, text, _ in rows],
            as_json=as_json,
        )


@app.command()
def policies(*, as_json: Json = False) -> None:
    """Who can control: Tamiyo grows, Karn invents."""
    with _answering():
        rows = [("tamiyo", name, composition.summary(place)) for name, place in composition.TAMIYO.items()]
        rows += [("karn", name, composition.summary(place)) for name, place in composition.KARN.items()]
        _answer(
            [{"role": role, "policy": name, "description": text} for role, name, text in rows],
            [f"{role:8}{name:18}{text}" for role, name, text in rows],
            as_json=as_json,
        )


@app.command()
def blueprints(*, as_json: Json = False) -> None:
    """What can be grown: the first library."""
    with _answering():
        rows = composition.blueprint_rows()
        _answer(rows, display.blueprint_lines(rows), as_json=as_json)


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a .toml file.")],
    *,
    tamiyo: Annotated[str | None, typer.Option(help="Built-in name, module:Class or path/file.py:Class.")] = None,
    karn: Annotated[str | None, typer.Option(help="As --tamiyo.")] = None,
    key: Annotated[int, typer.Option(min=0, help="The run key: all randomness comes from it.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the scenario's.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeatable.")] = None,
    trainer: Annotated[str, typer.Option(help="What trains: live.")] = "live",
    journal: Journal = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> None:
    """Record a run."""
    with _answering(), Lab(journal) as lab:
        if trainer != "live":
            raise BadInput(specification.unknown("trainer", trainer, ("live",)))
        overrides = dict(specification.parse_override(text) for text in settings or ())
        if epochs is not None:
            overrides["training.epochs"] = epochs
        chosen = specification.load(scenario, overrides)
        with display.progress(chosen.training.epochs, quiet=as_json) as watch:
            result = lab.run(chosen, tamiyo=tamiyo, karn=karn, key=key, watch=watch)
        _answer(
            result.model_dump(mode="json"), display.result_lines(result, lab.show(result.run).state), as_json=as_json
        )
        if not result.ended_well:
            _fail(ENDED_BADLY, display.ending_line(lab.show(result.run).state, lab.last_reason(result.run)))


@app.command()
def runs(*, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """What was recorded."""
    with _answering(), Lab(journal) as lab:
        found = lab.results()
        _answer([result.model_dump(mode="json") for result in found], display.run_table(found), as_json=as_json)


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
    with _answering(), Lab(journal) as lab:
        moment = lab.show(run_id, at)
        only = None if seed is None else lab.seed_named(moment.state, seed)
        history = lab.history(run_id, moment.epoch, only)
        _answer(display.moment_json(moment, only), display.moment_lines(moment, history, only), as_json=as_json)


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
    with _answering(), Lab(journal) as lab:
        topics = tuple(event.TOPIC for event in EVENTS)
        if topic is not None and topic not in topics:
            raise BadInput(specification.unknown("event type", topic, topics))
        found = [
            {"position": position, "type": event.TOPIC, "data": json.loads(event.model_dump_json())}
            for position, event in lab.events(run_id, topic=topic, first=first, last=last)
        ]
        _answer(found, [json.dumps(entry, separators=(",", ":")) for entry in found], as_json=as_json)


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
    with _answering(), Lab(journal) as lab:
        try:
            reached = lab.verify(run_id, retrain=retrain, first_epoch=first)
        except JournalDamaged as damaged:
            damage = {"position": damaged.position, "until": damaged.damage.until, "rule": damaged.damage.rule}
            _answer({"run": run_id, "rung": 0, "digest": None, "damage": damage}, [], as_json=as_json)
            _fail(DAMAGED, str(damaged))
        _answer(reached.model_dump(mode="json", exclude_none=True), display.rung_lines(reached), as_json=as_json)
        if reached.divergence is not None:
            _fail(DIVERGED, f"{run_id} diverges at {reached.divergence.line}")


@app.command()
def export(run_id: Run, file: Path, *, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """Write a run as CloudEvents in JSON Lines."""
    with _answering(), Lab(journal) as lab:
        lab.export(run_id, file)
        size = file.stat().st_size
        _answer({"run": run_id, "file": str(file), "bytes": size}, [f"{file}: {size} bytes"], as_json=as_json)


@app.command(name="import")
def import_(file: Path, *, journal: Journal = DEFAULT_JOURNAL, as_json: Json = False) -> None:
    """Verify an exported run and record it."""
    with _answering(), Lab(journal) as lab:
        result: RunResult = lab.result(lab.import_(file))
        line = f"{result.run}: {result.epochs} epochs, digest {result.digest}"
        _answer(result.model_dump(mode="json"), [line], as_json=as_json)


def _answer(document: Any, lines: list[str], *, as_json: bool) -> None:
    """Print the document, or the lines for a person."""
    said = json.dumps(document, indent=2) if as_json else "\n".join(lines)
    if not said or sys.stdout is None:  # None: standard output was closed before the start
        return
    try:
        sys.stdout.write(said + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what could not be written is not tried again
        _fail(ENDED_BADLY, f"the answer could not be written: {error.strerror}; write it to another place")


def _fail(code: int, line: str) -> NoReturn:
    _say(line)
    raise typer.Exit(code)


def _say(line: str) -> None:
    """One line on standard error, whatever ``line`` holds."""
    if sys.stderr is not None:
        sys.stderr.write(f"regrow: {' '.join(line.split())}\n")


@contextmanager
def _answering() -> Iterator[None]:
    """Turn what can go wrong into one line and an exit code; our own bugs keep their traceback."""
    try:
        yield
    except (JournalDamaged, BlobDamaged, BlobMissing, CheckpointDamaged, CheckpointMissing) as error:
        _fail(DAMAGED, str(error))
    except StorageFailed as error:
        _fail(ENDED_BADLY, str(error))
    except (BadInput, JournalError) as error:
        _fail(USAGE, str(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; nothing more to say
    except KeyboardInterrupt:
        _fail(ENDED_BADLY, "interrupted; every epoch that was sealed stays recorded")


def main() -> None:
    """Entry point of the command."""
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:  # flags and arguments that typer itself refuses
        refusal = error.format_message().rstrip(".")
        if refusal:  # without any argument the help was printed instead
            _say(f"{refusal}; `regrow --help` and `regrow COMMAND --help` say what there is")
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
