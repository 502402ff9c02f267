"""What policies would be worth, read off recorded runs of others: only as far as those chose alike.

The log is every whole live run of the scenario in the journal, under the same settings, of policies that draw. Runs of
a policy that never draws are left out unless asked for: they explore nothing, though they are valid. No run is trained;
a policy that the log cannot speak of gets no number, but the command that finds out by training.

Where a run left a policy's course it has weight 0 from then on: nothing recorded later enters that policy's estimate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, final

from domain.tamiyo.policy import TamiyoPolicy
from domain.values import Value
from engine.controllers import PolicyFailed
from engine.evaluation.off_policy.episodes import (
    sequential_doubly_robust,
    weighted_doubly_robust,
    weighted_per_decision,
)
from engine.evaluation.off_policy.intervals import cressie_read
from engine.evaluation.off_policy.risk import conditional_value_at_risk, probability_below, quantile
from engine.evaluation.off_policy.samples import Estimate, WeightedSample
from engine.evaluation.off_policy.support import Supported, Verdict
from engine.evaluation.recorded.bounds import weight_bound
from engine.evaluation.recorded.log import TargetLog, target_log
from engine.evaluation.recorded.models import modelled
from engine.evaluation.recorded.runs import Unusable
from engine.randomness import stream
from scenarios import composition
from scenarios.specification import BadInput
from scenarios.whatif.off_policy_log import Gathered, LogRun, casting, gather
from scenarios.whatif.question import METRICS, Question, check

if TYPE_CHECKING:
    from scenarios.lab import Lab

LOW: Final = 0.0
HIGH: Final = 1.0
"""Bounds of what can be asked for: accuracies, known beforehand."""
WORST: Final = 0.1
"""The share of bad endings that risk is about."""


@final
class Interval(Value):
    """A number with its interval."""

    value: float
    low: float
    high: float
    level: float
    """Confidence, inside (0, 1)."""
    method: str


@final
class Support(Value):
    """Whether the log can speak of a policy, and what says so."""

    verdict: Verdict
    reason: str
    ess: float
    """Effective runs, [0, n]."""
    n: int
    largest: float
    """The largest share of the weight that one run holds, [0, 1]."""


@final
class Risk(Value):
    """How badly it can end."""

    quantile: Interval
    """The worst tenth ends at or below this."""
    shortfall: Interval
    """The mean of the worst tenth (CVaR)."""
    below_base: Interval | None = None
    """The chance, [0, 1], to end below the mean of ``never_grow``; None where the journal has no runs of it."""


@final
class OffPolicyRow(Value):
    """What the log says of one policy; no number but its support where it cannot speak of it."""

    policy: str
    support: Support
    weight_max: float | None = None
    """The largest weight that is possible; None where no bound is known."""
    estimate: Interval | None = None
    """Self-normalised, with the Cressie-Read interval."""
    doubly_robust: float | None = None
    """Sequential; None too where there are fewer than 12 runs to fit a model on."""
    weighted_doubly_robust: float | None = None
    weighted_per_decision: float | None = None
    """Weighted per-decision importance sampling of the metric told step by step: what each epoch gained."""
    fitted_q: float | None = None
    risk: Risk | None = None
    difference: Interval | None = None
    """To the baseline; its ends are those of two intervals at half the error each, so it holds whatever they share."""
    fork: str | None = None
    """The command that answers by training, where the log cannot."""


@final
class Counted(Value):
    """Runs that have something in common."""

    what: str
    runs: int


@final
class OffPolicyEvaluation(Value):
    """An answer read off a log."""

    scenario: str
    method: str
    estimand: str
    baseline: str
    level: float
    log: tuple[Counted, ...]
    """Runs used, by policy."""
    left_out: tuple[Counted, ...]
    """Runs of this scenario that were not used, by reason."""
    base: float | None
    """Mean of the journal's ``never_grow`` runs, if there are any; taken as known exactly."""
    leaderboard: tuple[OffPolicyRow, ...]
    """Best estimate first, then what is not supported, in the order asked."""


def off_policy_evaluation(
    lab: Lab, question: Question, *, deterministic: bool = False, progress: Callable[[str], None] = lambda line: None
) -> OffPolicyEvaluation:
    """Answer a question from the runs in the lab's journal. Raises BadInput as ``evaluate_off_policy``."""
    named = [run.run for run in lab.results() if run.scenario == question.scenario.name]
    runs = ((run, lab.journal.events(run)) for run in named)
    return evaluate_off_policy(question, runs, deterministic=deterministic, progress=progress)


