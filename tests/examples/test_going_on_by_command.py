"""``resume``, ``fork`` and ``ledger`` as a person calls them: answers, exit codes, kills, full disks, two at once."""

from __future__ import annotations

import resource
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from domain.events import EpochCompleted
from engine.journal.errors import EpochConflict
from engine.journal.journal import Journal
from engine.recording import JournalSink
from tests.support.commands import Shell, ended
from tests.support.grown_runs import events_of, resealed
from tests.support.small_runs import append, body

USAGE, ENDED_BADLY, DIVERGED, DAMAGED = 2, 3, 4, 5
GROWING = ("--key", "1", "--set", "tamiyo_config.plateau_patience=3", "--set", "tamiyo_config.reserve_epochs=5")
LONG = ("xor4", *GROWING, "--epochs", "80", "--set", "host.dropout=0.1")
LOOK_S = 0.01


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("going-on"))


@pytest.fixture(scope="module")
def parent(shell: Shell) -> Any:
    return said(shell, "run", "xor4", *GROWING, "--epochs", "24")


def said(shell: Shell, *arguments: str) -> Any:
    """The document of a command in this process that must succeed."""
    answer = shell.inside(*arguments, "--json")
    assert answer.code == 0, answer.err
    return answer.document


def killed(shell: Shell, epoch: int, *arguments: str) -> None:
    """Start a command and kill it as soon as its run, the newest in the journal, has sealed ``epoch``."""
    process = shell.start(*arguments, "--json")
    known = set(runs(shell))
    while not any(epochs >= epoch for run, epochs in runs(shell).items() if run not in known):
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    process.send_signal(signal.SIGKILL)
    assert ended(process).code == -9, "it was over before it was killed"


def runs(shell: Shell) -> dict[str, int]:
    if not shell.journal.is_file():
        return {}
    with Journal.open(f"sqlite:///{shell.journal}") as journal:
        return {run: len(journal.heads(run)) - 1 for run in journal.runs()}


def test_fork_answers_as_run_does_with_its_parent(shell: Shell, parent: Any) -> None:
    child = said(shell, "fork", parent["run"], "--at", "4", "--tamiyo", "never_grow", "--set", "training.epochs=28")
    told = shell.inside("fork", parent["run"], "--at", "4", "--tamiyo", "never_grow", "--key", "5")

    assert child.keys() == parent.keys()
    assert (child["parent"], child["at_epoch"], child["epochs"]) == (parent["run"], 4, 28)
    assert f"\na fork of {parent['run']}, the same up to the end of epoch 4\n" in told.out
    shown = said(shell, "show", child["run"])
    assert (shown["parent"], shown["at_epoch"]) == (parent["run"], 4)
    assert f"a fork of {parent['run']}" in shell.inside("show", child["run"]).out
    assert "a fork of" not in shell.inside("show", parent["run"]).out
    listed = next(run for run in said(shell, "runs") if run["run"] == child["run"])
    assert (listed["tamiyo"], listed["parent"], listed["at_epoch"]) == ("never_grow", parent["run"], 4)


def test_decisions_of_the_past_are_not_told_again(shell: Shell, parent: Any) -> None:
    told = shell.inside("fork", parent["run"], "--at", "12", "--key", "3").err.splitlines()

    assert told
    assert all(int(line.removeprefix("epoch ").partition(":")[0]) > 12 for line in told)


def test_a_fork_over_the_recording_names_its_boundary_and_has_not_failed(shell: Shell, parent: Any) -> None:
    answer = shell.inside("fork", parent["run"], "--at", "0", "--tamiyo", "never_grow", "--trainer", "recorded")

    assert answer.code == 0
    assert "\nending LEFT_RECORDING: " in answer.out
    assert "the recording holds the answer to germinate but nothing was ordered" in answer.out
    assert "nothing recorded later was used" in answer.out


