"""Fit dynamics to recorded runs of one scenario: whole trajectories at once, robustly, with an ensemble over runs.

Read segment by segment, late progress of the host would be blamed on whichever graft came last, so every run's
accuracies are explained together: host, key, kinds and rates by least squares with a soft-L1 loss, then a factor for
each single adaptation, and again. Nothing global is drawn from: equal runs in equal order give equal dynamics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from domain.events import DomainEvent
from engine.randomness import stream
from engine.trainers.simulated.dynamics import UNKNOWN, Dynamics, Kappa, KeyEffect, KindMultipliers, Member
from engine.trainers.simulated.features import FEATURES, features_of
from engine.trainers.simulated.histories import History, history
from engine.trainers.simulated.typical import Typical, typical

RUNS_MIN: Final = 6
MEMBERS: Final = 8
ROUNDS: Final = 2
GRID: Final = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Factors tried for a single adaptation."""
LUCK_SPREAD: Final = 0.7
"""Prior standard deviation of the logarithm of such a factor; the surrogate's fit assumed .5."""
KIND_SAMPLES_MIN: Final = 6
"""Adaptations of a kind from which on its factors are drawn from its own."""
SPREAD_FLOOR: Final = 0.05
GAIN_SLOPE: Final = 20.0
"""Kappa for each unit of promised gain, a priori: a blueprint that promises 11 points leaves a tenth of the headroom."""
KAPPA_SPREAD: Final = 1.0
"""Prior standard deviation of a kind's kappa around what its promised gain says."""
KEY_SPREAD: Final = 1.0
Array = NDArray[np.float64]

_SHARED: Final = (
    "ceiling",
    "start",
    "level",
    "fast_share",
    "fast_rate",
    "slow_rate",
    "trial_rate",
    "free_rate",
    "factor",
    "slope",
)
"""Shared parameters in the order of the vector; shares as logits, rates and the factor as logarithms."""


@final
class _Problem:
    """All runs as arrays, shape (runs, epochs + 1) or (grafts, epochs + 1)."""

    def __init__(self, runs: Sequence[History]) -> None:
        self.runs: Final = runs
        self.epochs: Final = max(run.epochs for run in runs)
        shape = (len(runs), self.epochs + 1)
        self.accuracy: Array = np.full(shape, np.nan)
        self.host_epochs: Array = np.zeros(shape)
        self.before: NDArray[np.int64] = np.zeros(shape, np.int64)
        self.keys: Final = sorted({run.header.run_key for run in runs})
        self.key_of: Final = np.array([self.keys.index(run.header.run_key) for run in runs])
        exposures = [(place, entry) for place, run in enumerate(runs) for entry in run.exposures.values()]
        gains = {entry.kind: entry.gain for _, entry in exposures}
        self.kinds: Final = sorted(gains)
        self.gains: Final = np.array([gains[kind] for kind in self.kinds])
        self.layers: Final = 1 + max((entry.layer for _, entry in exposures), default=0)
        self.run_of: Final = np.array([place for place, _ in exposures], np.int64)
        self.kind_of: Final = np.array([self.kinds.index(entry.kind) for _, entry in exposures], np.int64)
        self.layer_of: Final = np.array([entry.layer for _, entry in exposures], np.int64)
        self.incidence: Array = np.zeros((len(runs), len(exposures)))
        """1 where the run holds the graft."""
        self.incidence[self.run_of, np.arange(len(exposures))] = 1.0
        grafts = (len(exposures), self.epochs + 1)
        self.alpha: Array = np.zeros(grafts)
        self.trial: Array = np.zeros(grafts)
        self.free: Array = np.zeros(grafts)
        for place, run in enumerate(runs):
            self._fill_run(place, run)
        for place, (_, entry) in enumerate(exposures):
            self.alpha[place, list(entry.alphas)] = list(entry.alphas.values())
            self.trial[place, sorted(entry.trial)] = 1.0
            self.free[place, sorted(entry.free)] = 1.0
        self.jumps: Final = (self.before != np.arange(self.epochs + 1) - 1).any(axis=0)
        """Epochs before which some run was rolled back, or that some run did not have."""
        self.weight: Final = self._weights()
        self._learnt: tuple[tuple[float, float, float], Array] | None = None

    def _fill_run(self, place: int, run: History) -> None:
        for epoch in range(1, run.epochs + 1):
            before = run.before.get(epoch, epoch - 1)
            self.before[place, epoch] = before
            self.host_epochs[place, epoch] = self.host_epochs[place, before] + (epoch in run.host_free)
            if epoch in run.metrics:
                self.accuracy[place, epoch] = run.metrics[epoch].validation_accuracy

    def _weights(self) -> Array:
        """One over the noise's scale; 0 where nothing was measured."""
        level = np.nan_to_num(self.accuracy, nan=0.5)
        spread = np.sqrt(np.clip(level * (1 - level), 0, None)) * 0.3 + SPREAD_FLOOR
        return np.where(np.isnan(self.accuracy), 0.0, 1.0 / spread)

    def learnt(self, trial_rate: float, free_rate: float, factor: float) -> Array:
        """What each graft has learnt by epoch, times its blend."""
        rates = (trial_rate, free_rate, factor)
        if self._learnt is not None and self._learnt[0] == rates:
            return self._learnt[1]
        # Epochs first, so that a step writes one row; each graft learns at most one of the two in an epoch.
        share = np.zeros((self.epochs + 1, len(self.run_of)))
        on_trial, free = self.trial.T * (1 - math.exp(-trial_rate)), self.free.T * (1 - math.exp(-free_rate))
        kept, added = 1.0 - on_trial - free, on_trial + free * factor
        every, before = np.arange(len(self.run_of)), self.before[self.run_of].T.copy()
        for epoch in range(1, self.epochs + 1):
            known = share[before[epoch], every] if self.jumps[epoch] else share[epoch - 1]
            share[epoch] = known * kept[epoch] + added[epoch]
        self._learnt = rates, share.T * self.alpha
        return self._learnt[1]


