"""Evaluating policies on fitted dynamics instead of training: cheap, and never said without how far it is to be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, final

from domain.endings import RunEnding
from domain.events import DomainEvent, RunEnded, RunStarted
from domain.values import Value
from engine.courses import header_of
from engine.evaluation.leaderboard import Leaderboard, leaderboard
from engine.journal.journal import Journal
from engine.randomness import stream
from engine.trainers.simulated.dynamics import Dynamics
from engine.trainers.simulated.validation import Asked, Calibration, Trust, Verdict, ask, calibrate, verdict
from scenarios.runs.simulation import fitted_to, settings, simulate, simulate_as
from scenarios.specification import BadInput, Scenario
from scenarios.whatif.figures import figures
from scenarios.whatif.question import FAILED_SCORE, METRICS, Question, check

RUNS_MIN: Final = 6
"""Live runs of a scenario under which nothing is fitted."""


@final
class Imagined(Value):
    """What the dynamics say of a policy, and whether to believe what they say of its difference to the baseline."""

    policy: str
    disagreement: float
    """Standard deviation over the ensemble's members of the mean score."""
    distance: float
    """From the nearest policy fitted on, in standard deviations."""
    trusted: bool
    sentence: str


@final
class SimulatedEvaluation(Value):
    """A leaderboard of simulated runs with its calibration beside it."""

    scenario: str
    method: str
    estimand: str
    leaderboard: Leaderboard
    fitted_on: int
    """Live runs."""
    calibration: str
    """How held-out policies were ranked, in a line; or why none could be held out."""
    error: float | None
    """Mean absolute error over held-out policies; None where none could be."""
    policies: tuple[Imagined, ...]
    exact: str
    """The command that asks the same exactly."""


def logged(journal: Journal, scenario: Scenario) -> dict[str, list[tuple[DomainEvent, ...]]]:
    """The live runs of a scenario that ended and are no forks, by policy and the settings it decides by.

    The same policy on the same run key again is the same run, such as a fork that changed nothing, and counts once.
    """
    found: dict[str, list[tuple[DomainEvent, ...]]] = {}
    seen: set[tuple[str, int]] = set()
    for summary in journal.summaries(RunEnded):
        started = summary.first
        if not isinstance(started, RunStarted) or RunEnded not in summary.latest:
            continue
        header = started.header
        same = (header.trainer, header.scenario, header.task, header.host, header.training) == (
            "live",
            scenario.name,
            scenario.task,
            scenario.host,
            scenario.training,
        )
        if same and (settings(header), header.run_key) not in seen:
            events = journal.events(summary.run_id)
            if not any(event.TOPIC == "run-forked" for event in events):
                seen.add((settings(header), header.run_key))
                found.setdefault(settings(header), []).append(events)
    return found


def fit_scenario(journal: Journal, scenario: Scenario) -> tuple[Dynamics, int]:
    """Dynamics fitted to every usable live run of a scenario, and how many those are. Raises BadInput for too few."""
    return _fitted(journal, scenario, logged(journal, scenario))


def _fitted(
    journal: Journal, scenario: Scenario, runs: Mapping[str, Sequence[Sequence[DomainEvent]]]
) -> tuple[Dynamics, int]:
    count = sum(map(len, runs.values()))
    if count < RUNS_MIN:
        raise BadInput(
            f"{journal.name} holds {count} live runs of {scenario.name} that ended; dynamics need {RUNS_MIN} at least: "
            f"record some, for instance with `regrow evaluate {scenario.name} --tamiyo random_growth,never_grow`"
        )
    return fitted_to([events for _, told in sorted(runs.items()) for events in told]), count


