"""Races: batches of runs until it is plain who is better than the baseline, without believing chance for having looked often.

Group-sequential permutation tests as in AdaStop, with two changes. Scores are paired by run key, so a permutation flips
the signs of paired differences; and the comparisons share alpha by Holm's rule over sequential tests. Each test may
reject a true null with probability alpha / arms / looks more at every look; whoever is decided hands its share on.
Sources: Mathieu et al. 2023 (AdaStop); Maurer & Bretz 2013 (Holm's rule in group-sequential designs); Hemerik &
Goeman 2018 (random flips that include the identity are exact).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, final

import numpy as np
from pydantic import Field

from domain.values import Value
from engine.evaluation.intervals import Numbers
from engine.evaluation.verdict import Verdict
from engine.randomness import stream

RELATIVE_TIE: Final = 1e-12
"""Sums this close are the same sum added up in another order."""


@final
class Lane(Value):
    """One arm of a race."""

    arm: str
    batches: tuple[tuple[float, ...], ...] = ()
    """Paired differences to the baseline, by look."""
    verdict: Verdict | None = None
    """None while undecided."""
    decided_at: int | None = None
    """The look, counted from 1."""


@final
class Race(Value):
    """The state of a race; ``fed`` gives the next. Equal scores and run keys give equal races."""

    baseline: str
    lanes: tuple[Lane, ...]
    looks_max: Annotated[int, Field(ge=1)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    """Chance of any false "better" or "worse", if within each run key the arm's and the baseline's scores could change places."""
    futility: Annotated[float, Field(ge=0, lt=1)]
    """An arm is dropped when its chance to be decided by the last look, going on as so far, falls below; never raises alpha."""
    flips: Annotated[int, Field(ge=100)]
    run_key: Annotated[int, Field(ge=0)]
    """What the flips are drawn from."""
    looks: int = 0

    @classmethod
    def between(
        cls,
        arms: Sequence[str],
        *,
        baseline: str,
        run_key: int,
        looks_max: int = 5,
        alpha: float = 0.05,
        futility: float = 0.05,
        flips: int = 4000,
    ) -> Race:
        """A race before its first batch. Raises ValueError for no arms, or for one that occurs twice."""
        if not arms or len({*arms, baseline}) != len(arms) + 1:
            raise ValueError(f"a race needs arms that differ from each other and from {baseline!r} but got {[*arms]}")
        return cls(
            baseline=baseline,
            lanes=tuple(Lane(arm=arm) for arm in arms),
            looks_max=looks_max,
            alpha=alpha,
            futility=futility,
            flips=flips,
            run_key=run_key,
        )

    @property
    def undecided(self) -> tuple[str, ...]:
        """The arms that the next batch must hold, beside the baseline."""
        return tuple(lane.arm for lane in self.lanes if lane.verdict is None)

    @property
    def goes_on(self) -> bool:
        """Whether another batch is wanted."""
        return bool(self.undecided)

    @property
    def decided(self) -> dict[str, Verdict]:
        """By arm."""
        return {lane.arm: lane.verdict for lane in self.lanes if lane.verdict is not None}

    def fed(self, batch: Mapping[str, Sequence[float]]) -> Race:
        """The race after one more look. ``batch`` holds the baseline and every undecided arm, by new run keys in order.

        Raises ValueError when the race is over, for other arms, unequal lengths, no scores, or NaN: say beforehand
        what a run that ended badly is worth.
        """
        fresh = self._checked(batch)
        looks = self.looks + 1
        lanes = [
            lane.model_copy(update={"batches": (*lane.batches, tuple(fresh[lane.arm].tolist()))})
            if lane.arm in fresh
            else lane
            for lane in self.lanes
        ]
        race = self.model_copy(update={"looks": looks, "lanes": tuple(lanes)})
        race = race._judged()
        return race if looks == self.looks_max else race._without_the_hopeless()

    def _checked(self, batch: Mapping[str, Sequence[float]]) -> dict[str, Numbers]:
        if not self.goes_on:
            raise ValueError(f"the race is over after {self.looks} looks: there is nothing left to decide")
        wanted = sorted([self.baseline, *self.undecided])
        if sorted(batch) != wanted:
            raise ValueError(f"a batch needs scores of exactly {wanted} but got {sorted(batch)}")
        scores = {arm: np.array(values, dtype=np.float64) for arm, values in batch.items()}
        count = len(scores[self.baseline])
        for arm, values in scores.items():
            if values.shape != (count,) or count == 0 or not np.isfinite(values).all():
                raise ValueError(f"a batch needs a finite score per run key of every arm but got {values} for {arm}")
        return {arm: scores[arm] - scores[self.baseline] for arm in self.undecided}

    def _judged(self) -> Race:
        """Holm's rule: whenever an arm is told apart, the others are tested at a larger share of alpha."""
        race = self
        while True:
            open_ = [lane for lane in race.lanes if lane.verdict is None]
            share = race.alpha / race._untold
            told = next((lane for lane in open_ if race._tells_apart(lane, share)), None)
            if told is not None:
                better = sum(sum(batch) for batch in told.batches) > 0
                race = race._with(told, Verdict.BETTER if better else Verdict.WORSE)
                continue
            if race.looks == race.looks_max:
                for lane in open_:
                    race = race._with(lane, Verdict.NO_DIFFERENCE_SHOWN)
            return race

    @property
    def _untold(self) -> int:
        """Arms not shown to differ, dropped ones included: their share of alpha is not handed on."""
        return max(1, sum(lane.verdict in {None, Verdict.NO_DIFFERENCE_SHOWN} for lane in self.lanes))

    def _with(self, lane: Lane, verdict: Verdict) -> Race:
        judged = lane.model_copy(update={"verdict": verdict, "decided_at": self.looks})
        return self.model_copy(
            update={"lanes": tuple(judged if other.arm == lane.arm else other for other in self.lanes)}
        )

    def _tells_apart(self, lane: Lane, alpha: float) -> bool:
        """Whether the sequential sign-flip test at ``alpha`` has rejected by now.

        At each look the flips still alive are ordered by the size of their sum, and the largest are struck out until
        the share struck out so far reaches what may be spent by this look. The first flip is the identity.
        """
        sums: Numbers = np.zeros(self.flips)
        scale = sum(sum(map(abs, batch)) for batch in lane.batches)
        alive = np.ones(self.flips, dtype=bool)
        for look, batch in enumerate(lane.batches, start=1):
            sums = sums + self._signs(look, len(batch)) @ np.array(batch)
            sizes = np.abs(sums)
            may_strike = int(alpha * look / self.looks_max * self.flips) - int((~alive).sum())
            candidates = np.sort(sizes[alive])[::-1]
            if may_strike >= len(candidates):
                return True
            alive &= sizes <= candidates[may_strike] + RELATIVE_TIE * scale
            if not alive[0]:
                return True
        return False

    def _signs(self, look: int, count: int) -> Numbers:
        """The flips of a look, shape (flips, count); the same for every arm."""
        heads = stream(self.run_key, "evaluation/race", look).integers(0, 2, (self.flips, count), dtype=np.uint8)
        signs: Numbers = heads.astype(np.float64) * 2.0 - 1.0
        signs[0] = 1.0
        return signs

    def _without_the_hopeless(self) -> Race:
        race = self
        for lane in self.lanes:
            if lane.verdict is None and self.looks > 1 and race._chance_left(lane) < self.futility:
                race = race._with(lane, Verdict.NO_DIFFERENCE_SHOWN)
        return race

    def _chance_left(self, lane: Lane) -> float:
        """Conditional power: that the sum at the last look tells the arm apart if it goes on as it went (normal)."""
        from scipy import stats

        differences = np.concatenate([np.array(batch) for batch in lane.batches])
        mean, spread = float(differences.mean()), float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
        total = len(differences) / self.looks * self.looks_max
        if spread == 0:
            return float(mean != 0)
        needed = float(stats.norm.isf(self.alpha / self._untold / 2)) * spread * total**0.5
        rest = spread * (total - len(differences)) ** 0.5
        expected = mean * total
        return float(stats.norm.sf((needed - expected) / rest) + stats.norm.cdf((-needed - expected) / rest))