def evaluate_off_policy(
    question: Question,
    log_runs: Iterable[LogRun],
    *,
    deterministic: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> OffPolicyEvaluation:
    """What each policy of a question is worth by ``log_runs``; with ``deterministic`` also by policies that never draw.

    The question's run keys only name the runs to train where the log cannot answer. Raises BadInput for a question that
    no log answers, and where no run is of use.
    """
    _check(question)
    policies = {name: composition.tamiyo(name)[0] for name in question.policies}
    gathered = gather(question, log_runs, deterministic=deterministic)
    if not gathered.runs:
        reasons = "; ".join(f"{count} runs: {reason}" for reason, count in gathered.left_out.items())
        raise BadInput(
            f"no recorded run of {question.scenario.name} makes a log ({reasons or 'there are none'}); "
            "record some with --tamiyo 'as_designed?epsilon=0.02', or use --method exact"
        )
    known: dict[str, TargetLog | Supported] = {}
    for name, policy in policies.items():
        progress(f"{name}: watching {len(gathered.runs)} runs")
        known[name] = _asked(gathered, policy)
    base = math.fsum(gathered.base) / len(gathered.base) if gathered.base else None
    rows = [_row(question, name, policies, known, gathered, base) for name in question.policies]
    ranked = sorted(rows, key=lambda row: -math.inf if row.estimate is None else row.estimate.value, reverse=True)
    counts = Counter(run.header.tamiyo.name for run in gathered.runs)
    return OffPolicyEvaluation(
        scenario=question.scenario.name,
        method="off-policy",
        estimand=f"{METRICS[question.metric]} after {question.scenario.training.epochs} epochs of "
        f"{question.scenario.name}, from scratch, over run keys like those of {len(gathered.runs)} recorded runs",
        baseline=question.baseline,
        level=question.level,
        log=tuple(Counted(what=name, runs=count) for name, count in sorted(counts.items())),
        left_out=tuple(Counted(what=reason, runs=count) for reason, count in gathered.left_out.items()),
        base=base,
        leaderboard=tuple(ranked),
    )


def _check(question: Question) -> None:
    check(question)
    if question.at is not None:
        raise BadInput(f"--at {question.at}: recorded runs answer from scratch only; use --method exact")
    if question.metric == "reward":
        raise BadInput("--metric reward has no bounds, and without them no interval holds; ask for an accuracy")


def _asked(gathered: Gathered, policy: TamiyoPolicy) -> TargetLog | Supported:
    """The log as it speaks of a policy, or why it cannot be asked at all."""
    log = gathered.logs.get(policy.profile)
    if log is None:
        recorded = " and ".join(gathered.logs)
        return _refused(
            f"it drives the {policy.profile} lifecycle but the log was recorded under the {recorded} one; fork"
        )
    try:
        return target_log(log, casting(policy))
    except (PolicyFailed, Unusable) as failure:
        return _refused(f"it cannot be asked about the log: {failure}")


def _refused(reason: str) -> Supported:
    return Supported(verdict=Verdict.UNSUPPORTED, reason=reason, ess=0.0, n=0, largest=0.0)


def _row(
    question: Question,
    name: str,
    policies: Mapping[str, TamiyoPolicy],
    known: Mapping[str, TargetLog | Supported],
    gathered: Gathered,
    base: float | None,
) -> OffPolicyRow:
    found = known[name]
    support = found.support if isinstance(found, TargetLog) else found
    shown = Support(
        verdict=support.verdict, reason=support.reason, ess=support.ess, n=support.n, largest=support.largest
    )
    if not isinstance(found, TargetLog) or support.verdict is Verdict.UNSUPPORTED:
        asked = tuple(dict.fromkeys((name, question.baseline)))
        fork = question.model_copy(update={"policies": asked}).command("exact")
        return OffPolicyRow(policy=name, support=shown, fork=fork)
    most = _weight_max(policies[name], gathered, question)
    sample = _sample(found, most)
    estimated = modelled(found, stream(0, "off-policy/folds"), low=LOW, high=HIGH)
    against = known[question.baseline]
    difference = None
    if name != question.baseline and isinstance(against, TargetLog):
        other = _sample(against, _weight_max(policies[question.baseline], gathered, question))
        if against.support.verdict is not Verdict.UNSUPPORTED:
            difference = _difference(sample, other, question.level)
    return OffPolicyRow(
        policy=name,
        support=shown,
        weight_max=most if math.isfinite(most) else None,
        estimate=_shown(cressie_read(sample, level=question.level)),
        doubly_robust=None if estimated is None else sequential_doubly_robust(estimated.episodes).value,
        weighted_doubly_robust=None if estimated is None else weighted_doubly_robust(estimated.episodes).value,
        weighted_per_decision=weighted_per_decision(found.stepwise).value,
        fitted_q=None if estimated is None else estimated.value,
        risk=_risk(sample, base, question.level),
        difference=difference,
    )


def _sample(log: TargetLog, weight_max: float) -> WeightedSample:
    return log.episodes.sample(low=LOW, high=HIGH, weight_max=weight_max)


def _weight_max(policy: TamiyoPolicy, gathered: Gathered, question: Question) -> float:
    shares = gathered.logs[policy.profile].shares
    behaviours = [(gathered.policies[name], share) for name, share in shares.items() if name in gathered.policies]
    return weight_bound(policy, behaviours, question.scenario.training.epochs)


def _risk(sample: WeightedSample, base: float | None, level: float) -> Risk:
    shortfall = conditional_value_at_risk(sample, WORST, stream(0, "off-policy/shortfall"), level=level)
    return Risk(
        quantile=_shown(quantile(sample, WORST, level=level)),
        shortfall=_shown(shortfall),
        below_base=None if base is None else _shown(probability_below(sample, base, level=level)),
    )


def _difference(sample: WeightedSample, baseline: WeightedSample, level: float) -> Interval:
    """Each end from both intervals, which hold together with ``level`` (Bonferroni): the runs behind them are shared."""
    each = 1 - (1 - level) / 2
    one, other = cressie_read(sample, level=each), cressie_read(baseline, level=each)
    return Interval(
        value=one.value - other.value,
        low=one.low - other.high,
        high=one.high - other.low,
        level=level,
        method="Cressie-Read, both ends",
    )


def _shown(found: Estimate) -> Interval:
    return Interval(value=found.value, low=found.low, high=found.high, level=found.level, method=found.method)
