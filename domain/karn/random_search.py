"""The Karn that does not learn: random changes of random parents, which evolution has to beat on the same budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from domain.blueprint import blueprint_id
from domain.karn.describing import described
from domain.karn.drafting import GENERATORS, draft
from domain.karn.novelty import compared, novelty
from domain.karn.parents import Parent, eligible
from domain.karn.policy import KarnObservation, KarnStep, Proposal
from domain.karn.reward_model import accuracy_of
from domain.karn.surgery import MutationRefused
from domain.tamiyo.policy import Randomness
from domain.values import Value

STREAM: Final = "karn/random-search"
ATTEMPTS: Final = 20
"""At one candidate, before it is given up."""


@final
class LastPrompt(Value):
    """All that it remembers."""

    epoch: int = -1
    """Of the newest field reports: asked again in it, it goes on proposing."""


@final
@dataclass(frozen=True, slots=True)
class RandomSearch:
    """Proposes ``candidates`` where field reports came in: every parent, operator and edit at equal odds.

    ``unprompted`` proposes at every boundary, reports or none; a candidate is up to ``edits`` edits from its parent.
    """

    candidates: int = 1
    unprompted: bool = False
    edits: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a count under 1."""
        for name, count in (("candidates", self.candidates), ("edits", self.edits)):
            if count < 1:
                raise ValueError(f"{name} must be at least 1 but is {count}")

    def initial(self) -> LastPrompt:
        """Never prompted."""
        return LastPrompt()

    def step(self, observation: KarnObservation, memory: LastPrompt, random: Randomness) -> KarnStep[LastPrompt]:
        """Where prompted, draw."""
        if observation.reports:
            memory = LastPrompt(epoch=observation.epoch)
        found = eligible(observation.library, observation.layout)
        if not found or (not self.unprompted and memory.epoch != observation.epoch):
            return KarnStep((), memory)
        candidates = [Parent(record, slots, score=0.0, odds=1 / len(found)) for record, slots in found]
        proposals: list[Proposal] = []
        for _ in range(self.candidates):
            made = _drawn(candidates, observation, proposals, random, self.edits)
            if made is not None:
                proposals.append(made)
        return KarnStep(tuple(proposals), memory)


def _drawn(
    candidates: Sequence[Parent],
    observation: KarnObservation,
    before: Sequence[Proposal],
    random: Randomness,
    edits: int,
) -> Proposal | None:
    """One more, unlike those before; None where no attempt gave any."""
    generator, library = random.generator(STREAM), observation.library
    known = {*library.records, *(blueprint_id(proposal.graph) for proposal in before)}
    for attempt in range(ATTEMPTS):
        operator = GENERATORS[int(generator.integers(len(GENERATORS)))]
        try:
            made = draft(candidates, operator, generator, known, edits)
        except MutationRefused:
            continue
        metadata = described(
            made,
            library,
            novelty=novelty(made.graph, [made.parent.graph, *compared(library)]),
            gain=accuracy_of(made.parent),
            exotic=False,
            taken=[proposal.metadata.name for proposal in before],
        )
        return Proposal(
            graph=made.graph,
            metadata=metadata,
            parent_id=made.parent.blueprint_id,
            mutation=operator,
            reason=f"drew {operator} of {made.parent.name}: {made.note}, at attempt {attempt + 1}",
            propensity=made.odds / len(GENERATORS),
            draws=(random.drawn(STREAM, made.draws + 1),),
        )
    return None
