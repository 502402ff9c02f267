"""Whether a log can speak of a target at all: every number is shown under this verdict, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar, final

from numpy.typing import ArrayLike

from engine.evaluation.off_policy.log import LoggedChoices, LoggedEpisodes
from engine.evaluation.off_policy.samples import column

T = TypeVar("T")

SHARE_MIN: Final = 0.10
"""Effective over recorded samples, under which nothing is estimated."""
SHARE_WEAK: Final = 0.30
"""Under which an estimate is weak: less than a third of the log speaks."""
EFFECTIVE_WEAK: Final = 10.0
"""Effective samples under which an estimate is weak: too few for any variance to be known."""
LARGEST_MAX: Final = 0.20
"""Share of the total weight that one sample may hold."""
SAMPLES_MIN: Final = 2


@final
class Verdict(Enum):
    """How far an off-policy number can be trusted."""

    OK = "OK"
    WEAK = "WEAK"
    UNSUPPORTED = "UNSUPPORTED"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """The verdict and what it rests on."""

    verdict: Verdict
    reason: str
    """A sentence with the figures and, where unsupported, the way out."""
    ess: float
    """Effective samples, [0, n]."""
    n: int
    largest: float
    """The largest share of the total weight that one sample holds, [0, 1]; 0 without weight."""

    @property
    def share(self) -> float:
        """Effective over recorded samples, [0, 1]."""
        return self.ess / self.n if self.n else 0.0


def effective_sample_size(weights: ArrayLike) -> float:
    """``(sum w)^2 / sum w^2``, [0, n]; 0 without weight. Source: Kish (1965), Survey Sampling, §11.7.

    Raises ValueError for weights that are negative or not finite.
    """
    values = column("the weight", weights)
    if (values < 0).any():
        raise ValueError(f"the weight of a sample is {values.min()} but must be at least 0; divide probabilities")
    largest = float(values.max(initial=0.0))
    if largest == 0:
        return 0.0
    scaled = values / largest  # squares of large weights overflow
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def support(weights: ArrayLike, *, unlogged: Sequence[object] = ()) -> Supported:
    """The verdict over ``weights``; ``unlogged`` names actions that the target takes and the log never holds.

    | first that applies                                       | verdict     |
    |----------------------------------------------------------|-------------|
    | fewer than 2 samples                                     | UNSUPPORTED |
    | a target action was never logged                         | UNSUPPORTED |
    | effective samples under 10 % of n                        | UNSUPPORTED |
    | one sample holds more than 20 % of the weight            | UNSUPPORTED |
    | effective samples under 30 % of n, or fewer than 10      | WEAK        |
    | otherwise                                                | OK          |

    Raises ValueError for weights that are negative or not finite.
    """
    values = column("the weight", weights)
    n, ess = int(values.size), effective_sample_size(values)
    total = float(values.sum())
    largest = float(values.max() / total) if total > 0 else 0.0
    verdict, reason = _judged(n, ess, largest, unlogged)
    return Supported(verdict=verdict, reason=reason, ess=ess, n=n, largest=largest)


def support_of_choices(log: LoggedChoices) -> Supported:
    """The verdict over single decisions; actions are named by their index."""
    return support(log.weights, unlogged=log.unlogged_actions())


def support_of_episodes(log: LoggedEpisodes, *, unlogged: Sequence[object] = ()) -> Supported:
    """The verdict over whole episodes. Logs of episodes hold chosen actions only: pass what the target also takes."""
    return support(log.weights, unlogged=unlogged)


def gated(supported: Supported, estimate: Callable[[], T]) -> T | None:
    """What ``estimate`` returns; None, without asking it, where the verdict is UNSUPPORTED."""
    return None if supported.verdict is Verdict.UNSUPPORTED else estimate()


def _judged(n: int, ess: float, largest: float, unlogged: Sequence[object]) -> tuple[Verdict, str]:
    share = ess / n if n else 0.0
    speaks = f"{ess:.1f} of {n} samples are effective ({share:.0%})"
    if n < SAMPLES_MIN:
        return Verdict.UNSUPPORTED, f"{n} samples were logged and {SAMPLES_MIN} are needed; record more, or fork"
    if unlogged:
        named = ", ".join(str(action) for action in unlogged)
        return Verdict.UNSUPPORTED, f"the target takes what was never logged: {named}; record with exploration, or fork"
    if share < SHARE_MIN:
        return Verdict.UNSUPPORTED, f"{speaks}, under {SHARE_MIN:.0%}; record with more exploration, or fork"
    if largest > LARGEST_MAX:
        return Verdict.UNSUPPORTED, (
            f"one sample holds {largest:.0%} of the weight, above {LARGEST_MAX:.0%}; record more, or fork"
        )
    if share < SHARE_WEAK:
        return Verdict.WEAK, f"{speaks}, under {SHARE_WEAK:.0%}"
    if ess < EFFECTIVE_WEAK:
        return Verdict.WEAK, f"{speaks}, fewer than {EFFECTIVE_WEAK:.0f}"
    return Verdict.OK, speaks
