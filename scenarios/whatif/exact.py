"""Which policy is better? The same run keys under each, and what may be said about the difference.

``exact`` trains: from scratch, or from the same states as forks of one run a key. Every run is recorded once: asked
again, an evaluation goes on where it was cut off and trains nothing twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, final

from domain.values import Value
from engine.evaluation.leaderboard import Leaderboard, leaderboard
from engine.evaluation.racing import Race
from engine.evaluation.sweep import JobFailed
from engine.randomness import stream
from scenarios.lab import Lab
from scenarios.runs.once import fork_once, run_once
from scenarios.specification import BadInput, NoAnswer
from scenarios.whatif.controls import Arm, control_arms
from scenarios.whatif.figures import Figures, figures, score
from scenarios.whatif.question import FAILED_SCORE, Metric, Question, check
from scenarios.whatif.sweeping import swept

LOOKS: Final = 5
"""Batches of a race."""


@final
class Trial(Value):
    """One arm on one run key: a job of a sweep."""

    name: str
    journal: str
    arm: Arm
    key: int
    at: int | None
    origin: str


@final
class Tried(Value):
    """What came of a trial."""

    arm: str
    key: int
    ending: str
    figures: Figures

    def score(self, metric: Metric) -> float:
        """The figure that is compared; NaN for a run that ended badly or has none."""
        return score(self.figures, self.ending, metric)


@final
class Evaluation(Value):
    """An answer: the leaderboard, the race if it was one, and every trial behind it."""

    scenario: str
    method: str
    estimand: str
    leaderboard: Leaderboard
    race: Race | None = None
    trials: tuple[Tried, ...] = ()
    failed: tuple[str, ...] = ()
    """Trials that gave no run, each with why; the others of their run keys are left out of the leaderboard."""


def perform(trial: Trial) -> Tried:
    """Record a trial, or find it recorded."""
    with Lab(trial.journal) as lab:
        arm = trial.arm
        if trial.at is None:
            result = run_once(lab, arm.scenario, tamiyo=arm.policy, key=trial.key)
        else:
            origin = run_once(lab, arm.scenario, tamiyo=trial.origin, key=trial.key)
            result = fork_once(lab, origin.run, trial.at, tamiyo=arm.policy)
        events, notes = lab.journal.events(result.run), lab.journal.notes(result.run)
        told = figures(result.run, events, notes, arm.scenario.target)
    return Tried(arm=arm.label, key=trial.key, ending=result.ending, figures=told)


@final
class Sweeper:
    """Runs trials over a journal, on this machine's processes or on Ray."""

    def __init__(
        self, journal: str, *, on: str = "local", workers: int = 2, progress: Callable[[str], None] = lambda line: None
    ) -> None:
        self._journal = journal
        self._on = on
        self._workers = workers
        self._progress = progress

    def trials(
        self, question: Question, arms: Iterable[Arm], keys: Sequence[int]
    ) -> Iterator[tuple[Trial, Tried | JobFailed]]:
        """Every arm on every run key, and what came of it."""
        before = []
        if question.at is not None:  # first the runs to fork, so that no two workers record the same one
            origin = Arm(label=question.origin, policy=question.origin, scenario=question.scenario)
            before = [self._trial(question, origin, key, None) for key in keys]
        jobs = [self._trial(question, arm, key, question.at) for arm in arms for key in keys]
        for _ in swept(before, perform, on=self._on, workers=self._workers):
            pass  # what could not be recorded fails again, and is told, in each fork of it
        yield from swept(jobs, perform, on=self._on, workers=self._workers, progress=self._tell)

    def _trial(self, question: Question, arm: Arm, key: int, at: int | None) -> Trial:
        where = "" if at is None else f" after epoch {at}"
        return Trial(
            name=f"{arm.label} on {question.scenario.name}, key {key}{where}",
            journal=self._journal,
            arm=arm,
            key=key,
            at=at,
            origin=question.origin,
        )

    def _tell(self, trial: Trial, result: Tried | JobFailed) -> None:
        if isinstance(result, JobFailed):
            self._progress(f"{trial.name}: failed: {result.reason}")
        else:
            accuracy = result.figures.final_accuracy
            self._progress(f"{trial.name}: {'no ending' if accuracy is None else f'{accuracy:.3f}'}")


