"""The verdict over what was measured: risk, path, interest and grafting strategy, without any trainer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.blueprint import WEP, BlueprintMetadata, ConfidenceLevel, UrabraskMetadata, blueprint_id
from domain.commands import GraftingStrategy
from domain.karn.policy import Proposal
from domain.urabrask.certificate import Certificate, CrucibleStage, DeploymentPath, Examination
from domain.urabrask.crucible import judge
from domain.urabrask.prior import PRIOR
from domain.urza.catalogue import mini_self_attention, residual_mlp
from domain.urza.commands import Battle, Certify, Register, decide
from domain.urza.library import BlueprintLibrary, evolve
from tests.support.candidates import proposal
from tests.support.live_runs import TASK, header

HEADER = header(TASK, 2)
EMPTY = BlueprintLibrary()
USEFUL = proposal(residual_mlp(32))
SPLENDID: WEP = (("dynamic.gain", 0.25),)


def verdict(measures: WEP, candidate: Proposal = USEFUL, library: BlueprintLibrary = EMPTY) -> Certificate:
    return judge(candidate, Examination(measures=measures), library, HEADER)


def after(library: BlueprintLibrary, *commands: Any) -> BlueprintLibrary:
    for command in commands:
        library = evolve(library, decide(library, command, epoch=1))
    return library


@pytest.mark.parametrize(
    ("gain", "level", "path"),
    [
        (0.25, ConfidenceLevel.HIGH, DeploymentPath.AUTOMATIC),
        (0.15, ConfidenceLevel.MODERATE, DeploymentPath.HARDWARE_APPROVAL),
        (0.0, ConfidenceLevel.SPECULATIVE, DeploymentPath.MANUAL_REVIEW),
    ],
)
def test_the_risk_gives_the_level_and_the_path(gain: float, level: ConfidenceLevel, path: DeploymentPath) -> None:
    found = verdict((("dynamic.gain", gain),))
    assert (found.conf_level, found.path) == (level, path)
    assert ConfidenceLevel.of_risk(found.risk_score) is level


def test_the_profile_is_complete_and_sorted() -> None:
    keys = [key for key, _ in verdict(SPLENDID).wep]
    assert keys == sorted(keys)
    assert sum(key.startswith("static.") for key in keys) == 7


def test_the_model_of_the_library_scores_and_is_named() -> None:
    pessimist = PRIOR.model_copy(update={"intercept": 9.0})
    found = verdict(SPLENDID, library=replace(EMPTY, risk_model=pessimist))
    assert found.risk_model == pessimist.digest != verdict(SPLENDID).risk_model == PRIOR.digest
    assert found.risk_score > 0.9


@pytest.mark.parametrize(
    ("measures", "strategy"),
    [
        (SPLENDID, GraftingStrategy.FIXED_RAMP),
        ((("dynamic.gain", 0.0),), GraftingStrategy.DRIFT_CONTROLLED),
        ((*SPLENDID, ("robustness.gradient_variance", 2.0)), GraftingStrategy.GRAD_NORM_GATED),
        ((("dynamic.convergence_epochs", 30.0), *SPLENDID), GraftingStrategy.PERFORMANCE_LINKED),
    ],
)
def test_the_strategy_follows_what_was_measured(measures: WEP, strategy: GraftingStrategy) -> None:
    assert verdict(measures).recommended_grafting_strategy is strategy


@pytest.mark.parametrize("graph", [mini_self_attention(4, 8), residual_mlp(400)], ids=["deep", "large"])
def test_what_is_deep_or_large_is_grafted_under_drift_control(graph: Any) -> None:
    assert verdict(SPLENDID, proposal(graph)).recommended_grafting_strategy is GraftingStrategy.DRIFT_CONTROLLED


def test_a_verdict_keeps_the_score_of_earlier_battles() -> None:
    rival = proposal(residual_mlp(8))
    names = [blueprint_id(entry.graph) for entry in (USEFUL, rival)]
    registered = [Register(graph=entry.graph, metadata=entry.metadata) for entry in (USEFUL, rival)]
    library = after(EMPTY, *registered, Battle(blueprint_id=names[0], opponent_id=names[1], result=1.0))
    assert verdict(SPLENDID, library=library).elo_score == 1216
    assert verdict(SPLENDID).elo_score == 1200


def test_what_is_in_doubt_or_unlike_anything_known_is_interesting() -> None:
    known = verdict(SPLENDID)
    metadata = BlueprintMetadata(name="known", urabrask=UrabraskMetadata(wep=known.wep))
    other = residual_mlp(33)
    library = after(
        EMPTY,
        Register(graph=other, metadata=metadata),
        Certify(blueprint_id=blueprint_id(other), certificate=known),
    )
    familiar, doubtful = verdict(SPLENDID, library=library), verdict((("dynamic.gain", 0.1),), library=library)
    assert familiar.urabrask_interest < doubtful.urabrask_interest < 1.0
    assert familiar.urabrask_interest < known.urabrask_interest


def test_what_failed_a_stage_has_failed() -> None:
    examination = Examination(measures=SPLENDID, failed_stage=CrucibleStage.ROBUSTNESS, reason="it broke")
    found = judge(USEFUL, examination, EMPTY, HEADER)
    assert (found.passed, found.failed_stage, found.reason) == (False, "robustness", "it broke")
    assert (found.risk_score, found.path) == (1.0, None)
