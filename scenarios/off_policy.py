"""What policies would be worth, read off recorded runs of others: only as far as those took the same choices.

The log is every whole live run of the scenario in the journal, under the same settings, of policies that draw. Runs of
a policy that never draws are left out unless asked for: they are no exploration, though valid. No run is trained; a
policy that the log cannot speak of gets no number, but the command that finds out by training.

Nothing that was recorded after a run left a policy's course enters its estimate: there that run has weight 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from domain.events import DomainEvent
from domain.header import RunHeader
from domain.lifecycle import SIMPLIFIED
from domain.values import Value
from engine.controllers import PolicyFailed
from engine.courses import Cast, header_of
from engine.evaluation.off_policy.support import Verdict
from engine.randomness import stream
from scenarios import composition
from scenarios.evaluation import FAILED_SCORE, METRICS, Question, check
from scenarios.figures import figures
from scenarios.forking_out import exact_command
from scenarios.lab import Lab
from scenarios.specification import BadInput, Scenario

if TYPE_CHECKING:
    from engine.evaluation.off_policy.samples import Estimate, WeightedSample
    from engine.evaluation.off_policy.support import Supported
    from engine.evaluation.recorded_log import RecordedLog, TargetLog
    from engine.evaluation.recorded_runs import RecordedRun

LOW: Final = 0.0
HIGH: Final = 1.0
"""Bounds of what can be asked for: every metric here is an accuracy."""
WORST: Final = 0.1
"""The share of bad endings that risk is about."""
BASE: Final = "never_grow"
"""Whose mean a policy may end below."""

LogRun = tuple[str, Sequence[DomainEvent]]
"""A run's id and events."""


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
    """The chance, [0, 1], to end below the mean of ``never_grow``; None where the journal has no such runs."""


@final
class OffPolicyRow(Value):
    """What the log says of one policy. Every number is None where it cannot speak of it."""

    policy: str
    support: Support
    weight_max: float | None = None
    """The largest weight that is possible; None where no bound is known."""
    estimate: Interval | None = None
    """Self-normalised, with the Cressie-Read interval."""
    doubly_robust: float | None = None
    """Sequential; None without a model too: fewer than 12 runs."""
    weighted_doubly_robust: float | None = None
    weighted_per_decision: float | None = None
    """Weighted per-decision importance sampling of the metric told step by step."""
    fitted_q: float | None = None
    risk: Risk | None = None
    difference: Interval | None = None
    """To the baseline; the bounds of both intervals at half the error each, so that it holds whatever they share."""
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
    """Mean of the ``never_grow`` runs in the journal, if there are any."""
    rows: tuple[OffPolicyRow, ...]


@final
@dataclass(frozen=True, slots=True)
class Log:
    """Recorded runs, sorted into those that can be used and the others."""

    runs: tuple[RecordedRun, ...]
    left_out: Counter[str]
    base: tuple[float, ...] = ()
    """What the runs under ``never_grow`` came to."""


def off_policy_evaluation(
    lab: Lab, question: Question, *, deterministic: bool = False, progress: Callable[[str], None] = lambda line: None
) -> OffPolicyEvaluation:
    """Answer a question from the runs in the lab's journal. Its run keys only name the runs to train instead.

    Raises BadInput as ``evaluate_off_policy``.
    """
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
    """What each policy of a question is worth by ``log_runs``; with ``deterministic`` also those that never draw.

    Raises BadInput for a question that no log answers, and where no run is of use.
    """
    _check(question)
    log = usable(question, log_runs, deterministic=deterministic)
    if not log.runs:
        reasons = "; ".join(f"{count}: {reason}" for reason, count in log.left_out.items())
        raise BadInput(
            f"no recorded run of {question.scenario.name} can be read as a log"
            f"{f' ({reasons})' if reasons else ''}; record some with --tamiyo {question.baseline}?epsilon=0.02, or fork"
        )
    recorded = _recorded(log.runs)
    base = sum(log.base) / len(log.base) if log.base else None
    asked = {}
    for policy in question.policies:
        progress(f"{policy}: {len(log.runs)} runs")
        asked[policy] = _asked(question, recorded, policy)
    rows = tuple(_row(question, policy, asked, base) for policy in question.policies)
    counts = Counter(run.header.tamiyo.name for run in log.runs)
    return OffPolicyEvaluation(
        scenario=question.scenario.name,
        method="off-policy",
        estimand=f"{METRICS[question.metric]} after {question.scenario.training.epochs} epochs of "
        f"{question.scenario.name}, from scratch, over run keys like those of {len(log.runs)} recorded runs",
        baseline=question.baseline,
        level=question.level,
        log=tuple(Counted(what=name, runs=count) for name, count in sorted(counts.items())),
        left_out=tuple(Counted(what=reason, runs=count) for reason, count in log.left_out.items()),
        base=base,
        rows=rows,
    )
