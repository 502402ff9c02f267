"""What was one adaptation worth? Continuations of its run from the epoch before it, in pairs with it and without it.

Both of a pair go on under one run key and the run's own policy, and differ in a single order: at the epoch of the
germination the one germinates exactly what was recorded, the other waits (``domain/tamiyo/without.py``). The first pair
has the run's own key, the others have keys drawn from it. Continuations are forks, recorded once: asked again, an
attribution goes on where it was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, final

from domain.values import Value
from engine.evaluation.paired import Difference
from engine.evaluation.sweep import JobFailed
from engine.evaluation.worth import PAIRS_MIN, Worth, worth
from engine.randomness import stream
from scenarios.lab import Lab
from scenarios.runs.once import fork_once
from scenarios.specification import BadInput
from scenarios.whatif.figures import Figures, figures, score
from scenarios.whatif.question import FAILED_SCORE
from scenarios.whatif.subjects import Subject, germinations, subject_of
from scenarios.whatif.sweeping import swept

CONTINUATIONS: Final = 8
"""Pairs, unless told otherwise."""
KEYS: Final = "attribution/continuation"
"""The stream that the keys of continuations are drawn from."""
KEY_MAX: Final = 2**31

Measure = Literal["final_accuracy", "area", "parameters_added"]
MEASURES: Final[Mapping[Measure, str]] = {
    "final_accuracy": "final test accuracy",
    "area": "mean validation accuracy over the epochs",
    "parameters_added": "parameters added",
}


@final
class Branch(Value):
    """One continuation: a job of a sweep."""

    name: str
    journal: str
    subject: Subject
    tamiyo: str
    key: int


@final
class Branched(Value):
    """What came of a continuation."""

    ending: str
    figures: Figures
    germinated: bool
    """Whether the seed germinated at the epoch in question."""
    again_at: int | None
    """The first epoch after it at which the seed germinated."""

    def score(self, measure: Measure) -> float:
        """The figure that is compared; NaN for a continuation that ended badly or has none."""
        return score(self.figures, self.ending, measure)


@final
class Pair(Value):
    """Two continuations under one run key."""

    key: int
    with_it: Branched
    without_it: Branched


@final
class Attribution(Value):
    """An answer."""

    subject: Subject
    never: bool
    """Whether the continuations without it kept the seed out for good."""
    estimand: str
    final_accuracy: Difference
    area: Difference
    parameters_added: Difference
    verdict: Worth
    """Of the final accuracy."""
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()
    """Pairs that are none, each with why."""

    @property
    def again(self) -> tuple[int, ...]:
        """Epochs at which the seed germinated later all the same, of the continuations without it in which it did."""
        found = (pair.without_it.again_at for pair in self.pairs)
        return tuple(epoch for epoch in found if epoch is not None)


def perform(branch: Branch) -> Branched:
    """Record a continuation, or find it recorded."""
    subject = branch.subject
    seed, epoch = subject.adaptation.seed, subject.epoch
    with Lab(branch.journal) as lab:
        result = fork_once(
            lab, subject.run, epoch - 1, tamiyo=branch.tamiyo, key=branch.key, overrides=subject.overrides
        )
        events, notes = lab.journal.events(result.run), lab.journal.notes(result.run)
        told = figures(result.run, events, notes, subject.target)
    times = [each.epoch for each in germinations(events, seed)]
    return Branched(
        ending=result.ending,
        figures=told,
        germinated=epoch in times,
        again_at=next((each for each in times if each > epoch), None),
    )


def attribute(
    lab: Lab,
    run_id: str,
    seed: str,
    *,
    attempt: int | None = None,
    continuations: int = CONTINUATIONS,
    never: bool = False,
    on: str = "local",
    workers: int = 2,
    progress: Callable[[str], None] = lambda line: None,
) -> Attribution:
    """What the ``attempt``-th germination of ``seed`` (LAYER.SEED), by default its last, was worth to the run.

    Raises RunMissing, and BadInput for what cannot be asked or has no answer.
    """
    if continuations < PAIRS_MIN:
        raise BadInput(f"--continuations {continuations}: an interval needs {PAIRS_MIN} or more")
    subject = subject_of(lab, run_id, seed, attempt)
    keys = continuation_keys(subject.run_key, continuations)
    arms = (subject.policy_with(), subject.policy_without(never=never))
    jobs = [
        Branch(name=f"{side}, key {key}", journal=lab.address, subject=subject, tamiyo=tamiyo, key=key)
        for key in keys
        for side, tamiyo in zip(("with", "without"), arms, strict=True)
    ]

    def tell(job: Branch, result: Branched | JobFailed) -> None:
        said = f"failed: {result.reason}" if isinstance(result, JobFailed) else _accuracy(result.figures)
        progress(f"{subject.adaptation} {job.name}: {said}")

    # The first alone: it keeps the state at which all of them begin, so that the others need not train to get there.
    found = [
        result
        for some in (jobs[:1], jobs[1:])
        for _, result in swept(some, perform, on=on, workers=workers, progress=tell)
    ]
    return answer(subject, list(zip(keys, found[::2], found[1::2], strict=True)), never=never)


def answer(
    subject: Subject,
    told: Sequence[tuple[int, Branched | JobFailed, Branched | JobFailed]],
    *,
    never: bool = False,
    level: float = 0.95,
) -> Attribution:
    """The attribution of a germination from its continuations: run key, with it, without it.

    A pair in which the checks refused the germination, or of which one gave no run, is none: up to that order both are
    the same, so nothing of its effect decides which pairs are left out. Raises BadInput where fewer than two are left.
    """
    pairs: list[Pair] = []
    left_out: list[str] = []
    for key, one, other in told:
        if isinstance(one, JobFailed) or isinstance(other, JobFailed):
            failed = next(each for each in (one, other) if isinstance(each, JobFailed))
            left_out.append(f"key {key}: {failed.reason}")
        elif not one.germinated:
            left_out.append(f"key {key}: at epoch {subject.epoch} the germination was refused there")
        else:
            pairs.append(Pair(key=key, with_it=one, without_it=other))
    if len(pairs) < PAIRS_MIN:
        why = f": {left_out[0]}" if left_out else ""
        raise BadInput(
            f"of {len(told)} continuations {len(pairs)} gave a pair and an interval needs {PAIRS_MIN} or more{why}; "
            "ask for more --continuations"
        )
    differences = {
        measure: worth(
            [pair.with_it.score(measure) for pair in pairs],
            [pair.without_it.score(measure) for pair in pairs],
            estimand=_estimand(subject, said, never=never),
            generator=stream(subject.run_key, "attribution/bootstrap"),
            level=level,
            failed=FAILED_SCORE,
        )
        for measure, said in MEASURES.items()
    }
    return Attribution(
        subject=subject,
        never=never,
        estimand=differences["final_accuracy"][0].estimand,
        verdict=differences["final_accuracy"][1],
        pairs=tuple(pairs),
        left_out=tuple(left_out),
        **{measure: difference for measure, (difference, _) in differences.items()},
    )


def _estimand(subject: Subject, measure: str, *, never: bool) -> str:
    later = "the seed then left out for good" if never else "the policy then free to germinate there later"
    return (
        f"what adaptation {subject.adaptation} of {subject.run} was worth: {measure} with it minus without it "
        f"({later}), continuations from epoch {subject.epoch - 1} under {subject.policy}"
    )


def continuation_keys(run_key: int, count: int) -> tuple[int, ...]:
    """The run's own key, then others drawn from it; more of them begin with the same."""
    others = (int(stream(run_key, KEYS, number).integers(1, KEY_MAX)) for number in range(1, count))
    return (run_key, *others)


def _accuracy(told: Figures) -> str:
    return "no ending" if told.final_accuracy is None else f"{told.final_accuracy:.3f}"