def test_the_ledger_ends_at_the_first_difference_unless_asked_for_all(shell: Shell, parent: Any) -> None:
    short = said(shell, "ledger", parent["run"], "--tamiyo", "never_grow")
    whole = said(shell, "ledger", parent["run"], "--tamiyo", "never_grow", "--all")
    last = short["entries"][-1]

    assert [entry["differs"] for entry in short["entries"]] == [False] * (last["epoch"] - 1) + [True]
    assert (last["recorded"]["kind"], last["chosen"]["kind"]) == ("germinate", "wait")
    assert (last["probability"], last["propensity"], last["is_forced"]) == (0.0, 1.0, False)
    assert short["boundary"] == whole["boundary"] == last["epoch"]
    assert (short["is_forced"], whole["is_forced"]) == (False, True)
    assert [entry["epoch"] for entry in whole["entries"]] == list(range(1, 25))
    told = shell.inside("ledger", parent["run"], "--tamiyo", "never_grow")
    assert "germinate was ordered, nothing would have been" in told.out
    assert told.out.endswith("nothing recorded after it reaches the policy; --all goes on all the same\n")
    told = shell.inside("ledger", parent["run"], "--tamiyo", "never_grow", "--all")
    assert told.out.endswith("orders that were not its own: for off-policy weights only\n")
    told = shell.inside("ledger", parent["run"], "--tamiyo", "as_designed")
    assert told.out.endswith("as_designed orders as recorded at every boundary of 24 epochs\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("resume", "{run}"), "ended COMPLETED; fork it at an earlier epoch"),
        (("resume", "nobody"), "there is no run 'nobody'"),
        (("resume",), "Missing argument"),
        (("fork", "nobody", "--at", "3"), "there is no run 'nobody'"),
        (("fork", "--at", "3"), "Missing argument"),
        (("fork", "{run}"), "Missing option '--at'"),
        (("fork", "{run}", "--at", "-1"), "--at"),
        (("fork", "{run}", "--at", "25"), "has epochs 0 to 24"),
        (("fork", "{run}", "--at", "24"), "ended there, COMPLETED"),
        (("fork", "{run}", "--at", "9", "--tamiyo", "as_implemented"), "'simplified' does not have; fork at epoch"),
        (("fork", "{run}", "--at", "3", "--set", "host.hidden=[4]"), "the network is planted already"),
        (("fork", "{run}", "--at", "3", "--set", "training.epochs=3"), "leaves nothing to train"),
        (("fork", "{run}", "--at", "3", "--set", "nonsense"), "--set 'nonsense'"),
        (("fork", "{run}", "--at", "3", "--tamiyo", "as_desined"), "did you mean 'as_designed'"),
        (("fork", "{run}", "--at", "3", "--trainer", "dead"), "trainer 'dead' is unknown"),
        (("ledger", "{run}"), "Missing option '--tamiyo'"),
        (("ledger", "{run}", "--tamiyo", "nobody"), "'nobody' is unknown"),
        (("ledger", "nobody", "--tamiyo", "never_grow"), "there is no run 'nobody'"),
    ],
)
def test_what_a_person_gets_wrong_is_one_line(shell: Shell, parent: Any, arguments: tuple[str, ...], said: str) -> None:
    before = runs(shell)
    answer = shell.inside(*(part.format(run=parent["run"]) for part in arguments))

    assert (answer.code, answer.out) == (USAGE, "")
    assert said in answer.complaint
    assert runs(shell) == before


def test_training_that_gives_something_else_than_recorded_is_a_divergence(shell: Shell, parent: Any) -> None:
    def forged(event: Any) -> Any:
        is_one = isinstance(event, EpochCompleted) and event.epoch == 5
        return event.model_copy(update={"weights_digest": "ab" * 32}) if is_one else event

    resealed(shell.folder, "forged", [forged(event) for event in events_of(shell.folder, parent["run"])])
    answer = shell.inside("fork", "forged", "--at", "8")

    assert (answer.code, answer.out) == (DIVERGED, "")
    assert "epoch 5: epoch-completed: weights_digest" in answer.complaint
    assert shell.inside("fork", "forged", "--at", "3").code == 0, "what comes after the fork is not compared"


