"""Recorded runs as a log of episodes for one target policy.

Runs of several behaviour policies make one log: that of their *mixture*, which first picks a policy, with the share of
the runs that it recorded, and then follows it. Seen at one boundary the mixture is a policy like any other: each
behaviour's odds, weighed by its share and by how likely it was to come so far. A weight then never exceeds one over the
share of a policy that recorded part of the log itself, and runs of a policy that never draws are usable like others.
With one behaviour the mixture is that behaviour, and its probabilities are the recorded ones.
Source: Veach and Guibas (1995), "Optimally combining sampling techniques", §3.2 (balance heuristic); Agarwal, Basu,
Schnabel and Joachims (2017), "Effective evaluation using logged bandit feedback from multiple loggers", §4.

Independence is of runs: two runs that share a run key share data and draws, which the intervals do not know of.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from engine.courses import Cast
from engine.evaluation.off_policy.log import Flags, Indices, LoggedEpisodes
from engine.evaluation.off_policy.samples import Floats
from engine.evaluation.off_policy.support import Supported, Verdict, support_of_episodes
from engine.evaluation.recorded.runs import Answer, Boundary, RecordedRun, Unusable, answers, named

NAMED_MAX: Final = 3
"""Actions that a verdict names."""
MASS_MIN: Final = 0.5
"""Mean weight under which nothing is estimated. In the long run it is 1; a log that misses half of that misses half of
what the target does, however alike the small weights are that it has."""

Answers = tuple[Answer, ...]


@final
@dataclass(frozen=True, slots=True, eq=False)
class RecordedLog:
    """Runs with everything that does not depend on a target."""

    runs: tuple[RecordedRun, ...]
    behaviours: tuple[str, ...]
    """Hashes of the policies that recorded them, sorted."""
    followed: tuple[Mapping[str, Answers], ...]
    """For each run, what each behaviour would have done at every boundary; its own as recorded."""

    @property
    def shares(self) -> Mapping[str, float]:
        """Which part of the runs each behaviour recorded; they sum to 1."""
        counts = Counter(run.behaviour for run in self.runs)
        return {name: counts[name] / len(self.runs) for name in self.behaviours}

    @property
    def results(self) -> Floats:
        """What each run is worth, shape (n,)."""
        return np.array([run.result for run in self.runs])


@final
@dataclass(frozen=True, slots=True, eq=False)
class TargetLog:
    """A log as it speaks of one target. Shapes: n runs, T boundaries, padded."""

    episodes: LoggedEpisodes
    """The result is earned at the last boundary."""
    unlogged: tuple[str, ...]
    """What the target does with positive probability, in a past that it can come to, and no behaviour can have done."""
    increments: Floats
    """The result step by step, see ``RecordedRun.increments``; shape (n, T)."""
    states: Floats
    """Features of each boundary: share of epochs left, accuracy, germinations so far, open ones; shape (n, T, 4)."""
    actions: Indices
    """What was done, 0 to wait and 1 to germinate, shape (n, T)."""
    germinating: Floats
    """The target's probability of any germination, [0, 1], shape (n, T)."""

    @property
    def support(self) -> Supported:
        """Whether the log can speak of the target: the usual verdict, and enough of the target's own runs in it."""
        found, mass = support_of_episodes(self.episodes, unlogged=self.unlogged), float(self.episodes.weights.mean())
        if found.verdict is Verdict.UNSUPPORTED or mass >= MASS_MIN:
            return found
        reason = f"weights average {mass:.2g} and not 1: most of what the target does is not in the log; record more, or fork"
        return replace(found, verdict=Verdict.UNSUPPORTED, reason=reason)

    @property
    def stepwise(self) -> LoggedEpisodes:
        """The same episodes earning step by step: for estimators that let no reward wait for later ratios."""
        return replace(self.episodes, rewards=self.increments, q=None, v=None)


def record_log(runs: Sequence[RecordedRun], casts: Mapping[str, Cast]) -> RecordedLog:
    """The log that ``runs`` make. ``casts`` gives the policies of every behaviour, by hash; one alone needs none.

    Raises Unusable without runs or with several behaviours of which one cannot be asked, PolicyFailed.
    """
    if not runs:
        raise Unusable("there are no runs to make a log of")
    behaviours = tuple(sorted({run.behaviour for run in runs}))
    missing = [run.header.tamiyo.name for run in runs if len(behaviours) > 1 and run.behaviour not in casts]
    if missing:
        raise Unusable(f"policy {missing[0]} cannot be asked what it would have done in the others' runs")
    profiles = sorted({run.header.profile for run in runs})
    if len(profiles) > 1:
        raise Unusable(f"the runs live by several lifecycles: {', '.join(profiles)}")
    followed = tuple({name: _followed(run, name, casts) for name in behaviours} for run in runs)
    return RecordedLog(tuple(runs), behaviours, followed)