def evaluate_simulated(journal: Journal, question: Question, dynamics: Dynamics | None) -> SimulatedEvaluation:
    """Answer a question with simulated runs, on given dynamics or on those fitted to the journal's runs of the scenario.

    Raises BadInput for a question without an answer, a switch (``at``), dynamics of another task, too few runs to fit.
    """
    check(question)
    if question.at is not None:
        raise BadInput("--method simulated runs from scratch; leave --at out, or ask exactly")
    calibration = None
    if dynamics is None:
        runs = logged(journal, question.scenario)
        fitted, count = _fitted(journal, question.scenario, runs)
        if len(runs) > 2 and count - max(map(len, runs.values())) >= RUNS_MIN:
            calibration = calibrate(runs, lambda made, policy, member: _again(runs[policy], made, member))
    else:
        fitted, count = dynamics, len(dynamics.features)
    simulated = _Simulated(question, fitted)
    asked = {policy: simulated.ask(policy) for policy in question.policies}
    rows = []
    for policy, told in asked.items():
        judged = _judged(question, told, asked[question.baseline], calibration)
        rows.append(
            Imagined(
                policy=policy,
                disagreement=told.disagreement,
                distance=told.distance,
                trusted=policy == question.baseline or judged.trust is Trust.TRUSTED,
                sentence="the baseline" if policy == question.baseline else judged.sentence,
            )
        )
    return SimulatedEvaluation(
        scenario=question.scenario.name,
        method="simulated",
        estimand=f"{question.estimand}, simulated",
        leaderboard=simulated.board(),
        fitted_on=count,
        calibration=calibration.line if calibration else _uncalibrated(dynamics),
        error=calibration.error if calibration else None,
        policies=tuple(rows),
        exact=question.command("exact"),
    )


def _judged(question: Question, one: Asked, other: Asked, calibration: Calibration | None) -> Verdict:
    """The verdict on a difference, where the dynamics were checked at all, which is on the final accuracy."""
    if question.metric != "final_accuracy":
        checked = f"dynamics are checked on the final accuracy, not on the {METRICS[question.metric]}; fork exactly"
        return Verdict(Trust.HAND_OVER, checked)
    if calibration is None:
        return Verdict(
            Trust.HAND_OVER, "no policy was held out, so nobody knows what the dynamics are worth; fork exactly"
        )
    return verdict(one, other, calibration)


def _uncalibrated(dynamics: Dynamics | None) -> str:
    """Why no policy was held out."""
    if dynamics is not None:
        return "No policy was held out: given dynamics are taken as they are; leave --dynamics out to have them checked"
    return f"No policy was held out: that takes three logged policies, and {RUNS_MIN} runs without any one of them"


def _again(runs: Sequence[Sequence[DomainEvent]], dynamics: Dynamics, member: int | None) -> list[list[DomainEvent]]:
    """The runs of a policy, simulated under their own headers."""
    return [simulate_as(header_of(events), dynamics, member) for events in runs]


@final
class _Simulated:
    """Every policy of a question on every run key, on the whole ensemble."""

    def __init__(self, question: Question, dynamics: Dynamics) -> None:
        self._question = question
        self._dynamics = dynamics
        self._runs: dict[str, list[list[DomainEvent]]] = {}

    def ask(self, policy: str) -> Asked:
        """What the dynamics say of a policy."""
        self._runs[policy] = list(self._simulate(policy, None))
        return ask(self._dynamics, policy, lambda made, name, member: self._simulate(name, member))

    def _simulate(self, policy: str, member: int | None) -> Iterator[list[DomainEvent]]:
        for key in self._question.keys:
            yield simulate(self._question.scenario, key, policy, self._dynamics, member)

    def board(self) -> Leaderboard:
        """The leaderboard of the runs in which each run key draws its own member."""
        question = self._question
        scores = {
            policy: {
                question.scenario.name: {
                    key: self._score(events) for key, events in zip(question.keys, runs, strict=True)
                }
            }
            for policy, runs in self._runs.items()
        }
        return leaderboard(
            scores,
            baseline=question.baseline,
            estimand=question.estimand,
            generator=stream(0, "evaluation/bootstrap"),
            level=question.level,
            failed=FAILED_SCORE,
        )

    def _score(self, events: Sequence[DomainEvent]) -> float:
        endings = [event.ending for event in events if isinstance(event, RunEnded)]
        if endings != [RunEnding.COMPLETED]:
            return math.nan
        found = getattr(figures("simulated", events, {}, self._question.scenario.target), self._question.metric)
        return math.nan if found is None else float(found)
