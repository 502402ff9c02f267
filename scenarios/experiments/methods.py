"""Which method's answer counts? The table of ``scenarios/README.md``: ``make methods``.

Eight policies on three scenarios: what each method says of them from a log that holds none of them, against exact runs
on ten run keys. A method that does not trust itself with a policy leaves it out, and its line says how many are left.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Final, final

from domain.values import Value
from engine.trainers.simulated.validation import rank_correlation
from scenarios import specification
from scenarios.experiments.readme_tables import write_table
from scenarios.lab import Lab
from scenarios.specification import Scenario
from scenarios.whatif.off_policy import off_policy_evaluation
from scenarios.whatif.question import Question

SCENARIOS: Final = ("xor4", "spheres", "clusters")
POLICIES: Final = (
    "as_designed",
    "as_designed?patience=4",
    "as_designed?patience=16",
    "as_designed?only=low_rank_residual",
    "as_designed?epsilon=0.05",
    "random_growth?probability=0.03",
    "always_grow",
    "never_grow",
)
LOG: Final = (
    ("as_designed?epsilon=0.02", 40),
    ("random_growth", 20),
    ("as_designed?epsilon=0.2", 10),
)
"""Policies that explore, and how many runs of each are recorded. None of them is asked about."""
LOG_KEYS_FROM: Final = 1000
"""Run keys of the log: none of those that the answers are checked on."""
NORMAL_95: Final = 1.96


@final
class Said(Value):
    """What one method says of one policy."""

    value: float
    low: float
    high: float


Answers = Mapping[str, Said | None]
"""By policy; None where the method does not trust itself."""


@final
class Judged(Value):
    """How a method's answers compare with exact ones, over the policies that it answers for."""

    scenario: str
    method: str
    answered: int
    spearman: float
    """Rank correlation, [-1, 1]; NaN for fewer than three answers."""
    regret: float
    """Exact accuracy of the best answered policy less that of the one said to be best."""
    error: float
    """Mean of |said - exact| / exact."""
    covered: float
    """Share of intervals that hold the exact mean."""
    width: float
    """Mean width of the intervals."""


def judge(scenario: str, method: str, answers: Answers, exact: Mapping[str, float]) -> Judged:
    """Compare answers with exact means, both by policy."""
    said = {policy: answer for policy, answer in answers.items() if answer is not None}
    if not said:
        nothing = math.nan
        return Judged(
            scenario=scenario,
            method=method,
            answered=0,
            spearman=nothing,
            regret=nothing,
            error=nothing,
            covered=nothing,
            width=nothing,
        )
    truth = [exact[policy] for policy in said]
    values = [answer.value for answer in said.values()]
    best = max(said, key=lambda policy: said[policy].value)
    return Judged(
        scenario=scenario,
        method=method,
        answered=len(said),
        spearman=rank_correlation(values, truth) if len(said) > 2 else math.nan,
        regret=max(truth) - exact[best],
        error=statistics.fmean(abs(value - fact) / fact for value, fact in zip(values, truth, strict=True)),
        covered=statistics.fmean(answer.low <= exact[policy] <= answer.high for policy, answer in said.items()),
        width=statistics.fmean(answer.high - answer.low for answer in said.values()),
    )


def record_log(lab: Lab, scenario: Scenario, share: float, workers: int) -> None:
    """Record the log of a scenario; ``share`` of it for a quick look."""
    for policy, runs in LOG:
        keys = tuple(range(LOG_KEYS_FROM, LOG_KEYS_FROM + max(round(runs * share), 2)))
        question = Question(scenario=scenario, policies=(policy,), baseline=policy, keys=keys)
        lab.evaluate(question, workers=workers)
        _tell(f"{scenario.name}: {len(keys)} runs of {policy} logged")


def exactly(lab: Lab, question: Question, workers: int) -> dict[str, float]:
    """The exact mean of each policy."""
    found = lab.evaluate(question, workers=workers)
    return {row.policy: row.mean for row in found.leaderboard.rows}