def _followed(run: RecordedRun, behaviour: str, casts: Mapping[str, Cast]) -> Answers:
    if behaviour == run.behaviour:
        return tuple(at.answer for at in run.boundaries)
    return answers(run, *casts[behaviour](run.header))


def target_log(log: RecordedLog, target: Cast) -> TargetLog:
    """The log as it speaks of the policies that ``target`` gives for a run's header.

    Raises Unusable for a target of another lifecycle, PolicyFailed for one that cannot bear a recording.
    """
    asked = [answers(run, *target(run.header)) for run in log.runs]
    several = any(answer.germinations > 1 for answered in asked for answer in answered)
    longest = max(1, *(len(run.boundaries) for run in log.runs))
    shape = (len(log.runs), longest)
    behaviour, chances, germinating = np.ones(shape), np.ones(shape), np.zeros(shape)
    forced: Flags = np.ones(shape, dtype=np.bool_)
    increments, rewards, states = np.zeros(shape), np.zeros(shape), np.zeros((*shape, 4))
    actions: Indices = np.zeros(shape, dtype=np.int64)
    unlogged: dict[str, None] = {}
    for row, (run, answered) in enumerate(zip(log.runs, asked, strict=True)):
        size = len(run.boundaries)
        steps, holes = mixed(run, log.followed[row], log.shares, answered)
        chances[row, :size] = [answer.chance(at) for answer, at in zip(answered, run.boundaries, strict=True)]
        behaviour[row, :size] = steps
        leaves = np.array([at.leaves_choice for at in run.boundaries], dtype=np.bool_)
        # Where there is only to wait, other housekeeping still leads elsewhere: then it was no forced decision.
        forced[row, :size] = ~leaves & (chances[row, :size] == 1) & (behaviour[row, :size] == 1)
        germinating[row, :size] = [answer.germinating for answer in answered]
        actions[row, :size] = [at.chosen > 0 for at in run.boundaries]
        for place, at in enumerate(run.boundaries):
            states[row, place] = _features(at, run.header.epochs)
        increments[row, :size] = run.increments
        rewards[row, max(size, 1) - 1] = run.result
        increments[row, 0] += run.result if size == 0 else 0.0
        unlogged.update(dict.fromkeys(holes))
    episodes = LoggedEpisodes(
        lengths=np.array([max(len(run.boundaries), 1) for run in log.runs]),
        rewards=rewards,
        behaviour=behaviour,
        target=chances,
        forced=forced,
    )
    if several:
        unlogged["several germinations at one boundary"] = None
    return TargetLog(episodes, _few(unlogged), increments, states, actions, germinating)


def mixed(
    run: RecordedRun, followed: Mapping[str, Answers], shares: Mapping[str, float], target: Answers
) -> tuple[list[float], list[str]]:
    """The mixture's probability of each recorded choice, and what the target may do that the mixture cannot."""
    reach = dict(shares)
    arrives = True
    steps, holes = [], []
    for place, at in enumerate(run.boundaries):
        there = {name: followed[name][place] for name, weight in reach.items() if weight > 0}
        if arrives:
            holes += _holes(at, target[place], tuple(there.values()))
            arrives = target[place].chance(at) > 0
        came = {name: reach[name] * answer.chance(at) for name, answer in there.items()}
        total = math.fsum(came.values())
        steps.append(min(total, 1.0))
        reach = {name: weight / total for name, weight in came.items()}
    return steps, holes


def _holes(at: Boundary, target: Answer, there: Sequence[Answer]) -> list[str]:
    """What the target may do at a boundary and no behaviour that came there can have done."""
    like = [answer for answer in there if answer.orders == target.orders]
    if not like:
        orders = ", ".join(command.kind for command in target.orders) or "nothing"
        return [f"order {orders}"]
    possible = {number for answer in like for number, _ in answer.odds}
    wanted = [number for number, chance in target.odds if chance > 0 and number not in possible]
    return [named(at.legal.action(number)) for number in wanted]


def _features(at: Boundary, epochs: int) -> tuple[float, float, float, float]:
    return 1 - at.epoch / epochs, at.accuracy, float(at.grown), float(at.growing)


def _few(unlogged: Mapping[str, None]) -> tuple[str, ...]:
    shown = tuple(unlogged)[:NAMED_MAX]
    rest = len(unlogged) - len(shown)
    return (*shown, f"{rest} more") if rest else shown
