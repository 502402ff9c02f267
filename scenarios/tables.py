"""Comparisons and leaderboards as lines of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from engine.evaluation.leaderboard import Leaderboard, LeaderboardRow
from engine.evaluation.paired import Difference, Pairing
from engine.evaluation.racing import Race
from scenarios.comparing import Beside, Comparison
from scenarios.evaluation import Evaluation
from scenarios.figures import Figures


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


def interval(found: Difference) -> str:
    """Mean and interval of a difference."""
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _gain(found: Difference) -> str:
    if found.pairing is Pairing.PAIRED:
        return "all" if math.isinf(found.gain) else f"{found.gain:.1f}x"
    return "nothing"


def _notes(board: Leaderboard, evaluation: Evaluation) -> list[str]:
    lines = ["Ranks with = are ties: nothing shows which of them is better. Pairing gained: variance of the unpaired"]
    lines += ["difference over that of the paired one; where it is nothing, the interval is the unpaired one."]
    if not board.can_show:
        lines += [
            f"With {board.pairs} run keys no difference can be shown (smallest p {board.p_smallest:.3f}): take more."
        ]
    failures = {row.policy: row.failures for row in board.rows if row.failures}
    lines += [f"{count} runs under {policy} ended badly and count as 0." for policy, count in failures.items()]
    return lines + [f"failed: {reason}" for reason in evaluation.failed]


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
    ]
