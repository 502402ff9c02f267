"""Policies beside a baseline, over scenarios and run keys: how good, how sure, and what may be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np

from domain.values import Value
from engine.evaluation.improvement import Improvement, probability_of_improvement
from engine.evaluation.intervals import RELATIVE_NOTHING, Numbers
from engine.evaluation.paired import Difference, finite_scores, paired_difference
from engine.evaluation.verdict import Verdict

Scores = Mapping[str, Mapping[str, Mapping[int, float]]]
"""By policy, scenario and run key; higher is better; NaN for a run that ended badly."""

FLIPS: Final = 9999
"""Random sign flips of more pairs than can be flipped in every way."""
PAIRS_EXACT_MAX: Final = 13
PROFILE_POINTS: Final = 21


@final
class ScenarioRange(Value):
    """The worst and the best score of a scenario over everything compared: what 0 and 1 stand for after pooling."""

    scenario: str
    worst: float
    best: float


@final
class LeaderboardRow(Value):
    """One policy. Where several scenarios are pooled, scores are normalised to [0, 1] within each."""

    policy: str
    rank: int
    """1 + the number of policies shown to be in a better class: better than the baseline, like it, or worse."""
    tied: bool
    """Whether others share the rank. Nothing says which of them is better; they are listed by their means."""
    runs: int
    failures: int
    mean: float
    interquartile_mean: float
    """Mean of the middle half of all runs."""
    difference: Difference | None
    """To the baseline; None for the baseline itself, like the fields below."""
    p_value: float | None
    """Two-sided, of the paired sign-flip permutation test."""
    p_adjusted: float | None
    """The same after Holm, over all policies compared with the baseline; what the verdict is read from, but in a race."""
    improvement: Improvement | None
    profile: tuple[float, ...]
    """Share of runs above each of the leaderboard's ``profile_at``, mean over scenarios."""
    verdict: Verdict


@final
class Leaderboard(Value):
    """All policies, best first; ranks say only what was shown against the baseline."""

    estimand: str
    baseline: str
    level: float
    scenarios: tuple[str, ...]
    pairs: int
    normalised: tuple[ScenarioRange, ...]
    """Empty where one scenario is scored on its own scale."""
    profile_at: tuple[float, ...]
    p_smallest: float
    """The smallest adjusted p-value that so many pairs and policies could give."""
    rows: tuple[LeaderboardRow, ...]

    @property
    def can_show(self) -> bool:
        """Whether the verdict could be anything but "no difference shown": six pairs or more for one policy at 95 %."""
        return self.p_smallest <= 1 - self.level


def leaderboard(
    scores: Scores,
    *,
    baseline: str,
    estimand: str,
    generator: np.random.Generator,
    level: float = 0.95,
    failed: float | None = None,
    decided: Mapping[str, Verdict] | None = None,
) -> Leaderboard:
    """Rank ``scores``; every policy needs the run keys of the baseline in every scenario.

    ``failed`` is what a NaN counts as, on the scenario's scale. ``decided`` holds verdicts that a race came to, in place
    of those from p-values, which hold only where the number of runs was fixed beforehand. Several scenarios are pooled
    after min-max normalisation within each, over all runs compared: a normalised score depends on who else is compared;
    tests that exchange two policies' runs of one key do not suffer from it. Pairs of all scenarios count the same.
    Raises ValueError for an unknown baseline, for keys that are not the baseline's, and as ``finite_scores``.
    """
    table = _Table(scores, baseline, failed)
    compared = [policy for policy in table.policies if policy != baseline]
    p_values = {policy: sign_flip_p_value(table.differences(policy), generator) for policy in compared}
    adjusted = dict(zip(compared, holm(list(p_values.values())), strict=True))
    verdicts = {policy: _verdict(table.differences(policy), adjusted[policy], level) for policy in compared}
    verdicts |= {policy: verdict for policy, verdict in (decided or {}).items() if policy in verdicts}
    verdicts[baseline] = Verdict.BASELINE
    rows = [
        LeaderboardRow(
            policy=policy,
            rank=_rank(verdicts, policy),
            tied=sum(_rank(verdicts, other) == _rank(verdicts, policy) for other in verdicts) > 1,
            runs=table.pairs,
            failures=table.failures[policy],
            mean=float(np.mean(table.pooled(policy))),
            interquartile_mean=interquartile_mean(table.pooled(policy)),
            difference=table.difference(policy, estimand, level, generator) if policy != baseline else None,
            p_value=p_values.get(policy),
            p_adjusted=adjusted.get(policy),
            improvement=table.improvement(policy, level, generator) if policy != baseline else None,
            profile=table.profile(policy),
            verdict=verdicts[policy],
        )
        for policy in table.policies
    ]
    return Leaderboard(
        estimand=estimand,
        baseline=baseline,
        level=level,
        scenarios=tuple(table.scenarios),
        pairs=table.pairs,
        normalised=table.ranges,
        profile_at=table.profile_at,
        p_smallest=min(1.0, max(1, len(compared)) * _p_smallest(table.pairs)),
        rows=tuple(sorted(rows, key=lambda row: (row.rank, -row.mean, row.policy))),
    )


