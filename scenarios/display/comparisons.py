"""Comparisons and leaderboards as lines of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from engine.evaluation.leaderboard import Leaderboard, LeaderboardRow
from engine.evaluation.paired import Difference, Pairing
from engine.evaluation.racing import Race
from scenarios.whatif.attribution import MEASURES, Attribution, Measure
from scenarios.whatif.comparing import Beside, Comparison
from scenarios.whatif.exact import Evaluation
from scenarios.whatif.figures import Figures
from scenarios.whatif.simulated import SimulatedEvaluation


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, the first column to the left and the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def comparison_lines(comparison: Comparison) -> list[str]:
    """Where the runs part, then their figures side by side."""
    parted = [line for beside in comparison.beside for line in _parted(beside)]
    rows = [["", *(figures.run for figures in comparison.figures)]]
    rows += [[name, *(say(figures) for figures in comparison.figures)] for name, say in _FIGURES.items()]
    return [*parted, "", *aligned(rows), "", comparison.pairing]


def _parted(beside: Beside) -> list[str]:
    if beside.divergence is None:
        return [f"{beside.run}: the same, event for event"]
    common = (
        f"the same up to epoch {beside.epochs_in_common}, then" if beside.epochs_in_common >= 0 else "from the start"
    )
    found = beside.divergence
    topics = (
        found.recorded_topic
        if found.recorded_topic == found.replayed_topic
        else f"{found.recorded_topic} became {found.replayed_topic}"
    )
    lines = [f"{beside.run}: {common}: first difference at position {found.position}, epoch {found.epoch}: {topics}"]
    if found.recorded_topic == found.replayed_topic:
        lines += [f"    {entry.path}: {entry.recorded[:60]} became {entry.replayed[:60]}" for entry in found.fields[:4]]
    return lines


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash for none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


_FIGURES: dict[str, Callable[[Figures], str]] = {
    "final accuracy (test)": lambda run: number(run.final_accuracy),
    "best accuracy (validation)": lambda run: number(run.best_accuracy),
    "area under the curve": lambda run: number(run.area),
    "epochs to target": lambda run: "-" if run.epochs_to_target is None else str(run.epochs_to_target),
    "parameters added": lambda run: str(run.parameters_added),
    "work, 10^9 operations": lambda run: number(run.gigaflops, 2),
    "CPU seconds": lambda run: number(run.cpu_seconds, 1),
    "adaptations": lambda run: ", ".join(f"{count} {name.lower()}" for name, count in run.outcomes.items()) or "none",
    "rollbacks": lambda run: str(run.rollbacks),
    "reward": lambda run: number(run.reward, 2),
}


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """The estimand, the leaderboard, what pairing gained, and what each verdict rests on."""
    board = evaluation.leaderboard
    head = [
        "",
        "rank",
        "mean",
        "IQM",
        f"difference [{board.level:.0%}]",
        "P(better)",
        "p (Holm)",
        "pairing gained",
        "verdict",
    ]
    lines = [f"Estimand: {evaluation.estimand}.", f"Baseline: {board.baseline}.", ""]
    lines += aligned([head, *(_row(row, board) for row in board.rows)])
    lines += ["", *_notes(board, evaluation)]
    if evaluation.race is not None:
        lines += _race_lines(evaluation.race)
    return lines


def _row(row: LeaderboardRow, board: Leaderboard) -> list[str]:
    found = row.difference
    improvement = "" if row.improvement is None else number(row.improvement.probability, 2)
    return [
        row.policy,
        f"{row.rank}{'=' if row.tied else ''}",
        number(row.mean),
        number(row.interquartile_mean),
        "" if found is None else interval(found),
        improvement,
        "" if row.p_adjusted is None else number(row.p_adjusted),
        "" if found is None else _gain(found),
        row.verdict.value,
    ]


def interval(found: Difference, digits: int = 3) -> str:
    """Mean and interval of a difference."""
    return f"{found.mean:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


def _gain(found: Difference) -> str:
    if found.pairing is Pairing.PAIRED:
        return "all" if math.isinf(found.gain) else f"{found.gain:.1f}x"
    return "nothing"


def _notes(board: Leaderboard, evaluation: Evaluation) -> list[str]:
    lines = ["Ranks with = are ties: nothing shows which of them is better. Pairing gained: variance of the unpaired"]
    lines += ["difference over that of the paired one; where it is nothing, no interval is narrower for it."]
    if not board.can_show and evaluation.race is None:
        lines += [
            f"With {board.pairs} run keys no difference can be shown (smallest p {board.p_smallest:.3f}): take more."
        ]
    failures = {row.policy: row.failures for row in board.rows if row.failures}
    lines += [f"{count} runs under {policy} ended badly and count as 0." for policy, count in failures.items()]
    return lines + [f"left out, with the others of that run key: {reason}" for reason in evaluation.failed]


def _race_lines(race: Race) -> list[str]:
    said = [
        f"{lane.arm}: {lane.verdict.value if lane.verdict else 'undecided'}"
        + (f" after look {lane.decided_at}" if lane.decided_at else "")
        for lane in race.lanes
    ]
    return [
        "",
        f"Race of {race.looks} of {race.looks_max} looks, chance of any false verdict at most {race.alpha:.2g}:",
        *said,
        "Verdicts are the race's. Intervals and p are those of as many runs fixed beforehand, over the run keys that all had.",
    ]


def attribution_lines(told: Attribution) -> list[str]:
    """Which adaptation, the estimand, its figures with it and without it, the verdict and what that rests on."""
    subject, pairs = told.subject, len(told.pairs)
    ended = subject.outcome.lower().replace("_", " ")
    found: dict[Measure, Difference] = {
        "final_accuracy": told.final_accuracy,
        "area": told.area,
        "parameters_added": told.parameters_added,
    }
    rows = [["", "with it", "without it", f"difference [{told.final_accuracy.level:.0%}]", "pairing gained"]]
    rows += [_measured(told, measure, difference) for measure, difference in found.items()]
    return [
        f"Adaptation {subject.adaptation} of {subject.run}: {subject.blueprint}, germinated at epoch {subject.epoch}, "
        f"{ended}.",
        f"Estimand: {told.estimand}.",
        "",
        *aligned(rows),
        "",
        f"Verdict after {pairs} pairs of continuations: {told.verdict.value}.",
        *_grown_again(told),
        *(f"left out: {reason}" for reason in told.left_out),
    ]


def _measured(told: Attribution, measure: Measure, found: Difference) -> list[str]:
    digits = 0 if measure == "parameters_added" else 3
    sides = [
        number(math.fsum(score for score in scores if not math.isnan(score)) / len(scores), digits)
        for scores in (
            [pair.with_it.score(measure) for pair in told.pairs],
            [pair.without_it.score(measure) for pair in told.pairs],
        )
    ]
    return [MEASURES[measure], *sides, interval(found, digits), _gain(found)]


def _grown_again(told: Attribution) -> list[str]:
    again, subject = told.again, told.subject
    if not again:
        return []
    return [
        f"In {len(again)} of {len(told.pairs)} continuations without it the policy germinated seed "
        f"{subject.adaptation.seed} later all the same, first {min(again) - subject.epoch} epochs later: what is "
        "compared there is now with later. --never keeps the seed out."
    ]


def simulated_lines(told: SimulatedEvaluation) -> list[str]:
    """The leaderboard of simulated runs, what they were fitted on, and which differences to believe."""
    board = told.leaderboard
    rows = [["", "rank", "mean", f"difference [{board.level:.0%}]", "ensemble's doubt", "distance", "trust"]]
    known = {entry.policy: entry for entry in told.policies}
    for row in board.rows:
        entry = known[row.policy]
        rows.append(
            [
                row.policy,
                f"{row.rank}{'=' if row.tied else ''}",
                number(row.mean),
                "" if row.difference is None else interval(row.difference),
                number(entry.disagreement),
                number(entry.distance, 1),
                "yes" if entry.trusted else "NO",
            ]
        )
    lines = [f"Estimand: {told.estimand}.", f"Fitted on {told.fitted_on} live runs. {told.calibration}.", ""]
    doubtful = [f"{entry.policy}: {entry.sentence}." for entry in told.policies if not entry.trusted]
    hand_over = ["", *doubtful, f"Ask exactly: {told.exact}"] if doubtful else []
    return [*lines, *aligned(rows), *hand_over]
