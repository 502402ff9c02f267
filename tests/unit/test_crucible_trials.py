"""The crucible on torch: what it measures of good, useless and harmful candidates, and that it leaves no trace."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings

from domain.blueprint import BlueprintGraph, BlueprintMetadata, ConfidenceLevel, Op, node
from domain.commands import GraftingStrategy, Reads
from domain.hardware import HardwareContext
from domain.identifiers import Epoch
from domain.lifecycle import Stage
from domain.urabrask.certificate import GAIN, Certificate, CrucibleStage, DeploymentPath, Examination, examination_of
from domain.urabrask.crucible import judge
from domain.urza.catalogue import INITIAL, residual_mlp
from domain.urza.library import BlueprintLibrary
from engine.trainers.live.crucible import examine
from tests.support.candidates import ZERO, exploding, graph, linear_map, not_a_number, proposal, wider_mlp
from tests.support.graphs import graphs
from tests.support.live_runs import TASK, grown_run, header

HERE = HardwareContext()
HEADER = header(TASK, 2)
NAMES = [metadata.name for _, metadata in INITIAL]
TRUSTED = {
    "residual_mlp",
    "wide_residual_mlp",
    "bottleneck_adapter",
    "se_gate",
    "glu",
    "depthwise_convolution",
    "mini_self_attention",
}


def judged(candidate: BlueprintGraph, examination: Examination, reads: Reads = Reads.BOTH) -> Certificate:
    return judge(proposal(candidate, reads=reads), examination, BlueprintLibrary(), HEADER)


@pytest.mark.parametrize(("candidate", "metadata"), INITIAL, ids=NAMES)
def test_what_has_features_is_trusted_and_what_has_none_is_speculative(
    candidate: BlueprintGraph, metadata: BlueprintMetadata
) -> None:
    examination = examine(candidate, metadata.default_reads, HERE)
    certificate = judged(candidate, examination, metadata.default_reads)
    assert certificate.passed
    assert (certificate.conf_level is not ConfidenceLevel.SPECULATIVE) == (metadata.name in TRUSTED)
    assert (dict(certificate.wep)[GAIN] > 0.05) == (metadata.name in TRUSTED)
    assert examination_of(certificate) == examination


def test_a_linear_map_gains_nothing() -> None:
    examination = examine(linear_map(), Reads.BOTH, HERE)
    certificate = judged(linear_map(), examination)
    assert abs(dict(examination.measures)["dynamic.gain"]) < 0.02
    assert certificate.conf_level is ConfidenceLevel.SPECULATIVE
    assert certificate.path is DeploymentPath.MANUAL_REVIEW
    assert certificate.recommended_grafting_strategy is GraftingStrategy.DRIFT_CONTROLLED


def _negated() -> BlueprintGraph:
    return BlueprintGraph(nodes=(node("chunk", Op.CHUNK), node("out", Op.SCALE, "chunk", factor=-3.0)), output="out")


def _fifths() -> BlueprintGraph:
    return graph(node("line", Op.RESHAPE, "read", shape=(5, -1)), node("flat", Op.RESHAPE, "line", shape=(-1,)), node("out", Op.LINEAR, "flat", **ZERO))  # fmt: skip


@pytest.mark.parametrize(
    ("candidate", "stage", "words"),
    [
        (not_a_number(), CrucibleStage.DYNAMIC, "values that are not finite"),
        (_negated(), CrucibleStage.DYNAMIC, "costs the host 0.137"),
        (_fifths(), CrucibleStage.DYNAMIC, "does not fit the crucible's slot: node 'line'"),
        (residual_mlp(5000), CrucibleStage.DYNAMIC, "operations a sample"),
        (exploding(), CrucibleStage.ROBUSTNESS, "gradient norm reached"),
    ],
    ids=["not-a-number", "harmful", "misfit", "huge", "exploding"],
)
def test_whatever_a_candidate_does_is_a_failed_stage(
    candidate: BlueprintGraph, stage: CrucibleStage, words: str
) -> None:
    examination = examine(candidate, Reads.BOTH, HERE)
    certificate = judged(candidate, examination)
    assert (examination.failed_stage, certificate.failed_stage) == (stage, stage.value)
    assert words in examination.reason
    assert (certificate.risk_score, certificate.path) == (1.0, None)
    assert certificate.conf_level is ConfidenceLevel.SPECULATIVE
    assert examination_of(certificate) == examination
    assert Certificate.model_validate_json(certificate.model_dump_json(), strict=False) == certificate


@settings(max_examples=12)
@given(graphs(read=12, chunk=4))
def test_any_graph_can_be_tried_and_every_measure_is_a_number(candidate: BlueprintGraph) -> None:
    certificate = judged(candidate, examine(candidate, Reads.BOTH, HERE))
    assert all(math.isfinite(value) for _, value in certificate.wep)
    assert 0.0 <= certificate.urabrask_interest <= 1.0


def test_measures_do_not_depend_on_what_was_examined_before_nor_on_the_threads() -> None:
    first = examine(wider_mlp(), Reads.BOTH, HERE)
    examine(exploding(), Reads.BOTH, HERE)
    torch.set_num_threads(2)
    assert examine(wider_mlp(), Reads.BOTH, HERE) == first


def test_another_process_measures_the_same_bits() -> None:
    source = (
        "from domain.commands import Reads; from domain.hardware import HardwareContext;"
        "from engine.trainers.live.crucible import examine; from tests.support.candidates import wider_mlp;"
        "print(examine(wider_mlp(), Reads.BOTH, HardwareContext()).model_dump_json())"
    )
    told = subprocess.run(
        [sys.executable, "-c", source], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == examine(wider_mlp(), Reads.BOTH, HERE).model_dump_json()


def test_an_examination_leaves_no_trace_in_a_run() -> None:
    alone, examined = grown_run(Stage.GRAFTING, alpha=0.5), grown_run(Stage.GRAFTING, alpha=0.5)
    generator = torch.random.get_rng_state()
    for candidate in (wider_mlp(), not_a_number()):
        examined.trainer.examine(Epoch(examined.state.epoch), candidate, Reads.BOTH)
    assert torch.equal(torch.random.get_rng_state(), generator)
    for _ in range(2):
        assert examined.train().weights_digest == alone.train().weights_digest


def test_latency_and_energy_are_estimated_from_operations() -> None:
    slow = HardwareContext(compute_capacity_tflops=1e-6)
    fast, slower = (dict(examine(wider_mlp(), Reads.BOTH, hardware).measures) for hardware in (HERE, slow))
    assert slower["dynamic.latency_ms"] == pytest.approx(50_000 * fast["dynamic.latency_ms"])
    assert slower["dynamic.joules_per_inference"] == fast["dynamic.joules_per_inference"] > 0