@final
class _Fit:
    """A parameter vector and how it is read."""

    def __init__(self, problem: _Problem) -> None:
        self.problem: Final = problem
        shared, keys, kinds = len(_SHARED), len(problem.keys), len(problem.kinds)
        self.levels: Final = slice(shared, shared + keys)
        self.hastes: Final = slice(shared + keys, shared + 2 * keys)
        self.kappas: Final = slice(shared + 2 * keys, shared + 2 * keys + kinds)
        self.layers: Final = slice(shared + 2 * keys + kinds, shared + 2 * keys + kinds + problem.layers - 1)
        self.luck: Array = np.ones(len(problem.run_of))
        """Factor of each adaptation, held fixed by the least squares."""
        first, best = problem.accuracy[:, 1], float(np.nanmax(problem.accuracy))
        start = float(np.clip(np.nanmedian(first), 0.02, 0.95))
        self.vector: Array = np.concatenate(
            [
                [_logit(min(max(best, 0.5), 0.999)), _logit(start), 1.0, 0.5],
                np.log([0.3, 0.03, 0.3, 0.1, 1.2]),
                [GAIN_SLOPE],
                np.zeros(2 * keys),
                GAIN_SLOPE * problem.gains,
                np.zeros(problem.layers - 1),
            ]
        )
        low, high = np.full(len(self.vector), -8.0), np.full(len(self.vector), 8.0)
        low[4:9], high[4:9] = np.log([0.02, 1e-5, 0.02, 0.005, 0.3]), np.log([5.0, 0.5, 5.0, 3.0, 4.0])
        low[9], high[9] = 0.0, 60.0
        low[self.levels], high[self.levels] = -4.0, 4.0
        low[self.hastes], high[self.hastes] = -2.0, 2.0
        low[self.kappas], high[self.kappas] = -1.0, 6.0
        low[self.layers], high[self.layers] = -2.0, 2.0
        self.bounds: Final = (low, high)

    def grafts(self, vector: Array) -> Array:
        """Kappa of each adaptation without its luck, shape (grafts,)."""
        factors = np.concatenate([[1.0], np.exp(vector[self.layers])])
        return np.asarray(vector[self.kappas][self.problem.kind_of] * factors[self.problem.layer_of])

    def hosts(self, vector: Array) -> Array:
        """Accuracy of each run's host alone, shape (runs, epochs + 1)."""
        problem = self.problem
        ceiling, start, share = _share(vector[0]), _share(vector[1]), _share(vector[3])
        level = ceiling * _share(vector[2] + vector[self.levels][problem.key_of])[:, None]
        haste = np.exp(vector[self.hastes][problem.key_of])[:, None] * problem.host_epochs
        fast, slow = np.exp(vector[4]), np.exp(vector[5])
        return np.asarray(
            level - (level - start) * (share * np.exp(-fast * haste) + (1 - share) * np.exp(-slow * haste))
        )

    def closed(self, vector: Array, luck: Array) -> Array:
        """Sum of -log of the headroom left in each run, shape (runs, epochs + 1)."""
        problem = self.problem
        if not len(problem.run_of):
            return np.zeros_like(problem.accuracy)
        learnt = problem.learnt(*(math.exp(value) for value in vector[6:9]))
        return np.asarray(problem.incidence @ ((self.grafts(vector) * luck)[:, None] * learnt))

    def mean(self, vector: Array, luck: Array) -> Array:
        """The accuracies that the parameters say, shape (runs, epochs + 1)."""
        ceiling = _share(vector[0])
        return np.asarray(ceiling - (ceiling - self.hosts(vector)) * np.exp(-self.closed(vector, luck)))

    def residuals(self, vector: Array, runs: Array) -> Array:
        """Standardised differences, each run as often as ``runs`` says, and the priors'."""
        problem = self.problem
        off = np.nan_to_num(self.mean(vector, self.luck) - problem.accuracy) * problem.weight
        off *= np.sqrt(runs)[:, None]
        kappas = vector[self.kappas]
        priors = [
            np.concatenate([vector[self.levels], vector[self.hastes], vector[self.layers]]) / KEY_SPREAD,
            (kappas - vector[9] * problem.gains) / KAPPA_SPREAD,
            (vector[9:10] - GAIN_SLOPE) / GAIN_SLOPE,
            vector[:9] / 20.0,
        ]
        return np.concatenate([off[:, 1:].ravel(), *priors])

    def solve(self, runs: Array, evaluations: int) -> None:
        """Least squares from where the vector is."""
        from scipy.optimize import least_squares

        low, high = self.bounds
        inside = np.clip(self.vector, low + 1e-6, high - 1e-6)
        found = least_squares(
            self.residuals, inside, bounds=self.bounds, loss="soft_l1", f_scale=0.5, max_nfev=evaluations, args=(runs,)
        )
        self.vector = np.asarray(found.x)

    def try_luck(self) -> None:
        """The factor of each adaptation that explains its run best; the prior keeps what cannot be told at 1."""
        problem, vector = self.problem, self.vector
        if not len(problem.run_of):
            return
        host, ceiling = self.hosts(vector), _share(vector[0])
        learnt = problem.learnt(*(math.exp(value) for value in vector[6:9])) * self.grafts(vector)[:, None]
        closed = self.closed(vector, self.luck)
        for graft, run in enumerate(problem.run_of):
            others = closed[run] - self.luck[graft] * learnt[graft]
            costs = []
            for factor in GRID:
                mean = ceiling - (ceiling - host[run]) * np.exp(-(others + factor * learnt[graft]))
                off = np.nan_to_num(mean - problem.accuracy[run]) * problem.weight[run]
                prior = (math.log(max(factor, 0.1)) / LUCK_SPREAD) ** 2
                costs.append(float(np.sum(2 * (np.sqrt(1 + (off / 0.5) ** 2) - 1) * 0.25)) + 0.5 * prior * SPREAD_FLOOR)
            self.luck[graft] = GRID[int(np.argmin(costs))]
            closed[run] = others + self.luck[graft] * learnt[graft]

    def member(self) -> Member:
        """The parameters in their own units."""
        vector, problem = self.vector, self.problem
        kappas = dict(zip(problem.kinds, vector[self.kappas].tolist(), strict=True))
        return Member(
            ceiling=_rounded(float(_share(vector[0]))),
            start=_rounded(float(_share(vector[1]))),
            level=_rounded(vector[2]),
            fast_share=_rounded(float(_share(vector[3]))),
            fast_rate=_rounded(math.exp(vector[4])),
            slow_rate=_rounded(math.exp(vector[5])),
            trial_rate=_rounded(math.exp(vector[6])),
            free_rate=_rounded(math.exp(vector[7])),
            free_factor=_rounded(math.exp(vector[8])),
            kappas=tuple(Kappa(kind=kind, value=_rounded(value)) for kind, value in sorted(kappas.items())),
            kappa_per_gain=_rounded(vector[9]),
            layer_factors=(1.0, *(_rounded(math.exp(value)) for value in vector[self.layers])),
            keys=tuple(
                KeyEffect(run_key=key, level=_rounded(level), haste=_rounded(haste))
                for key, level, haste in zip(problem.keys, vector[self.levels], vector[self.hastes], strict=True)
            ),
        )


