"""The README's commands and policies do what it says they do."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

NAMED = {"run": "RUN", "fork": "FORK", "evolve": "EVOLUTION"}
"""What the id that a command prints is called in the commands after it."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    return [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]


def call(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reader")
    (made / "my_policy.py").write_text(blocks("python")[0], encoding="utf-8")
    return made


def test_every_command_of_the_readme_runs_in_its_order(folder: Path) -> None:
    known = {placeholder: placeholder for placeholder in NAMED.values()}
    for command in commands():
        program, *arguments = shlex.split(command)
        done = call(["-m", "scenarios.cli", *(known.get(word, word) for word in arguments)], folder)

        assert program == "regrow"
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout.strip(), f"{command} says nothing"
        if arguments[0] in NAMED:
            told = done.stdout.splitlines()[0]
            known[NAMED[arguments[0]]] = told.removeprefix("run ").removeprefix("evolution ")


def test_the_policy_of_the_readme_grows_at_epoch_twenty_and_verifies(folder: Path) -> None:
    wanted = ["run", "xor4", "--tamiyo", "my_policy.py:GrowAtTwenty", "--epochs", "24", "--journal", "sqlite:///own.db"]
    recorded = call(["-m", "scenarios.cli", *wanted], folder)
    run = recorded.stdout.splitlines()[0].removeprefix("run ")

    told = call(["-m", "scenarios.cli", "show", run, "--journal", "sqlite:///own.db"], folder).stdout
    verified = call(["-m", "scenarios.cli", "verify", run, "--journal", "sqlite:///own.db"], folder).stdout

    assert "epoch   20  Tamiyo   germinate 0.0: epoch 20 has come" in told
    assert "reached rung 3" in verified


def test_the_python_face_does_what_the_readme_shows(folder: Path) -> None:
    done = call(["-c", blocks("python")[1]], folder)

    assert done.returncode == 0, done.stderr
    accuracy, claim = done.stdout.splitlines()[0].split(" ", maxsplit=1)
    assert 0 <= float(accuracy) <= 1
    assert claim.startswith("same decisions")


def test_the_policy_of_the_readme_has_about_ten_lines() -> None:
    body = blocks("python")[0].partition("class GrowAtTwenty")[2]

    assert len([line for line in body.splitlines() if line.strip()]) <= 11
