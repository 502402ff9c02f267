"""What one adaptation was worth: pairs of forks that differ in one order, and what may be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.attributed_runs import planted_trial

from domain.events import SeedGerminated
from engine.evaluation.sweep import JobFailed
from engine.evaluation.worth import Worth, worth
from engine.randomness import stream
from engine.recording import JournalSink
from engine.session import Session
from engine.trainers.live.tolaria import LiveTrainer
from scenarios import composition, specification
from scenarios.display.comparisons import attribution_lines
from scenarios.lab import Lab
from scenarios.runs import trainers
from scenarios.runs.results import RunResult
from scenarios.specification import BadInput, Scenario
from scenarios.whatif.attribution import Branched, answer, attribute, continuation_keys
from scenarios.whatif.subjects import subject_of

TRIALS = 100
LEAST = 93


def small(**overrides: Any) -> Scenario:
    settings = {"training.epochs": 22, "tamiyo_config.plateau_patience": 4, "training.checkpoint_every": 4}
    return specification.load("xor4", {**settings, **overrides})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(f"sqlite:///{tmp_path_factory.mktemp('attribution')}/journal.db") as made:
        yield made


@pytest.fixture(scope="module")
def run(lab: Lab) -> RunResult:
    return lab.run(small(), tamiyo="fixed_schedule?epochs=6", key=3)


def ask(lab: Lab, run: str, seed: str = "0.0", **how: Any) -> Any:
    return attribute(lab, run, seed, **{"continuations": 2, "workers": 1, **how})


# The numbers


def test_of_a_seed_that_does_nothing_the_interval_covers_zero() -> None:
    """With keys of their own: under shared ones nothing but exact zeros come out, which the next test says."""
    held = sum(not planted_trial("no_op", key, shared=False)[0].shown for key in range(TRIALS))

    assert held >= LEAST, f"{held} of {TRIALS}"


def test_under_shared_keys_a_seed_that_does_nothing_makes_no_difference_at_all() -> None:
    for key in range(10):
        found, verdict = planted_trial("no_op", key, shared=True)

        assert (found.mean, found.low, found.high, verdict) == (0, 0, 0, Worth.NO_DIFFERENCE_SHOWN)


def test_of_an_essential_seed_the_interval_excludes_zero() -> None:
    found = [planted_trial("residual_mlp", key, shared=True)[1] for key in range(TRIALS)]

    assert found.count(Worth.WORTH) >= LEAST


def test_what_harms_is_called_harmful() -> None:
    scores = {"estimand": "a test", "generator": stream(1, "test")}

    assert worth([0.1, 0.2, 0.15, 0.12], [0.8, 0.9, 0.85, 0.83], **scores)[1] is Worth.HARMFUL
    with pytest.raises(ValueError, match="2 pairs at least but got 1"):
        worth([0.1], [0.8], **scores)


def test_the_first_key_is_the_runs_own_and_more_of_them_begin_with_the_same() -> None:
    assert continuation_keys(7, 3)[0] == 7
    assert continuation_keys(7, 9)[:3] == continuation_keys(7, 3)
    assert len(set(continuation_keys(7, 50))) == 50


# The forks


def test_the_continuation_with_it_under_the_runs_own_key_is_the_run_again(lab: Lab, run: RunResult) -> None:
    told = ask(lab, run.run)
    own, other = told.pairs
    was = lab.result(run.run).metrics

    assert own.key == 3
    assert own.with_it.figures.final_accuracy == was.test_accuracy
    assert dict(own.with_it.figures.outcomes) == dict(was.outcomes)
    assert other.with_it.figures.area != own.with_it.figures.area
    assert told.subject.outcome in {"FOSSILIZED", "CULLED", "OPEN"}
    assert str(told.subject.adaptation) == "0.0#1" and told.subject.epoch == 6


def test_both_of_a_pair_share_the_past_and_differ_in_the_germination(lab: Lab, run: RunResult) -> None:
    for pair in ask(lab, run.run).pairs:
        sides = [lab.journal.heads(side.figures.run) for side in (pair.with_it, pair.without_it)]

        assert sides[0][:6] == sides[1][:6] == lab.journal.heads(run.run)[:6]
        assert pair.with_it.germinated and not pair.without_it.germinated
        assert pair.without_it.again_at is None


def test_asked_again_nothing_is_trained_and_the_answer_is_the_same(lab: Lab, run: RunResult) -> None:
    first = ask(lab, run.run)
    recorded = lab.journal.runs()

    assert ask(lab, run.run) == first == lab.attribute(run.run, "0.0", continuations=2, workers=1)
    assert lab.journal.runs() == recorded


def test_more_continuations_use_those_there_are(lab: Lab, run: RunResult) -> None:
    first = ask(lab, run.run)
    recorded = set(lab.journal.runs())
    more = ask(lab, run.run, continuations=3)

    assert more.pairs[:2] == first.pairs
    assert len(set(lab.journal.runs()) - recorded) == 2


def test_a_policy_that_is_free_grows_later_and_the_answer_says_so(lab: Lab) -> None:
    grown = lab.run(small(**{"training.epochs": 44}), tamiyo="as_designed", key=0)
    (first, *_) = [e for e in lab.journal.events(grown.run) if isinstance(e, SeedGerminated)]
    seed = str(first.adaptation.seed)
    free, never = (ask(lab, grown.run, seed, attempt=1, never=never) for never in (False, True))

    assert free.again and not never.again
    assert "later all the same" in "\n".join(attribution_lines(free))
    assert "left out for good" in never.estimand and "free to germinate" in free.estimand


def test_a_germination_in_the_first_epoch_is_no_exception(lab: Lab) -> None:
    early = lab.run(small(**{"training.epochs": 8}), tamiyo="fixed_schedule?epochs=1", key=1)
    told = ask(lab, early.run)

    assert told.subject.epoch == 1
    assert told.pairs[0].with_it.figures.final_accuracy == early.metrics.test_accuracy


def test_a_germination_in_the_first_epoch_of_a_fork_goes_on_under_the_forks_settings(lab: Lab, run: RunResult) -> None:
    other = {"training.learning_rate": 0.003, "host.dropout": 0.1, "tamiyo_config.cool_down_epochs": 2}
    forked = lab.fork(run.run, 3, tamiyo="fixed_schedule?epochs=4", overrides=other)
    told = ask(lab, forked.run)

    assert told.subject.epoch == 4
    assert set(told.subject.overrides) == set(other)
    assert told.pairs[0].with_it.figures.final_accuracy == forked.metrics.test_accuracy


def test_the_answer_reads_as_text_with_its_estimand_and_its_verdict(lab: Lab, run: RunResult) -> None:
    lines = attribution_lines(ask(lab, run.run))

    assert lines[0].startswith(f"Adaptation 0.0#1 of {run.run}: ")
    assert "with it minus without it" in lines[1] and "continuations from epoch 5 under fixed_schedule" in lines[1]
    assert any(line.startswith("Verdict after 2 pairs of continuations: ") for line in lines)


# What cannot be asked


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"seed": "0.1"}, "--seed 0.1: it never germinated in run .*; those that did: 0.0"),
        ({"seed": "4.0"}, "--seed 4.0: the host has 1 layers"),
        ({"attempt": 2}, "--attempt 2: seed 0.0 germinated 1 times"),
        ({"continuations": 1}, "--continuations 1: an interval needs 2 or more"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(lab: Lab, run: RunResult, how: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        ask(lab, run.run, **how)


def test_a_run_that_is_still_open_is_refused(lab: Lab) -> None:
    stopped = _recorded(lab, "open", epochs=7)

    with pytest.raises(BadInput, match=r"run open has no ending yet; resume it"):
        ask(lab, stopped)


def test_a_run_recorded_under_another_fingerprint_is_refused(lab: Lab) -> None:
    strange = _recorded(lab, "strange", cpu_capability="ABACUS")

    with pytest.raises(BadInput, match=r"strange cannot be trained on here: .*cpu_capability ABACUS there"):
        ask(lab, strange)


def test_a_germination_that_a_later_fork_left_behind_is_its_parents(lab: Lab, run: RunResult) -> None:
    forked = lab.fork(run.run, 10, tamiyo="never_grow")

    with pytest.raises(BadInput, match=rf"another course at epoch 11, after seed 0.0 .* ask about {run.run}"):
        ask(lab, forked.run)


def _recorded(lab: Lab, name: str, *, epochs: int | None = None, **strange: str) -> str:
    """A run that germinates at epoch 6, cut off after ``epochs``, or with something ``strange`` in its fingerprint."""
    here = trainers.fingerprint(1).model_copy(update=strange)
    header, tamiyo, karn = composition.header(small(), 2, "fixed_schedule?epochs=6", None, here)
    run_id = lab.journal.new_run_id(name)
    trainer = LiveTrainer(composition.loader(header), lab.journal.blobs(run_id))
    session = Session(trainer, tamiyo, karn, JournalSink(lab.journal, run_id))
    session.plant(header, composition.first_library())
    while session.state.ending is None and (epochs is None or session.state.epoch < epochs):
        session.step()
    return run_id


# Pairs that are none


def test_a_refused_germination_and_a_failed_fork_leave_their_pair_out_and_are_named(lab: Lab, run: RunResult) -> None:
    told = ask(lab, run.run, continuations=3)
    subject = subject_of(lab, run.run, "0.0", None)
    whole = [(pair.key, pair.with_it, pair.without_it) for pair in told.pairs]
    refused = Branched(**{**dict(told.pairs[0].with_it), "germinated": False})
    failed = JobFailed("with, key 9", "it died", attempts=3)

    found = answer(subject, [*whole, (8, refused, told.pairs[0].without_it), (9, failed, refused)])

    assert found.left_out == ("key 8: at epoch 6 the germination was refused there", "key 9: it died")
    assert found.final_accuracy == told.final_accuracy
    with pytest.raises(BadInput, match=r"of 2 continuations 1 gave a pair .* key 9: it died; ask for more"):
        answer(subject, [whole[0], (9, failed, refused)])


def test_a_continuation_that_ended_badly_counts_as_nothing(lab: Lab, run: RunResult) -> None:
    told = ask(lab, run.run)
    diverged = Branched(**{**dict(told.pairs[0].with_it), "ending": "DIVERGED"})
    whole = [(pair.key, pair.with_it, pair.without_it) for pair in told.pairs]

    found = answer(told.subject, [*whole, (9, diverged, told.pairs[0].without_it)])

    assert found.final_accuracy.failures == (1, 0)
    assert found.final_accuracy.mean < told.final_accuracy.mean


def test_the_folder_of_a_journal_is_all_that_workers_are_told(lab: Lab) -> None:
    assert lab.address.startswith("sqlite:///") and Path(lab.address.removeprefix("sqlite:///")).is_file()
