"""What a log says of policies, and how much exploration a log needs, as lines of text."""

from __future__ import annotations

from engine.evaluation.off_policy.support import Verdict
from scenarios.display.comparisons import aligned, number
from scenarios.whatif.exploration import ExplorationAdvice
from scenarios.whatif.off_policy import Interval, OffPolicyEvaluation, OffPolicyRow


def off_policy_lines(told: OffPolicyEvaluation) -> list[str]:
    """The estimand, the log, the verdicts with what they let be said, risks, and what to run where nothing can be said."""
    used = ", ".join(f"{each.runs} of {each.what}" for each in told.log)
    lines = [f"Estimand: {told.estimand}.", f"Log: {used}.", f"Baseline: {told.baseline}.", ""]
    head = ["", "verdict", "effective", f"estimate [{told.level:.0%}]", "DR", "WDR", "PDIS", "FQE", "difference"]
    lines += aligned([head, *(_row(row) for row in told.leaderboard)])
    supported = [row for row in told.leaderboard if row.risk is not None]
    if supported:
        below = "" if told.base is None else f"P(below never_grow, {told.base:.3f})"
        risks = [["", "worst tenth ends below", "its mean", below], *(_risk(row) for row in supported)]
        lines += ["", *aligned(risks)]
    for row in told.leaderboard:
        if row.support.verdict is not Verdict.OK:
            lines += ["", f"{row.policy}: {row.support.verdict.value}: {row.support.reason}."]
        if row.fork is not None:
            lines += [f"  {row.fork}"]
    if told.left_out:
        lines += ["", *(f"Left out: {each.runs} runs: {each.what}." for each in told.left_out)]
    return lines


def _row(row: OffPolicyRow) -> list[str]:
    support = row.support
    return [
        row.policy,
        support.verdict.value,
        f"{support.ess:.1f} of {support.n}",
        _interval(row.estimate),
        number(row.doubly_robust),
        number(row.weighted_doubly_robust),
        number(row.weighted_per_decision),
        number(row.fitted_q),
        _interval(row.difference, sign="+"),
    ]


def _risk(row: OffPolicyRow) -> list[str]:
    if row.risk is None:
        return [row.policy, "-", "-", "-"]
    below = row.risk.below_base
    return [
        row.policy,
        _interval(row.risk.quantile),
        _interval(row.risk.shortfall),
        "" if below is None else _interval(below),
    ]


def _interval(found: Interval | None, sign: str = "") -> str:
    if found is None:
        return "-"
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def exploration_lines(advice: ExplorationAdvice) -> list[str]:
    """How many runs it takes, in a sentence or two, and what a better rate would be."""
    differing = f", {advice.differing} of them chosen otherwise," if advice.differing else ""
    about = f"{advice.horizon} boundaries of choice{differing} among {advice.actions} legal actions"
    if advice.episodes is None:
        lines = [f"With epsilon {advice.epsilon:g} and {about}, no number of runs gives an effective sample."]
    else:
        lines = [
            f"With epsilon {advice.epsilon:g} and {about}, an effective sample of {advice.effective:g} "
            f"needs {_count(advice.episodes)} runs: {advice.share:.2g} of a log is effective."
        ]
    if advice.best_epsilon > 0:  # at 0 the log is of one policy, and of no use for others
        lines += [f"Most is effective at epsilon {advice.best_epsilon:.3g}: {advice.best_share:.2g} of a log."]
    if advice.first_difference is not None:
        lines += [
            f"{advice.tamiyo} first chooses otherwise than {advice.recorded} at epoch {advice.first_difference}; later "
            "boundaries are as the recording has them."
        ]
    lines += [advice.remark] if advice.remark else []
    return lines


def _count(episodes: int) -> str:
    return f"{episodes:,}" if episodes < 10**9 else f"{episodes:.1e}"
