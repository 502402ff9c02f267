"""Every command of the README, with and without ``--json``, on one run that grew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.journal.journal import Journal
from engine.journal.seals import GENESIS_HEAD, chain
from tests.support.commands import SMALL, Shell

RESULT_KEYS = {"run", "digest", "ending", "epochs", "metrics"}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("command"))


@pytest.fixture(scope="module")
def recorded(shell: Shell) -> Any:
    return shell.ask("run", "xor4", "--key", "1", *SMALL)


def test_run_answers_with_one_document_that_says_how_it_went(recorded: Any) -> None:
    assert recorded.keys() >= RESULT_KEYS
    assert recorded["ending"] == "COMPLETED"
    assert recorded["epochs"] == 40
    assert len(recorded["digest"]) == 64
    assert recorded["metrics"]["outcomes"] == {"FOSSILIZED": 1}
    assert recorded["metrics"]["test_accuracy"] > recorded["metrics"]["test_accuracy_before_growth"]


def test_run_tells_a_person_its_id_its_ending_and_each_decision(tmp_path: Path) -> None:
    own = (
        'description = "mine"\n[task]\nname = "xor4"\nsamples = 200\n[host]\nhidden = [4]\n'
        "[training]\nepochs = 3\nbatch_size = 50\n"
    )
    (tmp_path / "mine.toml").write_text(own, encoding="utf-8")
    answer = Shell(tmp_path).regrow("run", "mine.toml", "--tamiyo", "always_grow", "--key", "7")

    assert answer.code == 0
    assert answer.out.startswith("run mine-always_grow-7-")
    assert "\nending COMPLETED: 3 epochs, digest " in answer.out
    told = answer.err.splitlines()
    assert len(told) > 2 and all(line.startswith("epoch ") for line in told), "one line an event off a terminal"
    assert "germinate 0." in told[0]


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("scenarios", {"scenario", "description", "target"}),
        ("policies", {"role", "policy", "description"}),
        (
            "blueprints",
            {"number", "name", "blueprint_id", "level", "reads", "parameters", "description"}
            | {"title", "category", "library", "source_level", "risky", "needs"},
        ),
    ],
)
def test_what_there_is_has_a_line_each(shell: Shell, command: str, keys: set[str]) -> None:
    found = shell.ask(command)
    told = shell.regrow(command)

    assert all(entry.keys() == keys for entry in found)
    assert told.code == 0 and told.err == ""
    assert len(told.out.splitlines()) == len(found) > 1


def test_runs_lists_what_run_answered(shell: Shell, recorded: Any) -> None:
    found = shell.ask("runs")
    told = shell.regrow("runs")

    assert all(result.keys() >= RESULT_KEYS for result in found)
    ours = next(result for result in found if result["run"] == recorded["run"])
    for key in ("digest", "ending", "epochs"):
        assert ours[key] == recorded[key]
    assert ours["metrics"]["test_accuracy"] == recorded["metrics"]["test_accuracy"]
    assert told.code == 0 and told.err == ""
    assert len(told.out.splitlines()) == len(found)


def test_runs_of_an_empty_journal_is_an_empty_list(tmp_path: Path) -> None:
    shell = Shell(tmp_path)

    assert shell.ask("runs") == []
    assert shell.regrow("runs").out == "no runs yet; `regrow run digits` records one\n"


def test_show_rebuilds_the_end_by_default(shell: Shell, recorded: Any) -> None:
    shown = shell.ask("show", recorded["run"])
    told = shell.regrow("show", recorded["run"])

    assert shown.keys() >= {"run", "epoch", "digest", "seeds"}
    assert (shown["run"], shown["epoch"], shown["digest"]) == (recorded["run"], 40, recorded["digest"])
    assert sorted(seed["stage"] for seed in shown["seeds"]).count("FOSSILIZED") == 1
    assert told.code == 0 and told.err == ""
    assert f"digest {recorded['digest']}" in told.out
    assert "GERMINATING -> LOADING" in told.out


@pytest.mark.parametrize("epoch", [0, 17])
def test_show_at_an_epoch_carries_the_digest_of_the_log_up_to_it(shell: Shell, recorded: Any, epoch: int) -> None:
    shown = shell.ask("show", recorded["run"], "--at", str(epoch))
    with Journal.open(f"sqlite:///{shell.journal}") as journal:
        heads, rows = journal.heads(recorded["run"]), journal.raw(recorded["run"])

    assert shown["epoch"] == epoch
    assert shown["digest"] == heads[epoch].digest
    before = heads[epoch - 1] if epoch else GENESIS_HEAD
    assert shown["digest"] == chain(before.digest, rows[before.position : heads[epoch].position])


def test_show_of_one_seed_shows_that_seed(shell: Shell, recorded: Any) -> None:
    grown = next(seed["seed"] for seed in shell.ask("show", recorded["run"])["seeds"] if seed["stage"] == "FOSSILIZED")
    (seed,) = shell.ask("show", recorded["run"], "--seed", grown)["seeds"]
    told = shell.regrow("show", recorded["run"], "--seed", grown)

    assert seed["seed"] == grown and seed["blueprint"] is not None
    assert f"seed {grown} ACTIVE -> FOSSILIZED" in told.out
    other = "0.1" if grown == "0.0" else "0.0"
    assert f"seed {other} " not in told.out


@pytest.mark.parametrize(
    ("words", "training", "active"),
    [
        ("design", "TRAINING", "FINE_TUNING (ACTIVE)"),
        ("high-level", "TRAINING", "FINE_TUNING (ACTIVE)"),
        ("assessed", "ACTIVE (TRAINING)", "ACTIVE"),
        ("successor", "TRAINING", "HOLDING (ACTIVE)"),
    ],
)
def test_show_speaks_the_words_of_other_lifecycles_with_ours_where_they_have_none(
    shell: Shell, recorded: Any, words: str, training: str, active: str
) -> None:
    changes = shell.ask("events", recorded["run"], "--type", "stage-changed")
    reached = {change["data"]["target"]: change["data"] for change in changes}

    for stage, word in (("TRAINING", training), ("ACTIVE", active), ("FOSSILIZED", "FOSSILIZED")):
        grown, epoch = reached[stage]["seed"], str(reached[stage]["epoch"])
        name = f"{grown['layer']}.{grown['index']}"
        options = ("show", recorded["run"], "--at", epoch, "--seed", name, "--words", words)
        (seed,) = shell.inside(*options, "--json").document["seeds"]
        assert (seed["stage"], seed["word"]) == (stage, word)
        assert f"seed {name}  {word} since epoch {epoch}" in shell.inside(*options).out


def test_moves_are_found_by_a_stage_in_the_word_of_any_lifecycle(shell: Shell, recorded: Any) -> None:
    changes = shell.ask("events", recorded["run"], "--type", "stage-changed")
    into = [change for change in changes if "GRAFTING" in (change["data"]["source"], change["data"]["target"])]

    for word in ("GRAFTING", "BLENDING"):
        assert shell.inside("events", recorded["run"], "--stage", word, "--json").document == into
    assert len(into) == 2


def test_events_are_numbered_from_one_and_end_with_a_seal(shell: Shell, recorded: Any) -> None:
    found = shell.ask("events", recorded["run"])
    told = shell.regrow("events", recorded["run"])

    assert [event["position"] for event in found] == list(range(1, len(found) + 1))
    assert found[0]["type"] == "run-started" and found[-1]["type"] == "epoch-sealed"
    assert [json.loads(line) for line in told.out.splitlines()] == found


def test_events_of_one_type_and_some_epochs(shell: Shell, recorded: Any) -> None:
    found = shell.ask("events", recorded["run"], "--type", "epoch-completed", "--from", "5", "--to", "8")

    assert [event["data"]["epoch"] for event in found] == [5, 6, 7, 8]
    assert {event["type"] for event in found} == {"epoch-completed"}


def test_verify_reaches_rung_three(shell: Shell, recorded: Any) -> None:
    reached = shell.ask("verify", recorded["run"])
    told = shell.regrow("verify", recorded["run"])

    assert (reached["run"], reached["rung"], reached["digest"]) == (recorded["run"], 3, recorded["digest"])
    assert "divergence" not in reached and "damage" not in reached
    assert told.code == 0 and told.err == ""
    assert "reached rung 3" in told.out and "rung 4" not in told.out


def test_verify_trains_again_for_rung_four(shell: Shell, recorded: Any) -> None:
    reached = shell.ask("verify", recorded["run"], "--retrain")

    assert (reached["rung"], reached["digest"]) == (4, recorded["digest"])


def test_verify_trains_again_from_a_checkpoint(shell: Shell, recorded: Any) -> None:
    told = shell.regrow("verify", recorded["run"], "--retrain", "--from", "35")

    assert told.code == 0
    assert "reached rung 4" in told.out


def test_an_exported_run_is_imported_and_verified_elsewhere(shell: Shell, recorded: Any, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    written = shell.ask("export", recorded["run"], str(file))
    there = Shell(tmp_path / "there")
    imported = there.ask("import", str(file))

    assert written == {"run": recorded["run"], "file": str(file), "bytes": file.stat().st_size}
    assert imported == recorded
    assert there.ask("verify", recorded["run"])["rung"] == 3
    assert there.ask("show", recorded["run"])["digest"] == recorded["digest"]
    told = there.regrow("import", str(file))
    assert told.out == f"{recorded['run']}: 40 epochs, digest {recorded['digest']}\n"
    assert shell.regrow("export", recorded["run"], str(file)).out == f"{file}: {written['bytes']} bytes\n"


def test_every_command_says_what_it_is_for(shell: Shell) -> None:
    told = shell.regrow("--help")

    assert told.code == 0
    for command in (
        "scenarios",
        "policies",
        "blueprints",
        "run",
        "runs",
        "show",
        "events",
        "verify",
        "export",
        "import",
    ):
        assert f" {command} " in told.out