def test_a_harmed_checkpoint_is_damage(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = said(shell, "run", "xor4", "--epochs", "8", "--set", "training.checkpoint_every=2")["run"]
    for blob in (tmp_path / "journal.blobs" / run).iterdir():
        blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    answer = shell.inside("fork", run, "--at", "7")

    assert answer.code == DAMAGED
    assert "is damaged" in answer.complaint


def test_a_killed_run_and_a_killed_fork_are_resumed_to_the_same_end(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    killed(shell, 17, "run", *LONG)
    (run,) = runs(shell)
    resumed = said(shell, "resume", run)
    whole = said(shell, "run", *LONG)
    assert resumed["digest"] == whole["digest"]
    assert said(shell, "verify", run)["rung"] == 3

    arguments = ("fork", run, "--at", "20", "--key", "8", "--tamiyo", "random_growth")
    killed(shell, 38, *arguments)
    cut = list(runs(shell))[-1]
    twin = said(shell, *arguments)
    assert said(shell, "resume", cut)["digest"] == twin["digest"] != whole["digest"]
    assert said(shell, "verify", cut)["rung"] == 3


def test_a_run_that_was_killed_before_anything_was_sealed_is_no_run(tmp_path: Path) -> None:
    with Journal.open(f"sqlite:///{tmp_path}/journal.db") as journal:
        journal.new_run_id("planted")
        journal.note("planted", "host", "here")
    answer = Shell(tmp_path).inside("resume", "planted")

    assert (answer.code, answer.out) == (USAGE, "")
    assert "there is no run 'planted'" in answer.complaint


def test_of_two_processes_that_resume_one_run_one_goes_on_and_the_log_is_whole(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    killed(shell, 5, "run", *LONG)
    (run,) = runs(shell)
    answers = [ended(process) for process in [shell.start("resume", run, "--json") for _ in range(2)]]

    assert sorted(answer.code for answer in answers) == [0, USAGE], [answer.err for answer in answers]
    (other,) = (answer for answer in answers if answer.code)
    assert "another process records" in other.complaint or "ended COMPLETED" in other.complaint
    reached = said(shell, "verify", run)
    assert (reached["rung"], reached["epochs"]) == (3, 80)
    assert reached["digest"] == said(shell, "run", *LONG)["digest"]


def test_a_sink_that_is_alone_stops_where_another_was_faster(tmp_path: Path) -> None:
    with Journal.open(f"sqlite:///{tmp_path}/journal.db") as journal:
        head = append(journal, "run", range(3))
        first, second = JournalSink(journal, "run", head, alone=True), JournalSink(journal, "run", head, alone=True)
        first.seal(3, body(3), "cd" * 32, "ef" * 32)
        with pytest.raises(EpochConflict, match="another process records run too and was faster at epoch 3"):
            second.seal(3, body(3), "cd" * 32, "ef" * 32)
        assert journal.verify("run")[-1] == first.head


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_fork_on_a_full_disk_is_one_line_and_leaves_whole_epochs_or_nothing(tmp_path: Path, size: int) -> None:
    shell = Shell(tmp_path)
    parent = said(shell, "run", "xor4", *GROWING, "--epochs", "60")
    size += shell.journal.stat().st_size if size else 0
    before = sorted(path.name for path in (tmp_path / "journal.blobs").iterdir())
    answer = shell.regrow(
        "fork",
        parent["run"],
        "--at",
        "50",
        "--set",
        "training.epochs=2000",
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )

    assert (answer.code, answer.out) == (ENDED_BADLY, "")
    assert "free some space or choose another" in answer.err.splitlines()[-1]
    after = runs(shell)
    assert len(after) == 1 + (size > 0)
    for run in after:
        assert said(shell, "verify", run)["rung"] == 3
    if not size:
        assert sorted(path.name for path in (tmp_path / "journal.blobs").iterdir()) == before
