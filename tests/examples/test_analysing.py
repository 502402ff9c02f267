"""``regrow analyse`` on runs that grew: as JSON, in words, at an epoch, and of what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import SMALL, Shell


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("analysing"))


@pytest.fixture(scope="module")
def runs(shell: Shell) -> list[str]:
    return [shell.ask("run", "xor4", "--key", str(key), *SMALL)["run"] for key in (1, 2)]


def test_a_network_is_told_with_its_nodes_problems_and_metrics(shell: Shell, runs: list[str]) -> None:
    told = shell.ask("analyse", runs[0])
    (network,) = told["runs"]
    model = network["model"]

    assert (network["run"], network["epoch"], network["reported"]) == (runs[0], 40, True)
    assert [node["kind"] for node in model["nodes"]] == ["linear", "blueprint"]
    assert all(len(node["features"]) == 23 for node in model["nodes"])
    assert all({"rule", "detail"} == problem.keys() for layer in model["layers"] for problem in layer["problems"])
    for metric in ("gradient_health", "training_stability", "system_efficiency", "overall_health", "stability"):
        assert 0 <= model[metric] <= 1
    assert len(told["rewards"]) == 1
    assert told["mutual_information"] is None


def test_a_person_reads_a_line_for_each_node_layer_and_rule(shell: Shell, runs: list[str]) -> None:
    said = shell.inside("analyse", *runs).out.splitlines()

    assert f"run {runs[0]} at epoch 40: 2 nodes, 0 edges," in said[0]
    assert sum(line.startswith("layer_0 ") for line in said) == 2
    assert any(line.startswith("overall health 0.") for line in said)
    assert said[-3].startswith("2 decisions rewarded, mean ")
    assert said[-2] == "correlations need 10 rewarded decisions; name more runs"


def test_a_network_can_be_looked_at_in_any_epoch(shell: Shell, runs: list[str]) -> None:
    early = shell.ask("analyse", runs[0], "--at", "3")
    planted = shell.ask("analyse", runs[0], "--at", "0")

    assert len(early["runs"][0]["model"]["nodes"]) == 1
    assert early["rewards"] == []
    assert planted["runs"][0]["reported"] is False
    assert planted["runs"][0]["model"]["overall_health"] == 0.5


def test_what_cannot_be_analysed_is_one_line(shell: Shell, runs: list[str], tmp_path: Path) -> None:
    missing, late = shell.inside("analyse", "nobody"), shell.inside("analyse", runs[0], "--at", "99")

    assert (missing.code, late.code) == (2, 2)
    assert "there is no run 'nobody'" in missing.complaint
    assert late.complaint.endswith("has epochs 0 to 40")
