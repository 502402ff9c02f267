"""The same seed in the words of the other lifecycles: read-only projections, so that one log can be compared in all.

Where a vocabulary has no word for one of our stages it is shown under the word that covers it there, and the stage
is listed in ``WORDLESS``. Outcomes are states in the other vocabularies: a seed that is DORMANT with us under an
embargo or a lock is still CULLED or ROLLED_BACK in the design's words. Source: domain reference §B1, §B3-§B5.

To add a vocabulary: an enum of its states, a table over every ``Stage``, a function that places a dormant seed, and a
line in ``VOCABULARIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, final

from domain.lifecycle import Outcome, Stage
from domain.seed import Seed


@final
class KasminaState(Enum):
    """The design's eleven states with their codes. Source: Kasmina v0.1a §5."""

    DORMANT = 0
    GERMINATED = 1
    TRAINING = 2
    GRAFTING = 3
    STABILIZATION = 4
    EVALUATING = 5
    FINE_TUNING = 6
    FOSSILIZED = 7
    CULLED = 8
    CANCELLED = 9
    ROLLED_BACK = 10


@final
class HighLevelState(Enum):
    """The second high-level design's twelve: Kasmina's eleven and LOADING. It gives no codes."""

    DORMANT = "DORMANT"
    GERMINATED = "GERMINATED"
    LOADING = "LOADING"
    TRAINING = "TRAINING"
    GRAFTING = "GRAFTING"
    STABILIZATION = "STABILIZATION"
    EVALUATING = "EVALUATING"
    FINE_TUNING = "FINE_TUNING"
    FOSSILIZED = "FOSSILIZED"
    CULLED = "CULLED"
    CANCELLED = "CANCELLED"
    ROLLED_BACK = "ROLLED_BACK"


@final
class AssessedState(Enum):
    """The assessed implementation's five states with their codes."""

    DORMANT = 0
    LOADING = 1
    ACTIVE = 2
    ERROR_RECOVERY = 3
    FOSSILIZED = 4


@final
class SuccessorState(Enum):
    """The successor's states with their codes; 5 was retired there and is never used again."""

    DORMANT = 1
    GERMINATED = 2
    TRAINING = 3
    BLENDING = 4
    HOLDING = 6
    FOSSILIZED = 7
    PRUNED = 8
    EMBARGOED = 9
    RESETTING = 10


_KASMINA: Final[Mapping[Stage, KasminaState]] = {
    Stage.DORMANT: KasminaState.DORMANT,
    Stage.GERMINATING: KasminaState.GERMINATED,
    Stage.LOADING: KasminaState.GERMINATED,
    Stage.TRAINING: KasminaState.TRAINING,
    Stage.GRAFTING: KasminaState.GRAFTING,
    Stage.STABILIZATION: KasminaState.STABILIZATION,
    Stage.EVALUATING: KasminaState.EVALUATING,
    Stage.FINE_TUNING: KasminaState.FINE_TUNING,
    # Holding at full alpha is the last thing before FOSSILIZED, and so is fine-tuning in the design.
    Stage.ACTIVE: KasminaState.FINE_TUNING,
    # The blueprint is deactivated and the seed is about to be concluded: what the design calls culled.
    Stage.ERROR_RECOVERY: KasminaState.CULLED,
    Stage.FOSSILIZED: KasminaState.FOSSILIZED,
}

_ASSESSED: Final[Mapping[Stage, AssessedState]] = {
    Stage.DORMANT: AssessedState.DORMANT,
    Stage.GERMINATING: AssessedState.LOADING,
    Stage.LOADING: AssessedState.LOADING,
    Stage.TRAINING: AssessedState.ACTIVE,
    Stage.GRAFTING: AssessedState.ACTIVE,
    Stage.STABILIZATION: AssessedState.ACTIVE,
    Stage.EVALUATING: AssessedState.ACTIVE,
    Stage.FINE_TUNING: AssessedState.ACTIVE,
    Stage.ACTIVE: AssessedState.ACTIVE,
    Stage.ERROR_RECOVERY: AssessedState.ERROR_RECOVERY,
    Stage.FOSSILIZED: AssessedState.FOSSILIZED,
}

