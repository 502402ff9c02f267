"""``regrow analyse`` on runs that grew: as JSON, in words, at an epoch, and of what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.analysis.correlation import INFORMED_MIN
from scenarios.runs import simulation
from tests.support.commands import SMALL, Shell
from tests.support.planted_dynamics import planted

KEYS = 8


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


@pytest.fixture(scope="module")
def many(shell: Shell) -> list[str]:
    """Simulated runs that grow a lot, so that there is enough to say of their decisions."""
    simulation.write(planted(), shell.folder / "dynamics.json")
    settings = (
        "host.seeds_per_layer=4",
        "tamiyo_config.allow_concurrent_adaptations=true",
        "tamiyo_config.max_active_seeds=4",
    )
    growing = ("--tamiyo", "random_growth?probability=0.6", *(part for each in settings for part in ("--set", each)))
    simulated = ("--trainer", "simulated", "--dynamics", "dynamics.json", "--epochs", "100", "--json")
    return [
        shell.inside("run", "spirals", *growing, *simulated, "--key", str(key)).document["run"] for key in range(KEYS)
    ]


def test_what_rewarded_decisions_have_in_common_is_told_once_there_are_enough(shell: Shell, many: list[str]) -> None:
    told = shell.inside("analyse", *many, "--json").document
    said = shell.inside("analyse", *many).out.splitlines()

    assert len(told["rewards"]) >= INFORMED_MIN
    assert told["mutual_information"] == 0, "a policy that is always sure tells nothing by it"
    assert said[-1] == "confidence tells 0.000 nats of success"
    pairs = {(pair["feature"], pair["outcome"]) for pair in told["correlations"]}
    assert ("risk", "MEMORY") in pairs
    assert sum(line.startswith("  risk and memory: -") for line in said) == 1
    (counted,) = (line for line in said if line.startswith(f"{len(told['rewards'])} decisions rewarded, mean "))
    assert counted.endswith(f"trend {told['reward_trend']:+.3f}" if told["reward_trend"] else "no trend shown")


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
