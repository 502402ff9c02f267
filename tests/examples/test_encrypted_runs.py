"""Runs at rest under a key, by command and from Python: nothing readable on the disk, everything else as ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.journal.cipher import new_key
from engine.session import EpochView
from scenarios.keys import CIPHER_KEY
from scenarios.lab import Lab
from tests.support.commands import SMALL, Shell

MEDICAL = ("--set", "environment=medical", *SMALL)
WORDS = (b'"epoch"', b"residual_mlp", b"weights_digest", b"safetensors", b"host/", b"STABILIZATION", b'regrow":"{')
"""Some stand in every event or checkpoint that is not encrypted."""


@pytest.fixture
def key() -> str:
    return new_key()


@pytest.fixture
def shell(tmp_path: Path, key: str) -> Shell:
    return Shell(tmp_path, {CIPHER_KEY: key})


def told(shell: Shell, *arguments: str) -> Any:
    """The document of a command that succeeds."""
    answer = shell.inside(*arguments, "--json")
    assert answer.code == 0, answer.err
    return answer.document


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_medical_profile_runs_end_to_end_and_leaves_nothing_readable(shell: Shell) -> None:
    run = shell.ask("run", "xor4", *MEDICAL)["run"]

    assert told(shell, "verify", run, "--retrain")["rung"] == 4
    assert told(shell, "fork", run, "--at", "20")["digest"] == told(shell, "show", run)["digest"]
    assert told(shell, "query", "SELECT count(*) AS runs FROM runs") == [{"runs": 2}]
    disk = on_disk(shell.folder)
    assert len(disk) > 100_000
    assert [word for word in WORDS if word in disk] == []


def test_a_key_is_made_by_command_and_opens_a_journal(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    made = shell.inside("new-key").out.strip()
    assert made != shell.inside("new-key").out.strip()

    assert Shell(tmp_path, {CIPHER_KEY: made}).inside("runs").code == 0
    refused = shell.inside("runs")
    assert (refused.code, refused.complaint) == (
        2,
        f"sqlite:///{shell.journal} is encrypted; put its key into REGROW_CIPHER_KEY",
    )


def test_a_wrong_key_is_one_clear_line_and_changes_nothing(shell: Shell) -> None:
    run = told(shell, "run", "xor4", *SMALL)["run"]
    before = on_disk(shell.folder)
    wrong = Shell(shell.folder, {CIPHER_KEY: new_key()})

    for command in (("show", run), ("run", "xor4"), ("resume", run), ("verify", run)):
        answer = wrong.inside(*command)
        assert (answer.code, answer.out) == (2, "")
        assert "another key than the one in REGROW_CIPHER_KEY" in answer.complaint
    assert on_disk(shell.folder) == before


def test_what_has_to_be_encrypted_is_not_recorded_in_the_open(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    answer = shell.inside("run", "xor4", *MEDICAL)

    assert answer.code == 2
    assert "safety.encryption_required is set; make a key with `regrow new-key`" in answer.complaint
    run = told(shell, "run", "xor4", *SMALL)["run"]
    forked = shell.inside("fork", run, "--at", "10", "--set", "safety.encryption_required=true")
    assert forked.code == 2
    assert [entry["run"] for entry in told(shell, "runs")] == [run]


def test_an_export_of_an_encrypted_run_has_to_be_asked_for_twice(shell: Shell, tmp_path: Path) -> None:
    run = told(shell, "run", "xor4", "--epochs", "3")["run"]
    file = tmp_path / "run.jsonl"
    refused = shell.inside("export", run, str(file))

    assert (refused.code, file.exists()) == (2, False)
    assert "--decrypt" in refused.complaint
    assert shell.inside("export", run, str(file), "--decrypt").code == 0
    plain = Shell(tmp_path / "plain")
    plain.folder.mkdir()
    assert told(plain, "import", str(file))["digest"] == told(shell, "show", run)["digest"]


def test_an_encrypted_run_that_was_cut_off_is_resumed_to_the_end_of_a_plain_one(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"training.epochs": 24, "tamiyo_config.plateau_patience": 4}
    with Lab(f"sqlite:///{tmp_path}/plain.db") as lab:
        whole = lab.run("xor4", overrides=settings)

    def cut(view: EpochView) -> None:
        if view.state.epoch == 13:
            raise KeyboardInterrupt

    monkeypatch.setenv(CIPHER_KEY, key)
    with Lab(f"sqlite:///{tmp_path}/encrypted.db") as lab:
        with pytest.raises(KeyboardInterrupt):
            lab.run("xor4", overrides=settings, watch=cut)
        (run,) = lab.journal.runs()
        assert lab.resume(run).digest == whole.digest
