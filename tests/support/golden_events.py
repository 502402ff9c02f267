"""The golden runs as events, without a journal around them."""

from __future__ import annotations

import json
from functools import lru_cache

from domain.events import DomainEvent
from engine.journal.codec import Codec
from scenarios.experiments.golden import FOLDER

DATA = b',"data":'


@lru_cache(maxsize=1)
def golden_runs() -> dict[str, tuple[DomainEvent, ...]]:
    """The events of each golden run by the name of its file, in order of name."""
    codec = Codec()
    found = {}
    for file in sorted(FOLDER.rglob("*.jsonl")):
        events = []
        for line in file.read_bytes().splitlines()[1:-1]:
            _, topic, version = json.loads(line)["type"].split(".")
            events.append(codec.decode(f"{topic}:{version[1:]}", line.partition(DATA)[2][:-1]))
        found[file.relative_to(FOLDER).with_suffix("").as_posix()] = tuple(events)
    return found
