"""Whatever a person gets wrong is one clear line and an exit code; what was recorded stays recorded."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import SMALL, Shell
from tests.support.policy_files import written

USAGE, ENDED_BADLY, DAMAGED = 2, 3, 5
SHORT = ("--epochs", "6", "--set", "training.checkpoint_every=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bad-input")
    (made / "nonsense.toml").write_text("epochs = = 3", encoding="utf-8")
    (made / "latin.toml").write_bytes(b'description = "\xe9"')
    (made / "empty.toml").write_text("", encoding="utf-8")
    task = 'description = "mine"\n[task]\nname = "{}"\n[host]\nhidden = [4]\n[training]\nepochs = 2\n{}\n'
    (made / "key.toml").write_text(task.format("xor4", "learning_rat = 0.1"), encoding="utf-8")
    (made / "task.toml").write_text(task.format("xor5", ""), encoding="utf-8")
    (made / "broken.py").write_text("import nothing_of_the_kind\n", encoding="utf-8")
    (made / "leaves.py").write_text("raise SystemExit(0)\n", encoding="utf-8")
    (made / "syntax.py").write_text("class Half(:\n", encoding="utf-8")
    (made / "text.txt").write_text("hello\nworld\n", encoding="utf-8")
    with sqlite3.connect(made / "other.db") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    written(made)
    return made


@pytest.fixture(scope="module")
def shell(folder: Path) -> Shell:
    return Shell(folder)


@pytest.fixture(scope="module")
def recorded(shell: Shell) -> str:
    answer = shell.inside("run", "xor4", "--epochs", "14", "--set", "training.checkpoint_every=2")
    assert answer.code == 0, answer.err
    return answer.out.splitlines()[0].removeprefix("run ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "digts"), ["scenario 'digts' is unknown", "did you mean 'digits'?", "spirals"]),
        (("run", "../pyproject"), ["scenario '../pyproject' is unknown"]),
        (("run", "missing.toml"), ["scenario file 'missing.toml' does not exist"]),
        (("run", "nonsense.toml"), ["nonsense.toml is not TOML", "line 1"]),
        (("run", "latin.toml"), ["latin.toml is not TOML"]),
        (("run", "empty.toml"), ["empty.toml", "field required"]),
        (("run", "key.toml"), ["training.learning_rat", "did you mean 'learning_rate'?", "weight_decay"]),
        (("run", "task.toml"), ["task.name: task 'xor5' is unknown", "did you mean 'xor4'?"]),
        (("run", "xor4", "--tamiyo", "as_desined"), ["Tamiyo policy 'as_desined'", "did you mean 'as_designed'?"]),
        (("run", "xor4", "--karn", "inventor"), ["Karn policy 'inventor' is unknown", "no_invention"]),
        (("run", "xor4", "--tamiyo", "nowhere.py:P"), ["there is no file 'nowhere.py'"]),
        (("run", "xor4", "--tamiyo", "broken.py:P"), ["does not import", "No module named 'nothing_of_the_kind'"]),
        (("run", "xor4", "--tamiyo", "syntax.py:Half"), ["does not import", "SyntaxError"]),
        (("run", "xor4", "--tamiyo", "leaves.py:P"), ["does not import", "SystemExit"]),
        (("run", "xor4", "--tamiyo", "policies.py:Absent"), ["policies.py has no class 'Absent'"]),
        (("run", "xor4", "--tamiyo", "policies.py:NoPolicy"), ["has no 'initial'", "domain/tamiyo/policy.py"]),
        (("run", "xor4", "--tamiyo", "policies.py:UnknownProfile"), ["lifecycle profile 'baroque'", "simplified"]),
        (("run", "xor4", "--tamiyo", "policies.py:CannotBeMade"), ["cannot be made", "knob"]),
        (("run", "xor4", "--tamiyo", "policies.py:WithoutStart"), ["initial raised RuntimeError: no start"]),
        (("run", "xor4", "--tamiyo", "policies.py:StartsWithADict"), ["initial returned {}, not a Value"]),
        (("run", "xor4", "--trainer", "imagined"), ["trainer 'imagined' is unknown", "live"]),
        (("run", "xor4", "--set", "training.epchs=3"), ["training.epchs", "did you mean 'epochs'?"]),
        (("run", "xor4", "--set", "epochs"), ["--set 'epochs' is not of the form section.key=value"]),
        (("run", "xor4", "--set", "training.epochs.x=3"), ["'epochs' is a value, not a section"]),
        (("run", "xor4", "--set", "training.learning_rate=-1"), ["training.learning_rate", "greater than 0", "-1"]),
        (("run", "xor4", "--set", "training.epochs=many"), ["training.epochs", "integer", "'many'"]),
        (("run", "xor4", "--set", "host.hidden=[1]"), ["a layer of 1 units cannot hold 2 seeds"]),
        (("run", "xor4", "--set", "task.samples=3"), ["task.samples", "greater than or equal to 30"]),
        (("run", "xor4", "--set", "gates.preset=eager"), ["gates.preset: preset 'eager' is unknown", "patient"]),
        (("run", "xor4", "--set", "environment=moon"), ["environment 'moon' is unknown"]),
        (("run", "xor4", "--set", "enviroment=edge"), ["key 'enviroment' is unknown", "did you mean 'environment'?"]),
        (("run", "xor4", "--set", "gates.presset=fast"), ["gates.presset", "did you mean 'preset'?"]),
        (("run", "xor4", "--set", "training.telemetry=full"), ["training.telemetry is a section of keys", "'full'"]),
        (
            ("run", "xor4", "--set", "training.telemetry.x=1"),
            ["training.telemetry.x: key 'x' is unknown", "there are: "],
        ),
        (("run", "xor4", "--set", 'tamiyo_config.respected_states=["GROWING"]'), ["respected_states", "GRAFTING"]),
        (("run", "xor4", "--set", "tamiyo_config.plateau_patience=0"), ["plateau_patience", "0"]),
        (("run", "xor4", "--epochs", "1000000"), ["training.epochs", "100000"]),
        (("run", "xor4", "--epochs", "0"), ["--epochs", "1"]),
        (("run", "xor4", "--key", "-1"), ["--key", "0"]),
        (("run", "xor4", "--key", "one"), ["--key", "integer"]),
        (
            ("evaluate", "xor4", "--tamiyo", "never_grow", "--method", "simulated", "--race"),
            ["--method simulated has no use for --race", "--method exact"],
        ),
        (
            ("evaluate", "xor4", "--tamiyo", "never_grow", "--dynamics", "d.json"),
            ["--method exact has no use for --dynamics", "--method simulated"],
        ),
        (("evaluate", "xor4", "--tamiyo", "never_grow,always_gro"), ["'always_gro'", "did you mean 'always_grow'?"]),
        (("evaluate", "xor4", "--tamiyo", "never_grow,"), ["Tamiyo policy '' is unknown"]),
        (("evaluate", "xor4", "--tamiyo", "always_grow,always_grow?"), ["always_grow?: name policies, each once"]),
        (("evaluate", "xor4", "--tamiyo", "never_grow", "--at", "1", "--origin", "nobody"), ["Tamiyo policy 'nobody'"]),
        (("evaluate", "xor4", "--tamiyo", "never_grow", "--at", "1", "--on", "moon"), ["--on moon: a sweep runs on"]),
        (("evaluate", "xor4", "--tamiyo", "never_grow", "--keys", "0:9999999999999999999"), ["10000 run keys at most"]),
        (("run",), ["Missing argument 'scenario'"]),
        (("fly",), ["No such command 'fly'"]),
        (("runs", "--loud"), ["No such option", "--loud"]),
        (("show", "nobody"), ["there is no run 'nobody'", "`regrow runs`"]),
        (("verify", "nobody"), ["there is no run 'nobody'"]),
        (("events", "nobody"), ["there is no run 'nobody'"]),
        (("export", "nobody", "out.jsonl"), ["there is no run 'nobody'"]),
        (("show", "RUN", "--at", "99"), ["--at 99", "has epochs 0 to 14"]),
        (("show", "RUN", "--seed", "first"), ["--seed first", "LAYER.SEED"]),
        (("show", "RUN", "--seed", "0.7"), ["--seed 0.7"]),
        (("show", "RUN", "--words", "desing"), ["vocabulary 'desing'", "did you mean 'design'?"]),
        (("events", "RUN", "--stage", "CULLED"), ["--stage 'CULLED' is no stage", "GERMINATED"]),
        (("events", "RUN", "--stage", "ACTIVE", "--type", "run-ended"), ["--stage goes with --type stage-changed"]),
        (("events", "RUN", "--type", "stage-change"), ["event type 'stage-change'", "did you mean 'stage-changed'?"]),
        (("import", "text.txt"), ["text.txt is no archive of a run"]),
        (("runs", "--journal", "sqlite:///text.txt"), ["text.txt is no SQLite file", "name another"]),
        (("runs", "--journal", "sqlite:///other.db"), ["other.db is another program's database"]),
        (("runs", "--journal", "journal.db"), ["no store answers to 'journal.db'", "sqlite:///"]),
        (("runs", "--journal", "mysql:///x"), ["no store answers to 'mysql:///x'"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(
    shell: Shell, recorded: str, arguments: tuple[str, ...], said: list[str]
) -> None:
    answer = shell.inside(*(recorded if word == "RUN" else word for word in arguments))

    assert (answer.code, answer.out) == (USAGE, "")
    for words in said:
        assert words in answer.complaint
    assert len(shell.inside("runs").out.splitlines()) == 1, "nothing was recorded"


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("Raises", "Raises raised RuntimeError at epoch 3: out of ideas and of paper"),
        ("RaisesWithSurrogate", "RaisesWithSurrogate raised RuntimeError at epoch 3: half a character "),
        ("Exits", "Exits raised SystemExit at epoch 3: 0"),
        ("ReturnsNothing", "ReturnsNothing returned None at epoch 3, not a Step"),
        ("DecidesWords", "DecidesWords decided 'grow!' at epoch 3, not a Decision"),
        ("DecidesNothingAtAll", "DecidesNothingAtAll"),
        ("WritesHalfACharacter", "WritesHalfACharacter"),
        ("RemembersHalfACharacter", "RemembersHalfACharacter"),
        ("RemembersAList", "RemembersAList remembers [1, 2] at epoch 3, not a Value"),
    ],
)
def test_a_policy_that_fails_ends_its_run_and_what_was_recorded_verifies(
    folder: Path, tmp_path: Path, policy: str, reason: str
) -> None:
    shell = Shell(tmp_path)
    answer = shell.inside("run", "xor4", *SHORT, "--tamiyo", f"{folder}/policies.py:{policy}", "--json")

    assert answer.code == ENDED_BADLY
    assert answer.complaint.startswith(f"the run ended POLICY_FAILED: {reason}")
    assert "mend the policy" in answer.complaint
    result = answer.document
    assert (result["ending"], result["epochs"]) == ("POLICY_FAILED", 3)
    verified = shell.inside("verify", result["run"], "--json")
    assert verified.code == 0
    assert (verified.document["rung"], verified.document["digest"]) == (3, result["digest"])
    ending = shell.inside("events", result["run"], "--type", "run-ended", "--json").document[0]
    assert ending["data"]["ending"] == "POLICY_FAILED"


def test_an_order_for_the_unknown_is_refused_and_the_run_goes_on(folder: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    result = shell.inside(
        "run", "xor4", *SHORT, "--tamiyo", f"{folder}/policies.py:OrdersTheUnknown", "--json"
    ).document

    assert (result["ending"], result["epochs"]) == ("COMPLETED", 6)
    refusals = shell.inside("events", result["run"], "--type", "command-refused", "--json").document
    vetoes = shell.inside("events", result["run"], "--type", "decision-vetoed", "--json").document
    stopped = {(event["data"]["epoch"], event["data"]["number"]) for event in refusals + vetoes}
    assert stopped == {(epoch, number) for epoch in (3, 4, 5, 6) for number in (0, 1)}
    assert any("layer 9" in event["data"]["reason"] for event in refusals)


def copied(shell: Shell, recorded: str, target: Path) -> Shell:
    """The journal and its blobs in a folder of their own."""
    shell.inside("runs")
    target.mkdir(exist_ok=True)
    with sqlite3.connect(shell.journal) as source, sqlite3.connect(target / "journal.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    shutil.copytree(shell.folder / "journal.blobs", target / "journal.blobs")
    return Shell(target)


def kept_checkpoint(shell: Shell, run: str) -> Path:
    """The file of the newest checkpoint."""
    saved = shell.inside("events", run, "--type", "checkpoint-saved", "--json").document[-1]["data"]["checkpoint"]
    return shell.folder / "journal.blobs" / run / str(saved)


@pytest.mark.parametrize("spoil", ["missing", "truncated", "flipped", "emptied"])
def test_a_checkpoint_that_is_not_whole_is_damage(shell: Shell, recorded: str, tmp_path: Path, spoil: str) -> None:
    copy = copied(shell, recorded, tmp_path)
    file = kept_checkpoint(copy, recorded)
    content = file.read_bytes()
    if spoil == "missing":
        file.unlink()
    else:
        flipped = content[:99] + bytes([content[99] ^ 1]) + content[100:]
        file.write_bytes({"truncated": content[:-1], "flipped": flipped, "emptied": b""}[spoil])

    answer = copy.inside("verify", recorded)

    assert (answer.code, answer.out) == (DAMAGED, "")
    assert file.name in answer.complaint
    assert ("is missing" if spoil == "missing" else "is damaged") in answer.complaint
    assert "restore it from a copy" in answer.complaint
    assert copy.inside("show", recorded).code == 0, "the events are still whole"


def test_a_journal_of_a_newer_version_is_left_alone(shell: Shell, recorded: str, tmp_path: Path) -> None:
    copy = copied(shell, recorded, tmp_path)
    with sqlite3.connect(copy.journal) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()

    answer = copy.inside("runs")

    assert (answer.code, answer.out) == (USAGE, "")
    assert "has journal format 2 but this regrow reads up to 1; use a newer regrow" in answer.complaint


def test_an_event_of_a_newer_version_is_not_guessed_at(shell: Shell, recorded: str, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    shell.inside("export", recorded, str(file))
    file.write_bytes(file.read_bytes().replace(b"regrow.epoch-completed.v1", b"regrow.epoch-completed.v9", 1))

    answer = Shell(tmp_path).inside("import", str(file))

    assert (answer.code, answer.out) == (USAGE, "")
    assert "'epoch-completed' has version 9" in answer.complaint


def small_files_only(size: int) -> Any:
    """No file may grow beyond ``size`` bytes: to a program that is a disk that filled up."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 5_000, 200_000])
