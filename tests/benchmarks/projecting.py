"""A million events to frames: every view, beside a plain loop over the same events that does nothing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from measuring import figure, in_turns, say

from domain.events import DomainEvent
from projections.read_models import ReadModels, collector_paused
from projections.views import VIEWS
from scenarios.experiments.golden import FOLDER
from scenarios.lab import Lab

LIMIT = 5.0
"""Seconds."""
EVENTS = 1_000_000
ROUNDS = 3

Runs = Sequence[tuple[str, tuple[DomainEvent, ...]]]


def golden() -> list[tuple[DomainEvent, ...]]:
    """The golden runs: real ones of 36 to 40 epochs, so more registrations and conclusions an event than long ones have."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, Lab(f"sqlite:///{folder}/journal.db") as lab:
        return [lab.journal.events(lab.import_(file)) for file in sorted(FOLDER.rglob("*.jsonl"))]


def repeated(runs: Sequence[tuple[DomainEvent, ...]]) -> list[tuple[str, tuple[DomainEvent, ...]]]:
    """The same runs under names of their own until they hold ``EVENTS`` events."""
    found: list[tuple[str, tuple[DomainEvent, ...]]] = []
    total = 0
    while total < EVENTS:
        events = runs[len(found) % len(runs)]
        found.append((f"run-{len(found):06}", events))
        total += len(events)
    return found


def loop(runs: Runs) -> int:
    """Look at each event, and do nothing."""
    count = 0
    for _, events in runs:
        for _ in events:
            count += 1
    return count


def project(runs: Runs, names: Sequence[str]) -> int:
    """Events to frames, as ``scenarios/frames.py`` does it."""
    models = ReadModels(names)
    with collector_paused():
        for run, events in runs:
            models.extend(run, 0, events)
    return sum(frame.height for frame in models.frames().values())


def main() -> None:
    """Print the figures."""
    runs = repeated(golden())
    events, rows = loop(runs), project(runs, tuple(VIEWS))
    say(f"projecting: {events:,} events of {len(runs):,} runs to {rows:,} rows; CPU seconds, decoding not included")
    all_ = tuple(VIEWS)
    costs = in_turns({"loop": lambda: loop(runs), "views": lambda: project(runs, all_)}, ROUNDS, warm_up=1)
    seconds, nothing = statistics.median(costs["views"]), statistics.median(costs["loop"])
    per_million = seconds / events * 1e6
    figure("all views, a million events", f"{per_million:.2f} s", f"{LIMIT:.0f} s", met=per_million <= LIMIT)
    figure("    over a loop that does nothing", f"{seconds / nothing:.0f}x")
    for name in VIEWS:
        cost = in_turns({name: lambda name=name: project(runs, (name,))}, 1, warm_up=0)[name][0]
        figure(f"    {name} alone", f"{cost / events * 1e6:.2f} s")