def fit(runs: Iterable[Iterable[DomainEvent]], *, policies: Sequence[str] = ()) -> Dynamics:
    """Dynamics of the scenario that all ``runs`` were recorded of; ``policies`` names them, by default by their headers.

    Raises ValueError, one line, for fewer than six runs that trained at all, or runs of different scenarios.
    """
    told = [history(events) for events in runs]
    named = policies or [run.policy if run else "" for run in told]
    pairs = [(run, name) for run, name in zip(told, named, strict=True) if run is not None and run.metrics]
    known = [run for run, _ in pairs]
    _check(known)
    problem = _Problem(known)
    whole = _Fit(problem)
    ones = np.ones(len(known))
    whole.solve(ones, 60)
    for _ in range(ROUNDS):
        whole.try_luck()
        whole.solve(ones, 15)
    members = [whole.member()]
    for number in range(1, MEMBERS):
        members.append(_resampled(whole, number))
    mean = whole.mean(whole.vector, whole.luck)
    found: Typical = typical(known, mean)
    first = known[0].header
    return Dynamics(
        scenario=first.scenario,
        task=first.task.name,
        hidden=first.host.hidden,
        epochs=problem.epochs,
        members=tuple(members),
        multipliers=_multipliers(whole),
        feature_names=FEATURES,
        features=tuple(features_of(run, name) for run, name in pairs),
        fit_error=_rounded(float(np.sqrt(np.nanmean((mean - problem.accuracy) ** 2)))),
        host_parameters=max(run.host_parameters for run in known),
        **found.as_fields(),
    )


