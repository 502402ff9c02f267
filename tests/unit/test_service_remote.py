"""What a run over a bus refuses before anything is recorded."""

from __future__ import annotations

import json
from errno import ENOSPC
from io import StringIO
from pathlib import Path

import pytest

from domain.safety import SafetyConfig
from domain.tamiyo.never_grow import NeverGrow
from engine.journal.journal import Journal
from engine.service.log import JsonLines
from scenarios.experiments.nats_server import free_port
from scenarios.runs.remote import Remote, joined, logging
from scenarios.specification import BadInput
from tests.support.headers import small_header

NOWHERE = f"nats://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("remote", "encrypted", "said"),
    [
        (Remote(NOWHERE), True, "encryption_required is on, and a bus keeps what it carries in plain text"),
        (Remote("memory:", log=Path("told.log")), True, "encryption_required is on, and a log keeps what it is told"),
        (Remote("memory:?lose=2"), False, r"no bus answers to 'memory:\?lose=2'; memory: takes"),
        (Remote("http://127.0.0.1"), False, "no bus answers to 'http://127.0.0.1'; use nats://host:port"),
        (Remote(NOWHERE, patience_s=0.1), False, "does not answer within 0.1 s"),
    ],
)
def test_a_bus_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, remote: Remote, encrypted: bool, said: str
) -> None:
    header = small_header(safety=SafetyConfig(encryption_required=encrypted))
    with Journal.open(f"sqlite:///{tmp_path}/journal.db") as journal:
        with pytest.raises(BadInput, match=said) as refused, joined(remote, journal, "run", header, NeverGrow()):
            pass
        assert list(journal.runs()) == []

    assert "\n" not in str(refused.value)


class FullDisk(StringIO):
    """Takes nothing while it is full."""

    is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(ENOSPC, "No space left on device")
        return super().write(text)


def test_a_log_that_can_be_written_no_more_stops_nothing_and_says_later_what_is_missing() -> None:
    disk = FullDisk()
    log = JsonLines(disk)

    log.say("first")
    log.say("second")
    disk.is_full = False
    log.say("third")
    log.say("fourth")

    said = [json.loads(line) for line in disk.getvalue().splitlines()]
    assert [(line["event"], line.get("lines_missing")) for line in said] == [("third", 2), ("fourth", None)]


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="name a file that can be written"), logging(tmp_path, process="tamiyo"):
        pass
