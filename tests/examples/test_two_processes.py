"""A run is the same run in every process, beside every other, and after every kill."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from engine.journal.journal import Journal
from tests.support.commands import SMALL, Answer, Shell, ended

LOOK_S = 0.01
"""How long a parent waits between two looks into the journal that its child writes."""


def test_two_processes_that_share_nothing_record_the_same_run(tmp_path: Path) -> None:
    here = Shell(tmp_path / "here", {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"})
    there = Shell(
        tmp_path / "over there" / "ünicode",
        {"PYTHONHASHSEED": "4242", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "2"},
    )
    arguments = ("run", "spirals", "--key", "3", *SMALL, "--json")
    first, second = (ended(process) for process in (here.start(*arguments), there.start(*arguments)))

    assert first.code == second.code == 0
    assert first.document == second.document
    assert first.document["metrics"]["outcomes"], "something grew"
    run = first.document["run"]
    shown = here.regrow("show", run, "--json"), there.regrow("show", run, "--json")
    assert shown[0].out == shown[1].out
    assert shown[0].document["digest"] == first.document["digest"]
    assert here.regrow("events", run).out == there.regrow("events", run).out


def test_two_processes_that_share_a_journal_record_two_equal_runs(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    arguments = ("run", "xor4", "--key", "5", "--epochs", "25", "--tamiyo", "always_grow", "--json")
    answers = [ended(process) for process in [shell.start(*arguments), shell.start(*arguments)]]

    assert [answer.code for answer in answers] == [0, 0], [answer.err for answer in answers]
    results = sorted((answer.document for answer in answers), key=lambda result: len(result["run"]))
    assert results[1]["run"] == results[0]["run"] + ".2"
    assert results[0]["digest"] == results[1]["digest"]
    for result in results:
        reached = shell.ask("verify", result["run"])
        assert (reached["rung"], reached["digest"]) == (3, result["digest"])
    assert {result["run"] for result in shell.ask("runs")} == {result["run"] for result in results}


def test_two_evaluations_at_once_share_their_runs_and_answer_alike(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    asked = ("evaluate", "xor4", "--tamiyo", "always_grow,never_grow", "--keys", "0:2", "--set", "training.epochs=25")
    answers = [ended(process) for process in [shell.start(*asked, "--workers", "1", "--json") for _ in range(2)]]

    assert [answer.code for answer in answers] == [0, 0], [answer.err for answer in answers]
    assert answers[0].document["leaderboard"] == answers[1].document["leaderboard"]
    assert all(result["ending"] == "COMPLETED" for result in shell.ask("runs"))


def sealed_epochs(shell: Shell) -> int:
    """Epochs that the journal holds by now, of its only run."""
    if not shell.journal.is_file():
        return 0
    with Journal.open(f"sqlite:///{shell.journal}") as journal:
        return sum(len(journal.heads(run)) for run in journal.runs())


def stopped_after(shell: Shell, epochs: int, how: signal.Signals) -> Answer:
    """A run that was sent a signal as soon as its parent saw so many epochs."""
    process = shell.start("run", "spirals", "--key", "3", *SMALL, "--json")
    while sealed_epochs(shell) < epochs:
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    process.send_signal(how)
    return ended(process)


@pytest.mark.parametrize("epochs", [1, 8, 17, 29])
def test_a_killed_run_leaves_whole_epochs_that_verify(tmp_path: Path, epochs: int) -> None:
    shell = Shell(tmp_path)
    answer = stopped_after(shell, epochs, signal.SIGKILL)

    assert answer.code == -9, "the run was over before it was killed"
    (run,) = shell.ask("runs")
    assert run["ending"] == "OPEN"
    assert epochs - 1 <= run["epochs"] < 40
    reached = shell.ask("verify", run["run"])
    assert (reached["rung"], reached["epochs"], reached["digest"]) == (3, run["epochs"], run["digest"])
    last = shell.ask("events", run["run"], "--from", str(run["epochs"]))[-1]
    assert last["type"] == "epoch-sealed"


def test_an_interrupted_run_says_so_in_one_line_and_keeps_its_epochs(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    answer = stopped_after(shell, 3, signal.SIGINT)

    assert (answer.code, answer.out) == (3, "")
    assert answer.complaint == "interrupted; every epoch that was sealed stays recorded"
    (run,) = shell.ask("runs")
    assert run["ending"] == "OPEN"
    assert shell.ask("verify", run["run"])["rung"] == 3