def test_a_full_disk_is_one_line_and_whole_epochs_stay(tmp_path: Path, size: int) -> None:
    shell = Shell(tmp_path)
    answer = shell.regrow("run", "xor4", *SMALL, "--json", before=small_files_only(size))

    assert (answer.code, answer.out) == (ENDED_BADLY, "")
    assert "free some space or choose another" in answer.complaint
    left = shell.ask("runs")
    assert len(left) == (1 if size == 200_000 else 0)
    for run in left:
        assert (run["ending"], shell.ask("verify", run["run"])["rung"]) == ("OPEN", 3)
        assert 0 < run["epochs"] < 40


def test_checkpoints_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "journal.blobs").write_text("a file where the folder should be", encoding="utf-8")
    answer = Shell(tmp_path).inside("run", "xor4", *SHORT)

    assert (answer.code, answer.out) == (ENDED_BADLY, "")
    assert "cannot write" in answer.complaint and "journal.blobs" in answer.complaint


def test_an_evaluation_without_a_single_run_ended_badly(tmp_path: Path) -> None:
    (tmp_path / "journal.blobs").write_text("a file where the folder should be", encoding="utf-8")
    asked = ("--tamiyo", "never_grow", "--keys", "0:2", "--workers", "1", "--json")
    answer = Shell(tmp_path).inside("evaluate", "xor4", *asked)

    assert (answer.code, answer.out) == (ENDED_BADLY, "")
    assert answer.complaint.startswith("nothing can be compared: never_grow on xor4, key 0: ")