def _resampled(whole: _Fit, number: int) -> Member:
    """The fit to a bootstrap sample of the runs, from where the whole fit stands."""
    count = len(whole.problem.runs)
    picked = stream(number, "simulated/bootstrap").integers(count, size=count)
    again = _Fit(whole.problem)
    again.vector, again.luck = whole.vector.copy(), whole.luck
    again.solve(np.bincount(picked, minlength=count).astype(np.float64), 8)
    return again.member()


def _check(runs: Sequence[History]) -> None:
    if len(runs) < RUNS_MIN:
        raise ValueError(
            f"dynamics are fitted to at least {RUNS_MIN} runs that trained but got {len(runs)}; record more"
        )
    kinds = sorted(
        {f"{run.header.scenario} (task {run.header.task.name}, host {run.header.host.hidden})" for run in runs}
    )
    if len(kinds) > 1:
        raise ValueError(f"dynamics are fitted to runs of one scenario but got {'; '.join(kinds)}; choose one")


def _multipliers(whole: _Fit) -> tuple[KindMultipliers, ...]:
    problem = whole.problem
    if not len(problem.run_of):
        return ()
    found = [KindMultipliers(kind=UNKNOWN, multipliers=tuple(sorted(whole.luck.tolist())))]
    for number, kind in enumerate(problem.kinds):
        own = whole.luck[problem.kind_of == number]
        if len(own) >= KIND_SAMPLES_MIN:
            found.append(KindMultipliers(kind=kind, multipliers=tuple(sorted(own.tolist()))))
    return tuple(found)


def _share(logit: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-logit))


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


def _rounded(value: float) -> float:
    """Six significant digits: what is beyond them is rounding of the least squares."""
    return float(f"{value:.6g}")
