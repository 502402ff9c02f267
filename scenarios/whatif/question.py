"""What an evaluation asks: which policies, on what, over which run keys, judged by what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, final

from domain.values import Value
from scenarios import composition, specification
from scenarios.specification import BadInput, Scenario
from scenarios.whatif.controls import Arm

Metric = Literal["final_accuracy", "best_accuracy", "area", "reward"]
METRICS: Final[Mapping[str, str]] = {
    "final_accuracy": "final test accuracy",
    "best_accuracy": "best validation accuracy",
    "area": "mean validation accuracy over the epochs",
    "reward": "sum of the shaped rewards",
}


FAILED_SCORE: Final = 0.0
"""What a run counts as that ended badly: dropping it would compare only the runs that went well."""


KEYS_MAX: Final = 10_000
"""Run keys that one question takes: many more are a slip of the hand, and would fill the memory before the disk."""


@final
class Question(Value):
    """What an evaluation asks."""

    scenario: Scenario
    policies: tuple[str, ...]
    baseline: str
    """One of them."""
    keys: tuple[int, ...]
    at: int | None = None
    """Every policy takes over after this epoch of a run under ``origin``; None: each runs from scratch."""
    origin: str = "never_grow"
    metric: Metric = "final_accuracy"
    level: float = 0.95

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The policies on this scenario."""
        return tuple(Arm(label=policy, policy=policy, scenario=self.scenario) for policy in self.policies)

    def command(self, method: str) -> str:
        """The command line that asks this, settings of the scenario left to whoever asks."""
        keys = ",".join(map(str, self.keys))
        first, last = min(self.keys), max(self.keys)
        if self.keys == tuple(range(first, last + 1)):
            keys = f"{first}:{last + 1}"
        switch = "" if self.at is None else f" --at {self.at} --origin '{self.origin}'"
        policies, name = ",".join(self.policies), self.scenario.name
        return f"regrow evaluate {name} --tamiyo '{policies}' --baseline '{self.baseline}' --keys {keys}{switch} --method {method}"

    @property
    def estimand(self) -> str:
        """What each number is about, in a sentence."""
        what, epochs = METRICS[self.metric], self.scenario.training.epochs
        data = f"{self.scenario.name}, {len(self.keys)} run keys"
        if self.at is None:
            return f"{what} after {epochs} epochs of {data}, from scratch"
        return f"{what} after {epochs} epochs of {data}, switch at epoch {self.at} of runs under {self.origin}"


def check(question: Question) -> None:
    """Raises BadInput for a question that has no answer."""
    references = [composition.tamiyo(policy)[1] for policy in question.policies]
    if len(set(references)) != len(references) or not references:
        raise BadInput(f"--tamiyo {','.join(question.policies)}: name policies, each once")
    if question.baseline not in question.policies:
        raise BadInput("--baseline " + specification.unknown("policy", question.baseline, question.policies))
    if len(set(question.keys)) != len(question.keys) or not question.keys:
        raise BadInput("--keys: name run keys, each once")
    if question.at is not None and not 0 <= question.at < question.scenario.training.epochs:
        raise BadInput(f"--at {question.at}: the runs have epochs 0 to {question.scenario.training.epochs}")
    if question.at is not None:
        composition.tamiyo(question.origin)


def run_keys(text: str) -> tuple[int, ...]:
    """``"0:20"`` as 0 to 19, ``"3,5,8"`` as they are. Raises BadInput."""
    first, colon, last = text.partition(":")
    try:
        found = range(int(first or 0), int(last)) if colon else [int(part) for part in text.split(",")]
    except ValueError as error:
        raise BadInput(f"--keys {text!r}: give run keys as 0:20 or as 3,5,8") from error
    if found[KEYS_MAX:]:  # a range may be too long for its length to be a number that Python counts by
        raise BadInput(f"--keys {text!r}: one question takes {KEYS_MAX} run keys at most; ask in parts")
    if not found or min(found) < 0:
        raise BadInput(f"--keys {text!r}: run keys are numbers from 0, one at least")
    return tuple(found)


def metric_named(name: str) -> Metric:
    """The metric of that name. Raises BadInput."""
    if name not in METRICS:
        raise BadInput("--metric " + specification.unknown("metric", name, tuple(METRICS)))
    known: Metric = name  # type: ignore[assignment]  # one of the names that the type lists
    return known