def off_policy(lab: Lab, question: Question) -> Answers:
    """What the log says; None where it is UNSUPPORTED."""
    found = off_policy_evaluation(lab, question)
    return {
        row.policy: None
        if row.estimate is None
        else Said(value=row.estimate.value, low=row.estimate.low, high=row.estimate.high)
        for row in found.leaderboard
    }


def simulated(lab: Lab, question: Question) -> tuple[Answers, Answers]:
    """What dynamics fitted to the log say: None where they hand over, and then whatever they say regardless.

    The interval is that of the ensemble's disagreement and of the error over held-out policies together.
    """
    found = lab.evaluate_simulated(question)
    means = {row.policy: row.mean for row in found.leaderboard.rows}
    regardless: dict[str, Said | None] = {}
    for entry in found.policies:
        half = NORMAL_95 * math.hypot(entry.disagreement, found.error or 0.0)
        value = means[entry.policy]
        regardless[entry.policy] = Said(value=value, low=value - half, high=value + half)
        if not entry.trusted:
            _tell(f"{question.scenario.name}: {entry.sentence}")
    trusted = {entry.policy: regardless[entry.policy] if entry.trusted else None for entry in found.policies}
    return trusted, regardless


def measure(lab_of: str, exact_of: str, name: str, keys: int, share: float, workers: int) -> list[Judged]:
    """One scenario: the log in one journal, the exact runs in another, so that no answer knows them."""
    scenario = specification.load(name)
    question = Question(
        scenario=scenario, policies=POLICIES, baseline="as_designed", keys=tuple(range(keys)), level=0.95
    )
    with Lab(exact_of) as lab:
        exact = exactly(lab, question, workers)
    with Lab(lab_of) as lab:
        record_log(lab, scenario, share, workers)
        trusted, regardless = simulated(lab, question)
        answers = {
            "off-policy": off_policy(lab, question),
            "simulated, trusted only": trusted,
            "simulated, all": regardless,
        }
    for policy, mean in sorted(exact.items(), key=lambda item: -item[1]):
        said = {method: answer[policy] for method, answer in answers.items()}
        _tell(
            f"{name} {policy}: exact {mean:.3f}; "
            + "; ".join(f"{method} {_number(one)}" for method, one in said.items())
        )
    return [judge(name, method, answer, exact) for method, answer in answers.items()]


def _number(said: Said | None) -> str:
    return "no answer" if said is None else f"{said.value:.3f} [{said.low:.3f}, {said.high:.3f}]"


def table(judged: Sequence[Judged]) -> str:
    """The whole table in Markdown."""
    head = [
        "| scenario | method | answers for | Spearman | regret@1 | relative error | intervals that cover | their width |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(_row, judged)])


def _row(found: Judged) -> str:
    numbers = [found.spearman, found.regret, found.error, found.covered, found.width]
    shown = [
        "-" if math.isnan(number) else text
        for number, text in zip(
            numbers,
            (
                f"{found.spearman:.2f}",
                f"{found.regret:.3f}",
                f"{found.error:.1%}",
                f"{found.covered:.0%}",
                f"{found.width:.3f}",
            ),
            strict=True,
        )
    ]
    return f"| {found.scenario} | {found.method} | {found.answered} of {len(POLICIES)} | {' | '.join(shown)} |"


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS))
    parser.add_argument("--keys", type=int, default=10, help="run keys of the exact answers, at least 2")
    parser.add_argument("--share", type=float, default=1.0, help="of the log; less for a quick look")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log", default="sqlite:///.regrow/methods-log.db")
    parser.add_argument("--exact", default="sqlite:///.regrow/methods-exact.db")
    parser.add_argument("--write", action="store_true", help="put the table into scenarios/README.md")
    chosen = parser.parse_args()
    judged: list[Judged] = []
    for name in chosen.scenarios:
        judged += measure(chosen.log, chosen.exact, name, chosen.keys, chosen.share, chosen.workers)
    text = table(judged)
    sys.stdout.write(text + "\n")
    if chosen.write:
        write_table("methods", text)


if __name__ == "__main__":
    main()
