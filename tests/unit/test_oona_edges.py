from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.journal.blobs import FolderBlobs
from engine.oona.addresses import InMemory, UnknownBus, in_memory, open_bus
from engine.oona.faults import FaultKind
from engine.oona.subjects import durable_name, filter_of, run_on, subject_of, topic_on
from engine.oona.topics import Topic
from engine.oona.tuning import DIRECT_BYTES_MIN, DirectLimit, LimitCut


@pytest.mark.parametrize("run", ["run-1", "digits.1_a", "a b", "*", ">", "%2E", "ü/\n", "a=b"])
def test_any_run_is_one_token_of_a_subject_and_comes_back(run: str) -> None:
    subject = subject_of(Topic.EPOCHS, run)

    assert subject.startswith("oona.system.events.epoch.")
    assert subject.count(".") == filter_of(Topic.EPOCHS, None).count(".")
    assert not set(subject) & set("*> \n\t")
    assert run_on(subject) == run
    assert topic_on(subject) is Topic.EPOCHS


def test_a_consumer_of_a_run_has_a_place_of_its_own() -> None:
    names = {durable_name("tamiyo", run) for run in (None, "a", "a.b", "a%2Eb", "a=b")}

    assert len(names) == 5
    assert not set("".join(names)) & set(".*> /\\")


def test_a_slow_bus_cuts_the_direct_limit_by_a_quarter_and_says_so() -> None:
    cuts = list[LimitCut]()
    limit = DirectLimit(cuts.append)

    for _ in range(98):
        limit.took(1.0)
    limit.took(60.0)
    limit.took(80.0)

    assert limit.size == 750_000
    assert cuts == [LimitCut(p99_ms=60.0, before=1_000_000, after=750_000)]


def test_one_slow_message_in_a_hundred_cuts_nothing() -> None:
    cuts = list[LimitCut]()
    limit = DirectLimit(cuts.append)

    for latency in [1.0] * 99 + [5000.0]:
        limit.took(latency)

    assert cuts == []


def test_the_direct_limit_is_not_cut_to_nothing() -> None:
    limit = DirectLimit(lambda cut: None)

    for _ in range(10_000):
        limit.took(100.0)

    assert limit.size == DIRECT_BYTES_MIN


@pytest.mark.parametrize(
    "url", ["", "localhost:4222", "http://localhost", "nats://", "nats://host:many", "nats://host/path", "nats://h?x=1"]
)
def test_an_address_that_is_none_is_refused_with_one_that_is(url: str, tmp_path: Path) -> None:
    with pytest.raises(
        UnknownBus, match=r"^no bus answers to .*; use nats://host:port, such as nats://127.0.0.1:4222$"
    ):
        open_bus(url, FolderBlobs(tmp_path))


@pytest.mark.parametrize(
    ("url", "shares", "epochs"),
    [
        ("memory:", {}, 0),
        ("memory:?", {}, 0),
        ("memory:?delay=0.05&duplicate=1e-2", {FaultKind.DELAYED: 0.05, FaultKind.DUPLICATED: 0.01}, 0),
        ("memory:?lose=1&reorder=0&epochs=2", {FaultKind.LOST: 1.0, FaultKind.REORDERED: 0.0}, 2),
    ],
)
def test_a_bus_in_memory_is_disturbed_as_its_address_says(
    url: str, shares: dict[FaultKind, float], epochs: int
) -> None:
    assert in_memory(url) == InMemory(shares, epochs)


@pytest.mark.parametrize(
    "wrong", ["x", "?x", "?dely=0.1", "?delay=2", "?delay=nan", "?delay=0.6&lose=0.6", "?lose=0&lose=0", "?epochs=-1"]
)
def test_a_bus_in_memory_that_cannot_be_disturbed_so_is_refused(wrong: str) -> None:
    with pytest.raises(
        UnknownBus, match=r"^no bus answers to 'memory:.*; memory: takes delay, duplicate, lose, reorder"
    ):
        in_memory(f"memory:{wrong}")


def test_an_address_elsewhere_is_no_bus_in_memory_and_that_is_met_by_nobody_else(tmp_path: Path) -> None:
    assert in_memory("nats://127.0.0.1:4222") is None
    with pytest.raises(UnknownBus, match="nobody else can meet"):
        open_bus("memory:", FolderBlobs(tmp_path))


def test_a_refused_address_does_not_tell_its_password(tmp_path: Path) -> None:
    with pytest.raises(UnknownBus) as refused:
        open_bus("nats://ada:secret@host:many", FolderBlobs(tmp_path))

    assert "secret" not in str(refused.value)


def test_without_its_library_the_bus_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "nats"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("engine.oona.connection", "engine.oona.jetstream"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "nats", None)

    with pytest.raises(UnknownBus, match=r"needs nats-py: pip install 'regrow\[oona\]'$"):
        open_bus("nats://127.0.0.1:4222", FolderBlobs(tmp_path))