def evaluate(question: Question, sweeper: Sweeper, *, race: bool = False, controls: bool = False) -> Evaluation:
    """Answer a question exactly. A ``race`` stops as soon as every policy is told apart from the baseline.

    With ``controls`` the first policy that is not the baseline gets its control arms. Raises BadInput for a question
    without an answer.
    """
    check(question)
    if race and controls:
        raise BadInput("--race and --controls: control arms are made of whole runs; ask one or the other")
    if race:
        return _raced(question, sweeper)
    trials = list(sweeper.trials(question, question.arms, question.keys))
    if controls:
        trials += sweeper.trials(question, _controls(question, trials), question.keys)
    return answer(question, "exact", trials)


def _controls(question: Question, trials: Sequence[tuple[Trial, Tried | JobFailed]]) -> list[Arm]:
    policy = next((policy for policy in question.policies if policy != question.baseline), question.baseline)
    told = [result.figures for _, result in trials if isinstance(result, Tried) and result.arm == policy]
    arms = control_arms(question.scenario, told, from_scratch=question.at is None)
    return [arm for arm in arms if arm.label not in question.policies]


def _raced(question: Question, sweeper: Sweeper) -> Evaluation:
    """Batches of run keys, each under the baseline and whoever is not told apart from it yet."""
    arms = [policy for policy in question.policies if policy != question.baseline]
    size = math.ceil(len(question.keys) / LOOKS)
    batches = [question.keys[start : start + size] for start in range(0, len(question.keys), size)]
    race = Race.between(arms, baseline=question.baseline, run_key=0, looks_max=len(batches), alpha=1 - question.level)
    trials: list[tuple[Trial, Tried | JobFailed]] = []
    for keys in batches:
        if not race.goes_on:
            break
        entered = [arm for arm in question.arms if arm.label == question.baseline or arm.label in race.undecided]
        batch = list(sweeper.trials(question, entered, keys))
        trials += batch
        scores = _scores(question, batch)
        common = _common(scores, keys, batch)
        race = race.fed({arm.label: [_worth(scores[arm.label][key]) for key in common] for arm in entered})
    return answer(question, "exact", trials, race=race)


def _worth(score: float) -> float:
    return FAILED_SCORE if math.isnan(score) else score


def _scores(question: Question, trials: Sequence[tuple[Trial, Tried | JobFailed]]) -> dict[str, dict[int, float]]:
    """By arm and run key, without trials that gave no run; NaN for a run that ended badly."""
    scores: dict[str, dict[int, float]] = {}
    for trial, result in trials:
        by_key = scores.setdefault(trial.arm.label, {})
        if isinstance(result, Tried):
            by_key[trial.key] = result.score(question.metric)
    return scores


def _common(
    scores: Mapping[str, Mapping[int, float]], keys: Sequence[int], trials: Sequence[tuple[Trial, Tried | JobFailed]]
) -> list[int]:
    """The run keys that every arm has a run of: a worker that died says nothing of a policy. Raises NoAnswer for none."""
    common = [key for key in keys if all(key in by_key for by_key in scores.values())]
    if not common:
        failed = [str(result) for _, result in trials if isinstance(result, JobFailed)]
        raise NoAnswer(f"nothing can be compared: {failed[0] if failed else 'there are no trials'}")
    return common


def answer(
    question: Question,
    method: str,
    trials: Sequence[tuple[Trial, Tried | JobFailed]],
    *,
    race: Race | None = None,
) -> Evaluation:
    """The leaderboard of some trials, over the run keys that every policy in it has a run of.

    After a ``race`` its verdicts are the race's: a test that was made for a number of runs fixed beforehand does not
    hold where runs stop because of what they showed. Raises NoAnswer where no run key has a run of every policy.
    """
    tried = tuple(result for _, result in trials if isinstance(result, Tried))
    failed = tuple(str(result) for _, result in trials if isinstance(result, JobFailed))
    scores = _scores(question, trials)
    common = _common(scores, question.keys, trials)
    ended_badly = [policy for policy, by_key in scores.items() if any(math.isnan(by_key[key]) for key in common)]
    if question.metric == "reward" and ended_badly:
        raise NoAnswer(
            f"a run under {ended_badly[0]} has no reward, and rewards have no worst value that it could count as; "
            "compare by an accuracy"
        )
    estimand = question.model_copy(update={"keys": tuple(common)}).estimand
    board = leaderboard(
        {policy: {question.scenario.name: {key: by_key[key] for key in common}} for policy, by_key in scores.items()},
        baseline=question.baseline,
        estimand=estimand,
        generator=stream(0, "evaluation/bootstrap"),
        level=question.level,
        failed=FAILED_SCORE,
        decided=race.decided if race is not None else None,
    )
    return Evaluation(
        scenario=question.scenario.name,
        method=method,
        estimand=estimand,
        leaderboard=board,
        race=race,
        trials=tried,
        failed=failed,
    )
