"""Karn breeding: whom it draws, what it writes, what it learns, and that it beats chance where there is something to learn."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from support.library_events import report

from domain.blueprint import BlueprintGraph, ConfidenceLevel, Op, blueprint_id
from domain.commands import GraftingStrategy
from domain.header import LayerLayout
from domain.identifiers import BlueprintId
from domain.karn.describing import EXPERIMENTAL
from domain.karn.drafting import GENERATORS
from domain.karn.evolution import Evolution
from domain.karn.memory import EvolutionMemory
from domain.karn.parents import SHORTLIST, drawn, parents
from domain.karn.policy import KarnObservation, KarnPolicy, KarnStep, Proposal
from domain.karn.random_search import RandomSearch
from domain.karn.reward_model import WEIGHTS, certified_reward
from domain.lifecycle import Outcome
from domain.urabrask.certificate import Certificate
from domain.urabrask.profile import DEEP, graph_depth
from domain.urza.catalogue import registrations
from domain.urza.commands import Certify, Register, Retire, decide
from domain.urza.library import BlueprintLibrary, evolve
from engine.randomness import BoundaryRandomness

LAYOUT = (LayerLayout(layer=0, inputs=2, outputs=8, seeds=2), LayerLayout(layer=1, inputs=8, outputs=7, seeds=3))


def first_library() -> BlueprintLibrary:
    library = BlueprintLibrary()
    for event in registrations():
        library = evolve(library, event)
    return library


def asked(
    policy: KarnPolicy, library: BlueprintLibrary, *, memory: Any = None, epoch: int = 1, **seen: Any
) -> KarnStep[Any]:
    observation = KarnObservation(epoch=epoch, reports=seen.get("reports", ()), library=library, layout=LAYOUT)
    return policy.step(observation, memory or policy.initial(), BoundaryRandomness(3, epoch))


def taken(library: BlueprintLibrary, proposal: Proposal, gain: float, epoch: int) -> BlueprintLibrary:
    """The library after a proposal passed the crucible with this gain."""
    register = Register(
        graph=proposal.graph, metadata=proposal.metadata, parent_id=proposal.parent_id, mutation=proposal.mutation
    )
    return certified(evolve(library, decide(library, register, epoch)), blueprint_id(proposal.graph), gain, epoch)


def certified(library: BlueprintLibrary, name: BlueprintId, gain: float, epoch: int = 1) -> BlueprintLibrary:
    certificate = Certificate(
        passed=True, risk_score=0.2, conf_level=ConfidenceLevel.MODERATE, wep=(("dynamic.gain", gain),)
    )
    return evolve(library, decide(library, Certify(blueprint_id=name, certificate=certificate), epoch))


def planted_gain(graph: BlueprintGraph) -> float:
    """A rule to be found out: layers pay, less and less; so do products. Some luck, which the id decides."""
    ops = [entry.op for entry in graph.nodes]
    luck = np.random.Generator(np.random.PCG64(int(blueprint_id(graph)[:8], 16))).normal(0, 0.02)
    return 0.25 * (1 - math.exp(-ops.count(Op.LINEAR) / 3)) + 0.025 * ops.count(Op.MULTIPLY) + float(luck)


def bred(policy: KarnPolicy, generations: int) -> list[float]:
    """Mean certified reward of each generation, in a world where ``planted_gain`` is what the crucible finds."""
    library, memory, means = first_library(), policy.initial(), []
    for founder in library.offered():
        library = certified(library, founder.blueprint_id, planted_gain(founder.graph))
    for generation in range(1, generations + 1):
        step = asked(policy, library, memory=memory, epoch=generation)
        memory, rewards = step.memory, []
        for proposal in step.proposals:
            library = taken(library, proposal, planted_gain(proposal.graph), generation)
            rewards.append(certified_reward(library.record(blueprint_id(proposal.graph))))
        means.append(float(np.mean(rewards)))
    return means


def test_without_a_field_report_nothing_is_proposed() -> None:
    for policy in (Evolution(), RandomSearch()):
        assert asked(policy, first_library()).proposals == ()


def test_each_boundary_with_reports_gives_as_many_candidates_as_wanted() -> None:
    library = first_library()
    filed = report(library.by_name("glu").blueprint_id, Outcome.FOSSILIZED).report
    for policy in (Evolution(), Evolution(candidates=3), RandomSearch(candidates=3)):
        assert len(asked(policy, library, reports=(filed,)).proposals) == policy.candidates


def test_asked_again_at_the_same_boundary_it_goes_on_and_at_the_next_it_rests() -> None:
    library = first_library()
    filed = report(library.by_name("glu").blueprint_id, Outcome.FOSSILIZED).report
    for policy in (Evolution(), RandomSearch()):
        memory = asked(policy, library, reports=(filed,)).memory
        assert asked(policy, library, memory=memory).proposals
        assert not asked(policy, library, memory=memory, epoch=2).proposals


def test_what_it_writes_about_a_candidate_follows_from_its_parent_and_its_graph() -> None:
    library = first_library()
    for proposal in asked(Evolution(candidates=12, unprompted=True), library).proposals:
        assert proposal.parent_id is not None and proposal.mutation in GENERATORS
        parent, metadata = library.record(proposal.parent_id), proposal.metadata
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", metadata.name) and metadata.name.startswith(parent.name)
        assert metadata.urabrask.conf_level is ConfidenceLevel.SPECULATIVE
        assert metadata.karn.novelty_score > 0
        assert metadata.default_reads is parent.metadata.default_reads
        assert "karn" in metadata.urza.tags and parent.name in metadata.urza.description
        assert ("attention" in metadata.urza.tags) == any(entry.op is Op.SOFTMAX for entry in proposal.graph.nodes)
        assert metadata.estimates.energy_estimate_joules > 0
        if metadata.karn.novelty_score >= EXPERIMENTAL or graph_depth(proposal.graph) >= DEEP:
            assert metadata.urabrask.recommended_grafting_strategy is GraftingStrategy.DRIFT_CONTROLLED
        assert {entry.option for entry in proposal.considered} >= set(GENERATORS)
        assert [draw.stream for draw in proposal.draws] == ["karn/evolution"]


def test_parents_are_drawn_by_reward_and_by_novelty_and_never_from_what_is_retired() -> None:
    library = first_library()
    found = parents(library, LAYOUT, WEIGHTS, exotic=False)
    names = [candidate.record.name for candidate in found]
    assert math.isclose(math.fsum(candidate.odds for candidate in found), 1.0)
    assert {"no_op", "soft_clamp", "unit_rms"}.isdisjoint(names), "what has nothing to learn has no children"
    assert len(found) <= SHORTLIST
    best = library.record(found[0].record.blueprint_id)
    exotic = {each.record.name: each.odds for each in parents(library, LAYOUT, WEIGHTS, exotic=True)}
    assert exotic[best.name] < found[0].odds
    retired = evolve(library, decide(library, Retire(blueprint_id=best.blueprint_id, reason="by hand"), 1))
    assert best.name not in [each.record.name for each in parents(retired, LAYOUT, WEIGHTS, exotic=False)]


def test_interest_makes_a_parent_more_likely() -> None:
    library = first_library()
    record = library.by_name("glu")
    liked = replace(record, statistics=record.statistics.model_copy(update={"tamiyo_interest": 1.0}))
    loved = replace(library, records=MappingProxyType(library.records | {record.blueprint_id: liked}))

    odds = [
        next(each.odds for each in parents(held, LAYOUT, WEIGHTS, exotic=False) if each.record.name == "glu")
        for held in (library, loved)
    ]

    assert odds[1] > odds[0]


def test_draws_follow_the_odds() -> None:
    found = parents(first_library(), LAYOUT, WEIGHTS, exotic=False)
    generator = np.random.Generator(np.random.PCG64(5))

    counts = [0] * len(found)
    for _ in range(4000):
        counts[found.index(drawn(found, generator))] += 1

    assert np.allclose(np.array(counts) / 4000, [candidate.odds for candidate in found], atol=0.03)


def test_a_library_without_diversity_turns_it_to_the_exotic() -> None:
    first = first_library()
    alike = [first.by_name(name).blueprint_id for name in ("residual_mlp", "wide_residual_mlp")]
    narrow = replace(first, records=MappingProxyType({name: first.records[name] for name in alike}))
    varied = asked(Evolution(unprompted=True), first).proposals[0]

    exotic = asked(Evolution(unprompted=True), narrow).proposals[0]

    assert exotic.reason.startswith("exotic") and "exotic" in exotic.metadata.urza.tags
    assert exotic.metadata.urabrask.recommended_grafting_strategy is GraftingStrategy.DRIFT_CONTROLLED
    assert not varied.reason.startswith("exotic")


def test_what_the_library_refused_counts_against_its_operator_and_is_not_proposed_again() -> None:
    library, policy = first_library(), Evolution(unprompted=True)
    first = asked(policy, library)

    again = asked(policy, library, memory=first.memory)

    assert isinstance(again.memory, EvolutionMemory)
    assert again.memory.refused == (blueprint_id(first.proposals[0].graph),)
    assert [arm.operator for arm in again.memory.bandit.arms] == [first.proposals[0].mutation]
    assert blueprint_id(again.proposals[0].graph) not in again.memory.refused


def test_certificates_and_reports_teach_the_bandit_and_the_model_once_each() -> None:
    library, policy = first_library(), Evolution(rewards="learned", unprompted=True)
    step = asked(policy, library)
    proposal = step.proposals[0]
    assert proposal.parent_id is not None
    library = taken(certified(library, proposal.parent_id, 0.1), proposal, 0.4, 1)
    filed = report(blueprint_id(proposal.graph), Outcome.FOSSILIZED)

    tried = asked(policy, library, memory=step.memory, epoch=2).memory
    once_more = asked(policy, library, memory=tried, epoch=3).memory
    used = evolve(library, filed)
    reported = asked(policy, used, memory=tried, epoch=3, reports=(filed.report,)).memory

    arm = next(arm for arm in tried.bandit.arms if arm.operator == proposal.mutation)
    parent = certified_reward(library.record(proposal.parent_id))
    assert arm.total == pytest.approx(certified_reward(library.record(blueprint_id(proposal.graph))) - parent)
    assert tried.model.samples == once_more.model.samples == 1
    assert reported.model.samples == 2


def test_a_certificate_judges_no_operator_against_a_parent_that_was_never_tried() -> None:
    library, policy = first_library(), Evolution(unprompted=True)
    step = asked(policy, library)
    library = taken(library, step.proposals[0], 0.4, 1)

    assert asked(policy, library, memory=step.memory, epoch=2).memory.bandit.arms == ()


def test_evolution_finds_what_pays_and_random_search_does_not() -> None:
    wandered = np.mean([bred(RandomSearch(candidates=8, unprompted=True), 5)])
    for rewards in ("linear", "learned"):
        means = bred(Evolution(candidates=8, rewards=rewards, unprompted=True), 5)
        assert np.mean(means[-2:]) > means[0] + 0.03
        assert np.mean(means) > wandered + 0.05


@pytest.mark.parametrize("wrong", [{"candidates": 0}, {"rewards": "guessed"}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Evolution(**wrong)


def test_random_search_says_with_what_probability_it_drew() -> None:
    for proposal in asked(RandomSearch(candidates=5, unprompted=True), first_library()).proposals:
        assert 0 < proposal.propensity < 1 / len(GENERATORS)
        assert proposal.metadata.karn.novelty_score > 0
