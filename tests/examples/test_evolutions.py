"""``evolve``, ``evolutions``, ``lineage`` and ``run --library`` as a person calls them; what was killed goes on."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine.journal.journal import Journal
from scenarios.evolving.recorded import names
from tests.support.commands import Shell, ended

USAGE, DAMAGED = 2, 5
HASTY = ("--set", "tamiyo_config.plateau_patience=3", "--set", "tamiyo_config.reserve_epochs=5", "--epochs", "24")
KARN = ("--karn", "evolution?unprompted=true")
TINY = ("xor4", *HASTY, *KARN, "--generations", "2", "--runs", "1", "--candidates", "2", "--key", "1", "--workers", "1")
IDLY = ("xor4", "--epochs", "2", "--runs", "1", "--workers", "1", "--karn", "idle.py:Idle")
LOOK_S = 0.02

IDLE = """
from domain.tamiyo.policy import NoMemory


class Idle:
    def initial(self):
        return NoMemory()

    def step(self, observation, memory, random):
        raise NotImplementedError
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("evolving"))


@pytest.fixture(scope="module")
def evolved(shell: Shell) -> Any:
    return said(shell, "evolve", *TINY)


def said(shell: Shell, *arguments: str) -> Any:
    """The document of a command in this process that must succeed."""
    answer = shell.inside(*arguments, "--json")
    assert answer.code == 0, answer.err
    return answer.document


def sealed(shell: Shell) -> int:
    """The last generation that the one evolution in the journal has sealed; -1 for none."""
    if not shell.journal.is_file():
        return -1
    with Journal.open(f"sqlite:///{shell.journal}") as journal:
        found = names(journal)
        return journal.heads(found[0])[-1].epoch if found else -1


def test_an_evolution_answers_with_a_summary_a_generation(shell: Shell, evolved: Any) -> None:
    told = shell.inside("evolve", *TINY)

    assert [summary["generation"] for summary in evolved["summaries"]] == [1, 2]
    assert all(summary["proposed"] <= 2 for summary in evolved["summaries"])
    assert evolved["generation"] == evolved["generations"] == 2
    assert evolved["on_offer"] == evolved["summaries"][-1]["library_size"]
    assert evolved["digest"] in told.out and len(told.out.splitlines()) == 5
    assert said(shell, "evolutions") == [evolved], "the same evolution again records nothing"


def test_what_failed_in_its_first_generation_offers_what_it_was_planted_with(tmp_path: Path) -> None:
    elsewhere = Shell(tmp_path)
    (tmp_path / "idle.py").write_text(IDLE)
    refused = elsewhere.inside("evolve", *IDLY)
    told = elsewhere.inside("evolutions")
    (found,) = said(elsewhere, "evolutions")

    assert refused.code == USAGE and "Idle raised NotImplementedError at epoch 1" in refused.err
    assert (found["generation"], found["on_offer"]) == (0, 13)
    assert "generation 0 of 6   13 on offer" in told.out


def test_it_is_verified_to_rung_3_and_each_of_its_runs_to_rung_4(shell: Shell, evolved: Any) -> None:
    reached = said(shell, "verify", evolved["evolution"], "--retrain")
    joined = [event["data"]["run"] for event in said(shell, "events", evolved["evolution"], "--type", "run-joined")]

    assert (reached["rung"], reached["digest"]) == (3, evolved["digest"])
    assert "by itself" in reached["not_comparable"]
    assert {run["run"] for run in said(shell, "runs")} >= set(joined) and len(joined) == 2
    assert said(shell, "verify", joined[-1], "--retrain")["rung"] == 4


def test_an_evolution_is_no_run(shell: Shell, evolved: Any) -> None:
    name = evolved["evolution"]
    for command in (("show", name), ("resume", name), ("fork", name, "--at", "1"), ("compare", name, name + "x")):
        refused = shell.inside(*command)
        assert refused.code == USAGE and f"{name} is an evolution, not a run" in refused.complaint

    assert all(run["run"] != name for run in said(shell, "runs"))
    assert all(row["run"] != name for row in said(shell, "query", "select run from blueprints"))


def test_a_run_is_planted_with_what_evolved(shell: Shell, evolved: Any) -> None:
    name = evolved["evolution"]
    run = said(shell, "run", "xor4", *HASTY, "--key", "9", "--library", f"{name}@1")["run"]
    first = said(shell, "run", "xor4", *HASTY, "--key", "9")["run"]
    planted = [event["data"] for event in said(shell, "events", run, "--type", "blueprint-registered")]

    assert len(planted) > 13 and all(event["epoch"] == 0 for event in planted)
    assert said(shell, "events", run, "--type", "blueprint-certified")
    assert said(shell, "verify", run, "--retrain")["rung"] == 4
    assert run.rpartition("-")[0] == first.rpartition("-")[0] and run != first


def test_a_lineage_goes_back_to_a_founder_and_its_provenance_holds(shell: Shell, evolved: Any) -> None:
    found = said(shell, "lineage", "14", "--library", evolved["evolution"])
    founder = said(shell, "lineage", found["ancestors"][-1][0], "--library", f"{evolved['evolution']}@2")

    assert found["number"] == 14 and founder["number"] <= 13 and founder["ancestors"] == []
    assert found["blueprint_id"] in {child[1] for child in founder["children"]} or len(found["ancestors"]) > 1
    assert found["provenance"] == founder["provenance"]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (("run", "xor4", "--library", "nobody"), "'nobody' is no evolution; `regrow evolutions` lists them"),
        (("lineage", "glu", "--library", "NAME@7"), "has generations 0 to 2; name one of them behind the @"),
        (
            ("lineage", "glu", "--library", "NAME@" + "1" * 5000),
            "has generations 0 to 2; name one of them behind the @",
        ),
        (("lineage", "gluu", "--library", "NAME"), "no blueprint is called 'gluu'; did you mean glu"),
        (("evolve", "xor4", "xor4"), "name one scenario or more, each once"),
        (("evolve", "xor4", "--karn", "nobody"), "Karn policy 'nobody' is unknown"),
    ],
)
def test_bad_input_is_one_line(shell: Shell, evolved: Any, command: tuple[str, ...], complaint: str) -> None:
    refused = shell.inside(*(part.replace("NAME", evolved["evolution"]) for part in command))

    assert refused.code == USAGE and complaint in refused.complaint


def test_an_evolution_travels(shell: Shell, evolved: Any, tmp_path: Path) -> None:
    file = tmp_path / "evolution.jsonl"
    said(shell, "export", evolved["evolution"], str(file))
    elsewhere = Shell(tmp_path)

    assert said(elsewhere, "import", str(file)) == evolved
    reached = said(elsewhere, "verify", evolved["evolution"])
    assert reached["rung"] == 3 and "is not in this journal" in reached["remarks"][0]

    told = file.read_text(encoding="utf-8")
    mutation = said(shell, "lineage", "14", "--library", evolved["evolution"])["ancestors"][0][2]
    file.write_text(told.replace(mutation, "another"), encoding="utf-8")
    assert Shell(tmp_path / "changed").regrow("import", str(file)).code == DAMAGED


def test_what_was_killed_between_generations_goes_on_to_the_same_digest(
    shell: Shell, evolved: Any, tmp_path: Path
) -> None:
    other = Shell(tmp_path)
    process = other.start("evolve", *TINY, "--json")
    while sealed(other) < 1:
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    process.send_signal(signal.SIGKILL)
    assert ended(process).code == -9 and sealed(other) == 1

    assert said(other, "evolve", *TINY) == evolved