def sign_flip_p_value(differences: Numbers, generator: np.random.Generator) -> float:
    """Two-sided p-value of a mean paired difference, shape (pairs,), if both sides of a pair could change places.

    Exact up to 13 pairs, where it needs no generator, else from 9999 random flips and the identity. As scipy's
    ``permutation_test`` with ``permutation_type="samples"`` gives it, which takes a second for 13 pairs.
    """
    ordered = np.sort(differences)
    count = len(ordered)
    if count <= PAIRS_EXACT_MAX:
        minus = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    else:
        minus = generator.integers(0, 2, (FLIPS + 1, count))
        minus[0] = 0
    sizes = np.abs((1.0 - 2.0 * minus) @ ordered)
    tie = RELATIVE_NOTHING * float(np.sum(np.abs(ordered)))  # the same sum, added up in another order
    return float(np.mean(sizes >= sizes[0] - tie))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for their number, so that the chance of any false "better" or "worse" stays below 1 - level.

    The smallest is multiplied by their number, the next by one less, and none falls below the one before. Source:
    Holm 1979; statsmodels' ``multipletests`` gives the same in 0.2 s a call.
    """
    adjusted, floor = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        floor = max(floor, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = floor
    return adjusted


def interquartile_mean(values: Numbers) -> float:
    """Mean of what is left after a quarter of the runs, rounded down, went from either end."""
    from scipy import stats

    return float(stats.trim_mean(values, 0.25))


def _p_smallest(pairs: int) -> float:
    """Of the sign-flip test: nothing is more extreme than the identity and its mirror image."""
    return 2.0 ** (1 - pairs) if pairs <= PAIRS_EXACT_MAX else 1 / (FLIPS + 1)


def _verdict(differences: Numbers, p_adjusted: float, level: float) -> Verdict:
    if p_adjusted > 1 - level:
        return Verdict.NO_DIFFERENCE_SHOWN
    return Verdict.BETTER if float(np.mean(differences)) > 0 else Verdict.WORSE


def _rank(verdicts: Mapping[str, Verdict], policy: str) -> int:
    classes = {Verdict.BETTER: 0, Verdict.BASELINE: 1, Verdict.NO_DIFFERENCE_SHOWN: 1, Verdict.WORSE: 2}
    return 1 + sum(classes[verdict] < classes[verdicts[policy]] for verdict in verdicts.values())


@final
class _Table:
    """Scores by policy and scenario, run keys in order, normalised where scenarios are pooled."""

    def __init__(self, scores: Scores, baseline: str, failed: float | None) -> None:
        if baseline not in scores:
            raise ValueError(f"the baseline {baseline!r} has no scores; there are {', '.join(sorted(scores))}")
        self.policies = sorted(scores)
        self.scenarios = sorted(scores[baseline])
        self._baseline = baseline
        keys = {scenario: sorted(scores[baseline][scenario]) for scenario in self.scenarios}
        if not keys or not all(keys.values()):
            raise ValueError(f"the baseline {baseline!r} needs a run key in each of at least one scenario")
        self.failures = dict.fromkeys(self.policies, 0)
        self._scores: dict[str, list[Numbers]] = {}
        for policy in self.policies:
            _refuse_other_keys(scores[policy], keys, policy)
            self._scores[policy] = []
            for scenario in self.scenarios:
                ordered = [scores[policy][scenario][key] for key in keys[scenario]]
                values, failures = finite_scores(ordered, of=f"{policy} on {scenario}", failed=failed)
                self._scores[policy].append(values)
                self.failures[policy] += failures
        self.strata = [scenario for scenario in self.scenarios for _ in keys[scenario]]
        self.pairs = len(self.strata)
        self.ranges = self._normalise() if len(self.scenarios) > 1 else ()
        everything = np.concatenate([self.pooled(policy) for policy in self.policies])
        self.profile_at: tuple[float, ...] = tuple(
            np.linspace(everything.min(), everything.max(), PROFILE_POINTS).tolist()
        )

    def _normalise(self) -> tuple[ScenarioRange, ...]:
        """To [0, 1] within each scenario; where all scores are equal there is nothing to scale, and they become 0."""
        ranges = []
        for index, scenario in enumerate(self.scenarios):
            everything = np.concatenate([self._scores[policy][index] for policy in self.policies])
            worst, best = float(everything.min()), float(everything.max())
            ranges.append(ScenarioRange(scenario=scenario, worst=worst, best=best))
            for policy in self.policies:
                self._scores[policy][index] = (self._scores[policy][index] - worst) / ((best - worst) or 1.0)
        return tuple(ranges)

    def pooled(self, policy: str) -> Numbers:
        return np.concatenate(self._scores[policy])

    def differences(self, policy: str) -> Numbers:
        return self.pooled(policy) - self.pooled(self._baseline)

    def difference(self, policy: str, estimand: str, level: float, generator: np.random.Generator) -> Difference:
        return paired_difference(
            self.pooled(policy),
            self.pooled(self._baseline),
            estimand=f"{estimand}, {policy} minus {self._baseline}",
            generator=generator,
            level=level,
            strata=self.strata,
        )

    def improvement(self, policy: str, level: float, generator: np.random.Generator) -> Improvement:
        return probability_of_improvement(
            self._scores[policy], self._scores[self._baseline], level=level, generator=generator
        )

    def profile(self, policy: str) -> tuple[float, ...]:
        above = [np.mean(values[:, None] > np.array(self.profile_at), axis=0) for values in self._scores[policy]]
        return tuple(np.mean(above, axis=0).tolist())


def _refuse_other_keys(scores: Mapping[str, Mapping[int, float]], keys: Mapping[str, list[int]], policy: str) -> None:
    if sorted(scores) != sorted(keys):
        raise ValueError(f"{policy} was run on {sorted(scores)}, the baseline on {sorted(keys)}: compare the same")
    for scenario, expected in keys.items():
        odd = sorted(set(scores[scenario]) ^ set(expected))
        if odd:
            raise ValueError(
                f"{policy} and the baseline differ in run keys {odd[:5]} of {scenario}: pairs need the same keys"
            )
