"""A live run whose Karn proposes candidates: each is tried, judged and recorded, and the run verifies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.blueprint import ConfidenceLevel
from domain.events import (
    BlueprintCertified,
    BlueprintProposed,
    BlueprintRegistered,
    BlueprintRetired,
    DomainEvent,
    ProposalRefused,
)
from domain.run import rebuild
from scenarios.lab import Lab
from tests.support import candidates
from tests.support.candidates import PROPOSED_AT
from tests.support.grown_runs import address

SETTINGS = {"training.epochs": 5, "task.samples": 300}
KARN = f"{candidates.__file__}:ThreeIdeas"
INVENTED = (BlueprintProposed, BlueprintRegistered, BlueprintCertified, BlueprintRetired, ProposalRefused)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("certified")
    with Lab(address(folder)) as opened:
        yield opened


@pytest.fixture(scope="module")
def run(lab: Lab) -> str:
    return lab.run("xor4", tamiyo="never_grow", karn=KARN, key=1, overrides=SETTINGS).run


def invented(lab: Lab, run: str) -> list[DomainEvent]:
    return [event for event in lab.journal.events(run) if event.epoch and isinstance(event, INVENTED)]


def test_a_good_candidate_is_certified_a_bad_one_archived_and_a_senseless_one_refused(lab: Lab, run: str) -> None:
    events = invented(lab, run)
    assert [type(event).__name__ for event in events] == [
        "BlueprintProposed",
        "BlueprintRegistered",
        "BlueprintCertified",
        "BlueprintProposed",
        "BlueprintRegistered",
        "BlueprintCertified",
        "BlueprintRetired",
        "BlueprintProposed",
        "ProposalRefused",
    ]
    assert {event.epoch for event in events} == {PROPOSED_AT}
    good, bad = (event.certificate for event in events if isinstance(event, BlueprintCertified))
    assert (good.passed, good.conf_level) == (True, ConfidenceLevel.HIGH)
    assert (bad.passed, bad.failed_stage) == (False, "robustness")
    library = rebuild(lab.journal.events(run)).library
    assert library.by_name("wider_mlp").is_offered
    assert not library.by_name("exploding").is_offered


def test_the_run_verifies_and_gives_the_same_bits_when_it_is_trained_again(lab: Lab, run: str) -> None:
    verification = lab.verify(run, retrain=True)
    assert verification.rung == 4, verification


def test_candidates_change_no_weight_of_the_run(lab: Lab, run: str) -> None:
    alone = lab.run("xor4", tamiyo="never_grow", karn="no_invention", key=1, overrides=SETTINGS).run
    assert [event.weights_digest for event in lab.journal.events(alone) if hasattr(event, "weights_digest")] == [
        event.weights_digest for event in lab.journal.events(run) if hasattr(event, "weights_digest")
    ]
