"""The ladder from Tamiyo as implemented to Tamiyo as designed: which choices lie between them, and what is compared."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, final

from domain.values import Value

DESIGN: Final = "as_designed"
IMPLEMENTATION: Final = "as_implemented"


@final
class Choice(Value):
    """A choice of the design that the implementation made otherwise: a factor of ``composed``."""

    factor: str
    implementation: str
    """The factor's value there; the design's is the default."""
    said: str


LADDER: Final = (
    Choice(factor="trigger", implementation="health", said="the trigger"),
    Choice(factor="gates", implementation="simplified", said="the gates"),
    Choice(factor="blueprints", implementation="selector", said="the blueprint strategy"),
    Choice(factor="grafting", implementation="fixed", said="the grafting strategy"),
)
"""From the implementation to the design, one choice after another. What the design gains next goes to the end."""


@final
class Step(Value):
    """Two policies that take over at the same state of each run key, and what lies between them."""

    said: str
    policy: str
    instead_of: str
    origin: str
    """Under which the runs were recorded that both continue."""


def composed(by_design: Collection[str]) -> str:
    """The policy whose choices are the design's in these factors, and in all others the implementation's."""
    others = sorted((choice.factor, choice.implementation) for choice in LADDER if choice.factor not in by_design)
    return "&".join(f"{factor}={value}" for factor, value in others).join(("composed?", "")) if others else "composed"


def steps() -> tuple[Step, ...]:
    """The whole design and the whole implementation, the ladder's rungs, each choice alone, and each within the design."""
    factors = [choice.factor for choice in LADDER]
    rungs = [
        Step(
            said=f"ladder: {'and ' if number else ''}{choice.said}",
            policy=composed(factors[: number + 1]),
            instead_of=composed(factors[:number]),
            origin=IMPLEMENTATION,
        )
        for number, choice in enumerate(LADDER)
    ]
    alone = [
        Step(
            said=f"{choice.said} alone",
            policy=composed([choice.factor]),
            instead_of=composed(()),
            origin=IMPLEMENTATION,
        )
        for choice in LADDER
    ]
    within = [
        Step(
            said=f"{choice.said}, all else being the design's",
            policy=composed(factors),
            instead_of=composed([factor for factor in factors if factor != choice.factor]),
            origin=IMPLEMENTATION,
        )
        for choice in LADDER
    ]
    return (
        Step(said="the design takes over", policy=DESIGN, instead_of=IMPLEMENTATION, origin=IMPLEMENTATION),
        Step(said="the implementation takes over", policy=IMPLEMENTATION, instead_of=DESIGN, origin=DESIGN),
        *rungs,
        *alone,
        *within,
    )
