"""Runs forked over a recording: followed as far as what was recorded answers for them, and no further."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.endings import RunEnding
from domain.events import DecisionDiverged, EpochSealed, RunForked
from engine.checkers import check
from scenarios.lab import Lab
from scenarios.runs.results import RunResult
from scenarios.specification import BadInput
from tests.support.cut_runs import EPOCHS, Cut, cut_run, cutting, of_kind
from tests.support.forking_policies import written


def tail(lab: Lab, run: str, after: int) -> list[tuple[str, str]]:
    """What was recorded after an epoch, as bytes; ``RunForked`` and what digests of state cover of headers left out."""
    found = []
    for event in lab.journal.events(run):
        if event.epoch > after and not isinstance(event, RunForked):
            dropped = {"log_digest", "state_digest", "events"} if isinstance(event, EpochSealed) else set()
            found.append((event.TOPIC, event.model_dump_json(exclude=dropped)))
    return found


def test_over_a_recording_the_same_policy_comes_to_the_same_end(lab: Lab, parent: RunResult) -> None:
    child = lab.fork(parent.run, 2, trainer="recorded")

    assert child.ending == "COMPLETED" and child.ended_well
    assert tail(lab, child.run, 2) == tail(lab, parent.run, 2)


@pytest.mark.parametrize("policy", ["never_grow", "always_grow", "as_implemented"])
def test_over_a_recording_nothing_is_used_after_the_first_differing_decision(
    lab: Lab, parent: RunResult, policy: str
) -> None:
    child = lab.fork(parent.run, 0, trainer="recorded", tamiyo=policy)
    events = lab.journal.events(child.run)

    (diverged,) = of_kind(events, DecisionDiverged)
    assert (child.ending, child.epochs, child.ended_well) == ("LEFT_RECORDING", diverged.epoch, True)
    assert diverged.recorded != diverged.chosen
    assert diverged.epoch == lab.ledger(parent.run, policy).boundary
    assert check(events) == []
    assert lab.verify(child.run).rung == 3
    again = lab.verify(child.run, retrain=True)
    assert again.rung == 3 and "nothing to train again" in str(again.not_comparable)


def test_a_recording_of_another_course_is_followed_to_its_fork_only(lab: Lab, parent: RunResult) -> None:
    """Beyond a fork the reports are answers under settings that the new run does not have."""
    other = lab.fork(parent.run, 20, overrides={"training.learning_rate": 0.05})
    child = lab.fork(other.run, 2, trainer="recorded")

    assert (child.ending, child.epochs) == ("LEFT_RECORDING", 20)
    assert lab.last_reason(child.run).startswith("the recording ends at epoch 20")
    assert check(lab.journal.events(child.run)) == []
    assert lab.verify(child.run).rung == 3
    with pytest.raises(BadInput, match="holds nothing after epoch 20"):
        lab.fork(other.run, 20, trainer="recorded")


def test_a_run_over_a_recording_is_forked_and_resumed_over_the_same_recording(lab: Lab, parent: RunResult) -> None:
    first = lab.fork(parent.run, 1, trainer="recorded", tamiyo="never_grow")
    second = lab.fork(first.run, 2, tamiyo="as_designed")
    with pytest.raises(Cut):
        lab.fork(parent.run, 1, trainer="recorded", tamiyo="as_designed", watch=cutting(9))

    assert (second.ending, second.epochs) == ("COMPLETED", EPOCHS), "what left the recording is not what it goes over"
    assert lab.resume(lab.journal.runs()[-1]).ending == "COMPLETED"
    with pytest.raises(BadInput, match="was not trained but recorded, so there is no network"):
        lab.fork(first.run, 2, trainer="live")


def test_over_a_recording_a_failing_policy_ends_the_run_once(lab: Lab, parent: RunResult, folder: Path) -> None:
    child = lab.fork(parent.run, 2, trainer="recorded", tamiyo=f"{written(folder)}:Easily")

    assert (child.ending, child.epochs) == (RunEnding.POLICY_FAILED.value, 6)
    assert check(lab.journal.events(child.run)) == []
    assert lab.verify(child.run).rung == 3


def test_an_open_recording_is_followed_to_where_it_stops(lab: Lab) -> None:
    run = cut_run(lab, 12)
    child = lab.fork(run, 2, trainer="recorded")

    assert (child.ending, child.epochs) == ("LEFT_RECORDING", 12)
    assert lab.verify(child.run).rung == 3