_SUCCESSOR: Final[Mapping[Stage, SuccessorState]] = {
    Stage.DORMANT: SuccessorState.DORMANT,
    Stage.GERMINATING: SuccessorState.GERMINATED,
    Stage.LOADING: SuccessorState.GERMINATED,
    Stage.TRAINING: SuccessorState.TRAINING,
    Stage.GRAFTING: SuccessorState.BLENDING,
    Stage.STABILIZATION: SuccessorState.HOLDING,
    Stage.EVALUATING: SuccessorState.HOLDING,
    Stage.FINE_TUNING: SuccessorState.HOLDING,
    Stage.ACTIVE: SuccessorState.HOLDING,
    Stage.ERROR_RECOVERY: SuccessorState.PRUNED,
    Stage.FOSSILIZED: SuccessorState.FOSSILIZED,
}

WORDLESS: Final[Mapping[type[Enum], tuple[Stage, ...]]] = {
    KasminaState: (Stage.LOADING, Stage.ACTIVE, Stage.ERROR_RECOVERY),
    HighLevelState: (Stage.ACTIVE, Stage.ERROR_RECOVERY),
    AssessedState: (
        Stage.GERMINATING,
        Stage.TRAINING,
        Stage.GRAFTING,
        Stage.STABILIZATION,
        Stage.EVALUATING,
        Stage.FINE_TUNING,
    ),
    SuccessorState: (
        Stage.LOADING,
        Stage.STABILIZATION,
        Stage.EVALUATING,
        Stage.FINE_TUNING,
        Stage.ACTIVE,
        Stage.ERROR_RECOVERY,
    ),
}
"""Stages that a vocabulary has no word of its own for."""

ALIASES: Final[Mapping[str, Stage]] = {"GERMINATED": Stage.GERMINATING, "BLENDING": Stage.GRAFTING}
"""The design's and the successor's words that are read as one of our stages and never written."""


def stage_named(word: str) -> Stage:
    """The stage of that name. ``GERMINATED`` is read as GERMINATING, ``BLENDING`` as GRAFTING. Raises ValueError for any other word."""
    if word in ALIASES:
        return ALIASES[word]
    try:
        return Stage(word)
    except ValueError:
        known = ", ".join([*(stage.value for stage in Stage), *ALIASES])
        raise ValueError(f"{word!r} is no stage; use one of {known}") from None


def to_kasmina(seed: Seed, epoch: int, ended: Outcome | None = None) -> KasminaState:
    """The seed at the end of ``epoch`` in the design's words.

    ``ended`` is the outcome of its last adaptation, None if there was none. CULLED and ROLLED_BACK last until the
    embargo or lock ends, CANCELLED for the boundary of the cancellation only.
    """
    if seed.stage is not Stage.DORMANT:
        return _KASMINA[seed.stage]
    if seed.locked:
        return KasminaState.ROLLED_BACK
    if epoch < seed.embargoed_until:
        return KasminaState.ROLLED_BACK if ended is Outcome.ROLLED_BACK else KasminaState.CULLED
    if ended is Outcome.CANCELLED and seed.since == epoch:
        return KasminaState.CANCELLED
    return KasminaState.DORMANT


def to_high_level(seed: Seed, epoch: int, ended: Outcome | None = None) -> HighLevelState:
    """The seed in the words of the second high-level design: Kasmina's, with LOADING apart."""
    if seed.stage is Stage.LOADING:
        return HighLevelState.LOADING
    return HighLevelState[to_kasmina(seed, epoch, ended).name]


def to_assessed(seed: Seed) -> AssessedState:
    """The seed in the assessed implementation's five states, which know neither embargo nor lock."""
    return _ASSESSED[seed.stage]


def to_successor(seed: Seed, epoch: int) -> SuccessorState:
    """The seed at the end of ``epoch`` in the successor's words.

    PRUNED at the boundary of the conclusion, EMBARGOED while the embargo lasts or for ever under a lock, RESETTING at
    the embargo's last boundary, and DORMANT exactly when it may germinate.
    """
    if seed.stage is not Stage.DORMANT:
        return _SUCCESSOR[seed.stage]
    if seed.may_germinate(epoch):
        return SuccessorState.DORMANT
    if epoch == seed.since:
        return SuccessorState.PRUNED
    if not seed.locked and epoch == seed.embargoed_until - 1:
        return SuccessorState.RESETTING
    return SuccessorState.EMBARGOED


VOCABULARIES: Final[Mapping[str, Callable[[Seed, int, Outcome | None], Enum]]] = {
    "design": to_kasmina,
    "high-level": to_high_level,
    "assessed": lambda seed, epoch, ended: to_assessed(seed),
    "successor": lambda seed, epoch, ended: to_successor(seed, epoch),
}
"""What a seed is called at the end of an epoch, after an adaptation that ended so; by the name of the vocabulary."""
