"""The Karn that learns: it breeds the library by what reports and certificates say. Source: Karn v1.0, domain reference H1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from domain.commands import Considered
from domain.karn.describing import described
from domain.karn.drafting import GENERATORS, Draft, draft
from domain.karn.features import features
from domain.karn.learned_reward import LearnedReward
from domain.karn.memory import EvolutionMemory, Pending, learned
from domain.karn.novelty import Diversity, compared, distance, diversity, novelty
from domain.karn.operator_bandit import best
from domain.karn.parents import Parent, parents, shown
from domain.karn.policy import KarnObservation, KarnStep, Proposal
from domain.karn.reward_model import WEIGHTS, RewardWeights, accuracy_of, foreseen
from domain.karn.surgery import MutationRefused
from domain.tamiyo.policy import Randomness

STREAM: Final = "karn/evolution"
DRAFTS: Final = 10
"""Attempts at a draft for each candidate that is wanted, by default; the best of them are proposed."""
SAMPLES_MIN: Final = 10
"""Gains that the learned model must have seen before it is asked."""


@final
@dataclass(frozen=True, slots=True)
class _Idea:
    """A draft with what is expected of it."""

    draft: Draft
    novelty: float
    gain: float
    weighed: tuple[Considered, ...]
    """The operators' scores when it was made."""

    def reward(self, weights: RewardWeights) -> float:
        """As foreseen. What cannot be costed would not have become a draft."""
        reads = self.draft.parent.metadata.default_reads
        return foreseen(self.draft.graph, reads, accuracy=self.gain, novelty=self.novelty).reward(weights)


@final
@dataclass(frozen=True, slots=True)
class Evolution:
    """Proposes the ``candidates`` most promising of many drafts where field reports came in; learns from all of them.

    Parents by reward, novelty and interest; operators by a bandit; rewards by the formula (``linear``) or by a model
    that is learned on the way (``learned``). ``unprompted`` proposes at every boundary, reports or none. While the
    library lacks diversity, novelty counts twice and parents are drawn more by novelty: the exotic mode. A draft is up
    to ``edits`` edits away from its parent, and ``drafts`` are made for each candidate.
    """

    candidates: int = 1
    rewards: str = "linear"
    unprompted: bool = False
    edits: int = 1
    drafts: int = DRAFTS

    def __post_init__(self) -> None:
        """Raises ValueError for a count under 1, or a reward model that there is not."""
        for name, count in (("candidates", self.candidates), ("edits", self.edits), ("drafts", self.drafts)):
            if count < 1:
                raise ValueError(f"{name} must be at least 1 but is {count}")
        if self.rewards not in {"linear", "learned"}:
            raise ValueError(f"rewards must be linear or learned but is {self.rewards!r}")

    def initial(self) -> EvolutionMemory:
        """Nothing seen, all operators alike."""
        return EvolutionMemory(model=LearnedReward() if self.rewards == "learned" else None)

    def step(
        self, observation: KarnObservation, memory: EvolutionMemory, random: Randomness
    ) -> KarnStep[EvolutionMemory]:
        """Learn from what is new; where prompted, propose."""
        memory = learned(memory, observation)
        if not self.unprompted and memory.prompted != observation.epoch:
            return KarnStep((), memory)
        found = diversity(observation.library.records.values())
        weights = WEIGHTS.exotic() if found.is_low else WEIGHTS
        candidates = parents(observation.library, observation.layout, weights, exotic=found.is_low)
        if not candidates:
            return KarnStep((), memory)
        ideas = self._ideas(candidates, observation, memory, random.generator(STREAM))
        chosen = _chosen(ideas, weights, self.candidates)
        proposals: list[Proposal] = []
        for idea in chosen:
            proposals.append(_proposal(idea, candidates, found, observation, proposals, random))
        pending = tuple(Pending(blueprint_id=idea.draft.blueprint_id, operator=idea.draft.operator) for idea in chosen)
        return KarnStep(tuple(proposals), memory.model_copy(update={"pending": pending}))

    def _ideas(
        self,
        candidates: Sequence[Parent],
        observation: KarnObservation,
        memory: EvolutionMemory,
        generator: np.random.Generator,
    ) -> list[_Idea]:
        """New drafts, each by the operator whose turn it is."""
        known = {*observation.library.records, *memory.refused}
        sample = compared(observation.library)
        drafted: dict[str, int] = {}
        ideas: list[_Idea] = []
        for _ in range(self.drafts * self.candidates):
            scores = memory.bandit.scores(GENERATORS, drafted)
            operator = best(scores)
            drafted[operator] = drafted.get(operator, 0) + 1
            try:
                made = draft(candidates, operator, generator, known, self.edits)
            except MutationRefused:
                continue
            known.add(made.blueprint_id)
            nearest = novelty(made.graph, [made.parent.graph, *sample])
            ideas.append(_Idea(made, nearest, self._gain(made, memory), scores))
        return ideas

    def _gain(self, made: Draft, memory: EvolutionMemory) -> float:
        """Accuracy that a draft is expected to gain: by the learned model, else its parent's and its operator's mean."""
        if memory.model is not None and memory.model.samples >= SAMPLES_MIN:
            return memory.model.predicted(features(made.graph, made.parent.metadata.default_reads))
        return max(-1.0, min(1.0, accuracy_of(made.parent) + memory.bandit.mean(made.operator)))


def _proposal(
    idea: _Idea,
    candidates: Sequence[Parent],
    found: Diversity,
    observation: KarnObservation,
    before: Sequence[Proposal],
    random: Randomness,
) -> Proposal:
    made = idea.draft
    mode = "exotic: the library lacks diversity; " if found.is_low else ""
    return Proposal(
        graph=made.graph,
        metadata=described(
            made,
            observation.library,
            novelty=idea.novelty,
            gain=idea.gain,
            exotic=found.is_low,
            taken=[proposal.metadata.name for proposal in before],
        ),
        parent_id=made.parent.blueprint_id,
        mutation=made.operator,
        reason=f"{mode}{made.operator} of {made.parent.name}: {made.note}; expects a gain of {idea.gain:.3f}",
        considered=(*idea.weighed, *shown(candidates)),
        propensity=made.odds,
        draws=(random.drawn(STREAM, made.draws),),
    )


def _chosen(ideas: Sequence[_Idea], weights: RewardWeights, wanted: int) -> list[_Idea]:
    """The most promising, one after the other; what is like one chosen before is less novel for it."""
    left, chosen = list(ideas), list[_Idea]()
    while left and len(chosen) < wanted:
        index = max(range(len(left)), key=lambda number: left[number].reward(weights))
        chosen.append(left.pop(index))
        left = [_beside(idea, chosen[-1]) for idea in left]
    return chosen


def _beside(idea: _Idea, other: _Idea) -> _Idea:
    nearest = min(idea.novelty, distance(idea.draft.graph, other.draft.graph))
    return _Idea(idea.draft, nearest, idea.gain, idea.weighed)
