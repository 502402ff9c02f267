"""How often off-policy intervals cover the truth, and how wide they are, at three effective sample sizes.

Two kinds of log, whose values under the target are known by summation. *Decisions*: A actions alike, a target that
prefers one; rewards of 0 or 1, which depend on the action. *Episodes*: six choices between two actions, one weight and
one return an episode, which depends on how often the first was taken. A's size and the target's preference are such
that the effective samples are 68 %, 17 % and 6 % of the log. Below, the same episodes with the largest weight unknown,
and a log in which everything hangs on an action that is seldom taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from measuring import figure, say

from engine.evaluation.off_policy.intervals import betting, cressie_read, empirical_bernstein, ratio_bootstrap
from engine.evaluation.off_policy.samples import Estimate, Floats, WeightedSample
from engine.evaluation.off_policy.support import effective_sample_size

REPETITIONS: Final = 600
SAMPLES: Final = 200
"""Of each log."""
SHARES: Final = (0.68, 0.17, 0.06)
"""Effective samples, of all: 1 / E[w^2]."""
CHOICES: Final = 6
LEAST, MOST = 0.93, 1.0
KEY: Final = 20260
Play = Callable[[np.random.Generator], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Problem:
    """A log that can be recorded again and again."""

    name: str
    truth: float
    weight_max: float
    play: Play
    """Weights and rewards, shape (SAMPLES,) each."""

    def sample(self, generator: np.random.Generator) -> WeightedSample:
        """One log."""
        weights, rewards = self.play(generator)
        return WeightedSample(weights=weights, rewards=rewards, low=0.0, high=1.0, weight_max=self.weight_max)


def decisions(share: float) -> Problem:
    """``A (c^2 + (1 - c)^2 / (A - 1)) = 1 / share`` gives the probability c of the preferred action."""
    actions = {0.68: 3, 0.17: 12, 0.06: 34}[share]
    c = (1 + math.sqrt((actions - 1) * (1 / share - 1))) / actions
    target = np.full(actions, (1 - c) / (actions - 1))
    target[0] = c

    def play(generator: np.random.Generator) -> tuple[Floats, Floats]:
        chosen = generator.integers(actions, size=SAMPLES)
        rewards = generator.random(SAMPLES) < np.where(chosen == 0, 0.6, 0.3)
        return target[chosen] * actions, rewards.astype(np.float64)

    return Problem("decisions", 0.6 * c + 0.3 * (1 - c), actions * c, play)


def episodes(share: float, *, known: bool = True) -> Problem:
    """``(2 (p^2 + (1 - p)^2))^6 = 1 / share`` gives the probability p with which the target takes the first action."""
    p = (1 + math.sqrt(share ** (-1 / CHOICES) - 1)) / 2

    def play(generator: np.random.Generator) -> tuple[Floats, Floats]:
        first = generator.random((SAMPLES, CHOICES)) < 0.5
        weights = np.where(first, 2 * p, 2 * (1 - p)).prod(axis=1)
        return weights, 0.15 + 0.6 * first.mean(axis=1) + 0.25 * generator.random(SAMPLES)

    name = "episodes" if known else "episodes, largest weight unknown"
    return Problem(name, 0.15 + 0.6 * p + 0.125, (2 * p) ** CHOICES if known else math.inf, play)


def seldom(share: float) -> Problem:
    """The target takes an action with 3/10, the behaviour with b: ``0.09 / b + 0.49 / (1 - b) = 1 / share``."""
    # b^2 - b (1 + 0.09 share - 0.49 share) + 0.09 share = 0, the smaller root.
    middle = 1 - 0.4 * share
    b = (middle - math.sqrt(middle**2 - 0.36 * share)) / 2

    def play(generator: np.random.Generator) -> tuple[Floats, Floats]:
        taken = generator.random(SAMPLES) < b
        rewards = generator.random(SAMPLES) < np.where(taken, 0.1, 0.9)
        return np.where(taken, 0.3 / b, 0.7 / (1 - b)), rewards.astype(np.float64)

    return Problem("an action seldom taken, largest weight unknown", 0.3 * 0.1 + 0.7 * 0.9, math.inf, play)


def methods(generator: np.random.Generator, *, bounded: bool) -> Mapping[str, Callable[[WeightedSample], Estimate]]:
    """By name, the default first; empirical Bernstein only where the largest weight is known."""
    found: dict[str, Callable[[WeightedSample], Estimate]] = {
        "Cressie-Read (default)": cressie_read,
        "ratio bootstrap": lambda sample: ratio_bootstrap(sample, generator, resamples=500),
        "betting": betting,
    }
    return found | ({"empirical Bernstein": empirical_bernstein} if bounded else {})


def measured(problem: Problem, key: int) -> tuple[float, dict[str, tuple[float, float]]]:
    """The mean effective share of the logs, and the coverage and the mean width of each method."""
    generator = np.random.Generator(np.random.PCG64([KEY, key]))
    tried = methods(generator, bounded=math.isfinite(problem.weight_max))
    held, width = dict.fromkeys(tried, 0), dict.fromkeys(tried, 0.0)
    share = 0.0
    for _ in range(REPETITIONS):
        sample = problem.sample(generator)
        share += effective_sample_size(sample.weights) / SAMPLES
        for name, method in tried.items():
            estimate = method(sample)
            held[name] += estimate.covers(problem.truth)
            width[name] += estimate.width
    return share / REPETITIONS, {n: (held[n] / REPETITIONS, width[n] / REPETITIONS) for n in tried}


def main() -> None:
    """Print the figures."""
    say(f"covering: 95 % off-policy intervals over {REPETITIONS} logs of {SAMPLES} samples, rewards in [0, 1]")
    for share in SHARES:
        problems = (decisions(share), episodes(share), episodes(share, known=False), seldom(share))
        for number, problem in enumerate(problems):
            seen, found = measured(problem, number)
            say(f"  {problem.name}: effective samples {share:.0%} expected, {seen:.0%} seen")
            for name, (coverage, width) in found.items():
                default = "default" in name
                figure(
                    f"    {name}, mean width {width:.3f}",
                    f"{coverage:.1%}",
                    "93-100 %" if default else "",
                    met=LEAST <= coverage <= MOST if default else None,
                )
