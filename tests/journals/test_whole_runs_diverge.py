"""Where a replay differs from its recording, the report says where, in what, after what, and why that is likely."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.events import BlueprintProposed, DecisionMade, DomainEvent, EpochCompleted, EpochSealed
from domain.header import Fingerprint
from engine.replay import replay
from engine.trainers.live import fingerprint as live_fingerprint
from engine.trainers.live.tolaria import LiveTrainer
from engine.trainers.stores import MemoryStore
from scenarios import composition
from scenarios.lab import Lab
from tests.support.commands import Shell
from tests.support.grown_runs import address, events_of, recorded, resealed

DIVERGED = 4

POLICY = '''
"""Plants once, at one epoch."""

from domain.commands import Decision, Germinate, GraftingStrategy, Reads
from domain.tamiyo.housekeeping import housekeeping
from domain.tamiyo.policy import NoMemory, Step


class Once:
    profile = "full"

    def initial(self):
        return NoMemory()

    def step(self, observation, memory, random):
        decisions = housekeeping(observation)
        if observation.epoch == 5:
            command = Germinate(
                seed=observation.state.germinable_seeds()[0],
                blueprint_id=observation.state.library.offered()[0].blueprint_id,
                reads=Reads.BOTH,
                grafting=GraftingStrategy.FIXED_RAMP,
            )
            decisions = (*decisions, Decision(command=command, reason="epoch 5 has come"))
        return Step(decisions, memory)
'''

KARN = '''
"""Proposes what a file says that it finds."""

from pathlib import Path

from domain.blueprint import BlueprintMetadata
from domain.karn.policy import KarnStep, Proposal
from domain.tamiyo.policy import NoMemory
from domain.urza.catalogue import residual_mlp

WIDTHS = Path(__file__).with_name("widths.txt")


class Reader:
    def initial(self):
        return NoMemory()

    def step(self, observation, memory, random):
        if observation.epoch != 2:
            return KarnStep((), memory)
        return KarnStep(tuple(proposal(width) for width in WIDTHS.read_text().split()), memory)


def proposal(width):
    metadata = BlueprintMetadata(name=f"mlp_{width}")
    return Proposal(graph=residual_mlp(int(width)), metadata=metadata, reason="it is written")
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diverging")


@pytest.fixture(scope="module")
def run(folder: Path) -> str:
    return recorded(folder).run


@pytest.mark.parametrize(
    ("was", "is_now", "epoch", "topic", "path", "cause"),
    [
        ("epoch 5 has come", "epoch 5 is here", 5, "decision-made", "decision.reason", "its source changed"),
        (
            "observation.epoch == 5",
            "observation.epoch == 7",
            5,
            "decision-made",
            "topic",
            "another version of the code",
        ),
        ("observation.epoch == 5", "observation.epoch == 3", 3, "epoch-sealed", "topic", "another version of the code"),
    ],
)
def test_a_policy_edited_after_the_recording_diverges_where_it_decides_otherwise(
    tmp_path: Path, was: str, is_now: str, epoch: int, topic: str, path: str, cause: str
) -> None:
    file = tmp_path / "once.py"
    file.write_text(POLICY, encoding="utf-8")
    shell = Shell(tmp_path)
    run = shell.inside("run", "xor4", "--epochs", "8", "--tamiyo", "once.py:Once", "--json").document["run"]
    assert shell.inside("verify", run, "--json").document["rung"] == 3
    file.write_text(POLICY.replace(was, is_now), encoding="utf-8")

    answer = shell.inside("verify", run, "--json")

    assert answer.code == DIVERGED
    reached = answer.document
    assert reached["rung"] == 2
    divergence = reached["divergence"]
    events = events_of(tmp_path, run)
    at = divergence["position"]
    assert (divergence["epoch"], divergence["recorded_topic"]) == (epoch, topic)
    assert (events[at - 1].epoch, events[at - 1].TOPIC) == (epoch, topic)
    assert divergence["last_common"] == f"position {at - 1}, {events[at - 2].TOPIC}"
    assert path in {field["path"] for field in divergence["fields"]}
    assert cause in divergence["cause"]
    assert answer.complaint.startswith(f"{run} diverges at position {at}, epoch {epoch}: {topic}: ")
    told = shell.inside("verify", run)
    assert told.code == DIVERGED and "reached rung 2" in told.out and told.complaint == answer.complaint


@pytest.mark.parametrize(
    ("widths", "number", "topic", "path", "cause"),
    [
        ("41 50", 1, "blueprint-proposed", "blueprint_id", "the policy decides otherwise on equal reports"),
        ("40 51", 2, "blueprint-proposed", "blueprint_id", "the policy decides otherwise on equal reports"),
        ("40", 2, "blueprint-proposed", "topic", "takes another course from here"),
        ("40 50 60", 3, "epoch-sealed", "topic", "takes another course from here"),
    ],
)
def test_a_karn_that_is_not_pure_diverges_where_it_proposes_otherwise(
    tmp_path: Path, widths: str, number: int, topic: str, path: str, cause: str
) -> None:
    (tmp_path / "reader.py").write_text(KARN, encoding="utf-8")
    (tmp_path / "widths.txt").write_text("40 50", encoding="utf-8")
    shell = Shell(tmp_path)
    asked = ("run", "xor4", "--epochs", "3", "--tamiyo", "never_grow", "--karn", "reader.py:Reader", "--json")
    run = shell.inside(*asked).document["run"]
    assert shell.inside("verify", run, "--json").document["rung"] == 3
    (tmp_path / "widths.txt").write_text(widths, encoding="utf-8")

    answer = shell.inside("verify", run, "--json")
    divergence = answer.document["divergence"]

    events = events_of(tmp_path, run)
    stops = BlueprintProposed, EpochSealed
    at = [i for i, event in enumerate(events, start=1) if event.epoch == 2 and isinstance(event, stops)][number - 1]
    assert (answer.code, answer.document["rung"]) == (DIVERGED, 2)
    assert (divergence["position"], divergence["epoch"], divergence["recorded_topic"]) == (at, 2, topic)
    assert divergence["last_common"] == f"position {at - 1}, {events[at - 2].TOPIC}"
    assert divergence["fields"][0]["path"] == path
    assert cause in divergence["cause"]


def test_a_forged_decision_under_new_seals_is_intact_but_not_what_the_policy_decides(
    folder: Path, run: str, tmp_path: Path
) -> None:
    events = list(events_of(folder, run))
    at = next(i for i, event in enumerate(events) if isinstance(event, DecisionMade))
    event = events[at]
    assert isinstance(event, DecisionMade)
    decision = event.decision.model_copy(update={"reason": "a reason of the forger's"})
    events[at] = event.model_copy(update={"decision": decision})
    resealed(tmp_path, "forged", events)

    with Lab(address(tmp_path)) as lab:
        reached = lab.verify("forged")

    assert reached.rung == 2
    assert reached.divergence is not None
    assert reached.divergence.position == at + 1
    (field,) = reached.divergence.fields
    assert (field.path, field.recorded) == ("decision.reason", '"a reason of the forger\'s"')


def test_a_forged_outcome_under_new_seals_does_not_fold_into_the_sealed_state(
    folder: Path, run: str, tmp_path: Path
) -> None:
    events = list(events_of(folder, run))
    at = next(i for i, event in enumerate(events) if isinstance(event, EpochCompleted) and event.epoch == 9)
    completed = events[at]
    assert isinstance(completed, EpochCompleted)
    better = completed.metrics.model_copy(update={"validation_accuracy": 1.0})
    events[at] = completed.model_copy(update={"metrics": better})
    resealed(tmp_path, "forged", events)

    with Lab(address(tmp_path)) as lab:
        reached = lab.verify("forged")

    assert reached.rung == 1
    assert reached.divergence is not None
    assert reached.divergence.recorded_topic == EpochSealed.TOPIC
    assert [field.path for field in reached.divergence.fields] == ["state_digest"]
    assert reached.divergence.epoch == 9


def test_training_that_gives_other_weights_with_equal_metrics_is_told_apart(folder: Path, run: str) -> None:
    events: list[DomainEvent] = [event for event in events_of(folder, run) if event.epoch <= 6]
    at = next(i for i, event in enumerate(events) if isinstance(event, EpochCompleted) and event.epoch == 4)
    events[at] = events[at].model_copy(update={"weights_digest": "ab" * 32})
    with Lab(address(folder)) as lab:
        header = lab.show(run).state.started
    tamiyo, karn = composition.policies(header)

    divergence = replay(events, LiveTrainer(composition.data(header), MemoryStore()), lambda header: (tamiyo, karn))

    assert divergence is not None
    assert (divergence.position, divergence.epoch) == (at + 1, 4)
    assert [field.path for field in divergence.fields] == ["weights_digest"]
    assert "thread count" in divergence.cause


def test_a_run_of_another_machine_is_not_comparable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = live_fingerprint.fingerprint

    def elsewhere(threads: int) -> Fingerprint:
        return here(threads).model_copy(update={"torch": "9.9.9", "machine": "abacus"})

    monkeypatch.setattr(live_fingerprint, "fingerprint", elsewhere)
    shell = Shell(tmp_path)
    run = shell.inside("run", "xor4", "--epochs", "2", "--json").document["run"]
    monkeypatch.undo()

    answer = shell.inside("verify", run, "--retrain", "--json")
    reached = answer.document

    assert (answer.code, answer.err) == (0, "")
    assert reached["rung"] == 3, "neither passed nor failed"
    assert "torch 9.9.9 there" in reached["not_comparable"]
    assert "machine abacus there" in reached["not_comparable"]
    assert "divergence" not in reached