def test_an_export_that_does_not_fit_leaves_nothing(shell: Shell, recorded: str, tmp_path: Path) -> None:
    answer = shell.regrow("export", recorded, str(tmp_path / "out.jsonl"), before=small_files_only(40_000))

    assert (answer.code, answer.out) == (ENDED_BADLY, "")
    assert "cannot write" in answer.complaint
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_neither_a_folder_nor_a_pipe(shell: Shell, recorded: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path, tmp_path / "pipe"):
        answer = shell.inside("export", recorded, str(target))

        assert (answer.code, answer.out) == (ENDED_BADLY, "")
        assert f"cannot write {target}: it is there and no file; choose another name" in answer.complaint
    assert (tmp_path / "pipe").is_fifo()


def test_an_answer_that_cannot_be_written_is_one_line(shell: Shell, recorded: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = shell.start("events", recorded, stdout=full)
        _, err = process.communicate()

    assert process.returncode == ENDED_BADLY
    assert err == "regrow: the answer could not be written: No space left on device; write it to another place\n"


def test_a_reader_who_has_seen_enough_is_no_error(shell: Shell, recorded: str) -> None:
    process = shell.start("events", recorded)
    assert process.stdout is not None and process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert first.startswith('{"position":1,"type":"run-started"')
    assert (process.wait(), said) == (0, "")


@pytest.mark.parametrize("locale", ["C", "POSIX", "tr_TR.UTF-8", "nowhere"])
def test_answers_are_the_same_in_every_locale(shell: Shell, recorded: str, locale: str) -> None:
    elsewhere = Shell(shell.folder, {"LC_ALL": locale, "LANG": locale, "TZ": "America/St_Johns", "PYTHONUTF8": "0"})

    assert elsewhere.regrow("show", recorded).out == shell.inside("show", recorded).out


def test_a_standard_output_that_is_closed_is_no_traceback(shell: Shell, recorded: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m scenarios.cli show {recorded} >&-"],
        cwd=shell.folder,
        env=shell.variables(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
