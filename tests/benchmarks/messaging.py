"""How long a layer's health report takes from its publisher to a consumer through JetStream, and how many go through."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from measuring import figure, say

from domain.events import LayerHealthReported
from domain.health import METRICS, LayerHealthReport
from domain.values import Column
from engine.journal.blobs import FolderBlobs
from engine.oona.addresses import open_bus
from engine.oona.bus import Bus
from engine.oona.envelope import Envelope, event_envelope, event_of
from engine.oona.in_process import InProcessBus
from engine.oona.topics import Topic
from scenarios.experiments.nats_server import running

LIMIT_MS = 10.0
"""Source: telemetry latency, domain reference J5."""
WARM_UP = 50
MESSAGES = 1000
SEEDS = 64
PATIENCE = 30.0


def report(run: str, number: int) -> Envelope:
    """Report ``number`` of a run, of a layer of 64 seeds."""
    columns = {name: Column([number / (seed + 3) for seed in range(SEEDS)]) for name in METRICS}
    event = LayerHealthReported(epoch=number, report=LayerHealthReport(layer=0, **columns))
    return event_envelope(event, run=run, position=number, source="kasmina")


def consuming(bus: Bus, run: str, count: int, arrived: Callable[[], None]) -> threading.Thread:
    """A thread that takes ``count`` reports of a run in, decodes and confirms them."""
    subscription = bus.subscribe([Topic.SEED_HEALTH], "tamiyo", subject=run)

    def consume() -> None:
        for _ in range(count):
            delivery = subscription.next(PATIENCE)
            assert delivery is not None, "a message did not come"
            event_of(delivery.envelope)
            arrived()
            delivery.confirm()
        subscription.close()

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    return thread


def latencies(sender: Bus, receiver: Bus) -> tuple[list[float], list[float]]:
    """Milliseconds from publishing to the decoded event, and to the bus's confirmation; one message at a time."""
    arrivals: list[float] = []
    came = threading.Semaphore(0)

    def arrived() -> None:
        arrivals.append(time.perf_counter())
        came.release()

    thread = consuming(receiver, "one-by-one", WARM_UP + MESSAGES, arrived)
    delivered, stored = [], []
    for number in range(1, WARM_UP + MESSAGES + 1):
        envelope = report("one-by-one", number)
        began = time.perf_counter()
        sender.publish(Topic.SEED_HEALTH, envelope)
        stored.append((time.perf_counter() - began) * 1000)
        assert came.acquire(timeout=PATIENCE)
        delivered.append((arrivals[-1] - began) * 1000)
    thread.join()
    return delivered[WARM_UP:], stored[WARM_UP:]


def rate(sender: Bus, receiver: Bus) -> float:
    """Messages a second, published by one thread and consumed by another as fast as both can."""
    envelopes = [report("at-once", number) for number in range(1, MESSAGES + 1)]
    thread = consuming(receiver, "at-once", MESSAGES, lambda: None)
    began = time.perf_counter()
    for envelope in envelopes:
        sender.publish(Topic.SEED_HEALTH, envelope)
    thread.join()
    return MESSAGES / (time.perf_counter() - began)


def shown(name: str, sender: Bus, receiver: Bus, *, judged: bool) -> None:
    delivered, stored = latencies(sender, receiver)
    median, p99 = statistics.median(delivered), statistics.quantiles(delivered, n=100)[98]
    limit, met = (f"{LIMIT_MS:.0f} ms", median <= LIMIT_MS) if judged else ("", None)
    figure(f"{name}: publish to decoded event, median ms", f"{median:.2f}", limit, met=met)
    figure("    P99, ms", f"{p99:.2f}")
    figure("    publish to confirmation, median ms", f"{statistics.median(stored):.2f}")
    figure("    messages a second, published, consumed and confirmed", f"{rate(sender, receiver):,.0f}")


def main() -> None:
    """Print the figures."""
    size = len(report("run", 1).model_dump_json())
    say(
        f"messaging: health reports of {SEEDS} seeds ({size / 1000:.1f} kB), wall time, publisher and consumer in a process"
    )
    folder = Path(tempfile.mkdtemp())
    try:
        blobs = FolderBlobs(folder / "blobs")
        with running(folder / "jetstream") as server:
            sender, receiver = open_bus(server.url, blobs), open_bus(server.url, blobs)
            shown("JetStream on loopback", sender, receiver, judged=True)
            sender.close()
            receiver.close()
        within = InProcessBus(blobs)
        shown("within the process", within, within, judged=False)
    finally:
        shutil.rmtree(folder)
