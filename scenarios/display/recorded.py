"""What the command shows: lines of text made from typed results. Prints nothing itself, the progress line aside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from domain.commands import Command, Decision, Germinate, Wait
from domain.endings import RunEnding
from domain.events import (
    AdaptationConcluded,
    CommandRefused,
    DecisionMade,
    DecisionVetoed,
    DomainEvent,
    FieldReportFiled,
    RollbackOrdered,
    SeedGerminated,
    StageChanged,
)
from domain.identifiers import SeedId
from domain.run import RunState
from domain.vocabularies import VOCABULARIES, WORDLESS
from engine.ledger import Ledger
from engine.replay import RUNGS, Verification
from engine.session import EpochView
from scenarios.lab import Moment
from scenarios.runs.results import RunResult


@contextmanager
def progress(epochs: int, *, quiet: bool, after: int = 0) -> Iterator[Callable[[EpochView], None]]:
    """A live line on a terminal; elsewhere one line for each epoch in which something was decided.

    Epochs up to ``after`` were recorded before: nothing is told of them again.
    """
    if quiet:
        yield lambda view: None
    elif not sys.stderr.isatty():
        yield lambda view: _tell(view) if view.state.epoch > after else None
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("epoch {task.completed:>4.0f}/{task.total:.0f}"),
            BarColumn(24),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("planting", total=epochs)
            last = "no decision yet"

            def watch(view: EpochView) -> None:
                nonlocal last
                decided = [event.decision for event in view.events if isinstance(event, DecisionMade)]
                last = describe(decided[-1]) if decided else last
                told = (
                    f"{_state_line(view.state)} | {last[:70]}"
                    if view.state.epoch > after
                    else "training up to there again"
                )
                bar.update(task, completed=view.state.epoch, total=view.state.started.epochs, description=told)

            yield watch


def _state_line(state: RunState) -> str:
    accuracy = f"{state.recent[-1].validation_accuracy:.3f}" if state.recent else "  -  "
    return f"validation {accuracy} | {len(state.active)} active, {state.conclusions} concluded"


def _tell(view: EpochView) -> None:
    for event in view.events:
        if isinstance(event, DecisionMade):
            sys.stderr.write(f"epoch {event.epoch}: {_state_line(view.state)} | {describe(event.decision)}\n")


def describe(decision: Decision) -> str:
    """A decision in a line: what, where, why."""
    command = decision.command
    seed = f" {command.seed}" if hasattr(command, "seed") else ""
    return f"{command.kind}{seed}: {decision.reason}"


def result_lines(result: RunResult, state: RunState, reason: str = "") -> list[str]:
    """A run that was just recorded; ``reason`` is why it ended."""
    metrics = result.metrics
    lines = [f"run {result.run}", f"ending {result.ending}: {result.epochs} epochs, digest {result.digest}"]
    if result.parent is not None:
        lines.insert(1, _lineage(result.parent, result.at_epoch))
    if state.ending is RunEnding.LEFT_RECORDING:
        lines.append(f"{reason}; nothing recorded later was used")
    if metrics.test_accuracy is not None:
        before = metrics.test_accuracy_before_growth
        grown = f"{before:.3f} before growth, " if before is not None else ""
        lines.append(f"test accuracy {grown}{metrics.test_accuracy:.3f} at the end, {metrics.parameters} parameters")
    ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(metrics.outcomes.items()))
    lines.append(f"adaptations: {ended or 'none concluded'}, {len(state.active)} under way")
    return lines


def _lineage(parent: str, at_epoch: int | None) -> str:
    return f"a fork of {parent}, the same up to the end of epoch {at_epoch}"


def ending_line(state: RunState, reason: str) -> str:
    """How a run ended badly."""
    assert state.ending is not None
    return f"the run ended {state.ending.value}: {reason} ({state.ending.sentence})"


def run_table(results: Sequence[RunResult]) -> list[str]:
    """Runs, one a line."""
    if not results:
        return ["no runs yet; `regrow run digits` records one"]
    width = max(len(result.run) for result in results)
    return [
        f"{result.run:{width}}  {result.ending:13} {result.epochs:5} epochs  test {_accuracy(result)}  {result.digest[:16]}"
        for result in results
    ]


def _accuracy(result: RunResult) -> str:
    accuracy = result.metrics.test_accuracy
    return "  -  " if accuracy is None else f"{accuracy:.3f}"


def in_words(moment: Moment, history: Sequence[DomainEvent], vocabulary: str | None) -> dict[SeedId, str]:
    """What each seed is called in a vocabulary, with our stage where that has no word of its own; empty without one."""
    if vocabulary is None:
        return {}
    ended = {event.adaptation.seed: event.outcome for event in history if isinstance(event, AdaptationConcluded)}
    said = {}
    for name, seed in _slots(moment.state):
        word = VOCABULARIES[vocabulary](seed, moment.epoch, ended.get(name))
        said[name] = f"{word.name} ({seed.stage.value})" if seed.stage in WORDLESS[type(word)] else word.name
    return said


def moment_json(moment: Moment, only: SeedId | None, words: Mapping[SeedId, str]) -> dict[str, Any]:
    """A rebuilt moment; the keys scripts may rely on are run, epoch, digest and seeds."""
    state = moment.state
    seeds = [
        {
            "seed": str(name),
            "stage": seed.stage.value,
            **({"word": words[name]} if words else {}),
            "since": seed.since,
            "attempts": seed.attempts,
            "embargoed_until": seed.embargoed_until,
            "locked": seed.locked,
            "faults": seed.faults,
            "blueprint": state.library.record(seed.adaptation.blueprint_id).name if seed.adaptation else None,
            "alpha": seed.adaptation.alpha if seed.adaptation else 0.0,
        }
        for name, seed in _slots(state)
        if only is None or name == only
    ]
    return {
        "run": moment.run,
        "epoch": moment.epoch,
        "digest": moment.digest,
        "state_digest": state.digest(),
        "ending": state.ending.value if state.ending else None,
        "metrics": state.recent[-1].model_dump(mode="json") if state.recent else None,
        "parameters": state.parameters,
        "parent": moment.parent,
        "at_epoch": moment.at_epoch,
        "seeds": seeds,
    }


def _slots(state: RunState) -> list[tuple[SeedId, Any]]:
    names = [SeedId(layer=layer.layer, index=i) for layer in state.started.layout for i in range(layer.seeds)]
    return [(name, state.seed(name)) for name in names]


def moment_lines(
    moment: Moment, history: Sequence[DomainEvent], only: SeedId | None, words: Mapping[SeedId, str]
) -> list[str]:
    """A rebuilt moment and how it came about; ``words`` say how seeds stand, their history is told in our own."""
    state = moment.state
    header = state.started
    lines = [
        f"{moment.run} at epoch {moment.epoch} of {header.epochs}: {_state_line(state)}",
        f"scenario {header.scenario}, Tamiyo {header.tamiyo.name}, profile {header.profile}, run key {header.run_key}",
        *([_lineage(moment.parent, moment.at_epoch)] if moment.parent is not None else []),
        f"digest {moment.digest}",
        "",
    ]
    for name, seed in _slots(state):
        if only is None or name == only:
            carried = f"  {state.library.record(seed.adaptation.blueprint_id).name}" if seed.adaptation else ""
            alpha = f" at alpha {seed.adaptation.alpha:.2f}" if seed.adaptation else ""
            lines.append(f"seed {name}  {words.get(name, seed.stage.value)} since epoch {seed.since}{carried}{alpha}")
    told = [line for event in history if (line := _told(event, state)) is not None]
    return [*lines, "", *told] if told else lines


def _told(event: DomainEvent, state: RunState) -> str | None:
    at = f"epoch {event.epoch:4}  "
    match event:
        case DecisionMade():
            return f"{at}Tamiyo   {describe(event.decision)}"
        case DecisionVetoed():
            rules = "; ".join(f"{found.rule}: {found.detail}" for found in event.violations)
            return f"{at}vetoed   {rules}"
        case CommandRefused():
            return f"{at}refused  {event.rule}: {event.reason}"
        case SeedGerminated():
            name = state.library.record(event.blueprint_id).name
            return (
                f"{at}seed {event.adaptation.seed} germinates {name}, reads {event.reads.value}, {event.grafting.value}"
            )
        case StageChanged():
            return f"{at}seed {event.seed} {event.source.value} -> {event.target.value}"
        case AdaptationConcluded():
            return f"{at}seed {event.adaptation.seed} concluded {event.outcome.value}"
        case FieldReportFiled():
            report = event.report
            return f"{at}field report {report.adaptation}: {report.pre_metric:.3f} -> {report.post_metric:.3f}"
        case RollbackOrdered():
            return f"{at}rollback by {event.source.value} to epoch {event.checkpoint_epoch}: {event.reason}"
        case _:
            return None


def ledger_lines(told: Ledger) -> list[str]:
    """A ledger, one boundary a line, and what it comes to."""
    lines = [f"{'epoch':>5}  {'recorded':22}{'chosen':22}{'probability':>12}{'propensity':>12}{'legal':>7}"]
    for entry in told.entries:
        marks = ["forced"] if entry.is_forced else []
        if entry.differs:
            marks.append(f"{_kinds(entry.recorded_orders)} was ordered, {_kinds(entry.chosen_orders)} would have been")
        lines.append(
            f"{entry.epoch:5}  {_choice(entry.recorded):22}{_choice(entry.chosen):22}{entry.probability:12.6f}"
            f"{entry.propensity:12.6f}{entry.legal_actions:7}  {'; '.join(marks)}".rstrip()
        )
    if told.boundary is None:
        return [*lines, f"{told.tamiyo} orders as recorded at every boundary of {told.epochs} epochs"]
    lines.append(f"{told.tamiyo} first orders otherwise at epoch {told.boundary}")
    if told.is_forced:
        after = "from there on it is shown the answers to orders that were not its own: for off-policy weights only"
    else:
        after = "nothing recorded after it reaches the policy; --all goes on all the same"
    return [*lines, after]


def _choice(command: Germinate | Wait) -> str:
    return f"germinate {command.seed} {command.blueprint_id[:6]}" if isinstance(command, Germinate) else "wait"


def _kinds(commands: Sequence[Command]) -> str:
    return ", ".join(command.kind for command in commands) or "nothing"


def rung_lines(reached: Verification) -> list[str]:
    """The rungs climbed, the highest last."""
    lines = [f"rung {rung}  {RUNGS[rung]}" for rung in range(1, reached.rung)]
    lines.append(f"rung {reached.rung}  {reached.claim}")
    if reached.not_comparable is not None:
        lines.append(f"rung {reached.rung + 1}  could not be tried: {reached.not_comparable}")
    lines += [f"note: {remark}" for remark in reached.remarks]
    lines.append(f"{reached.run} reached rung {reached.rung}: {reached.events} events, {reached.epochs} epochs")
    return [*lines, f"digest {reached.digest}"]
