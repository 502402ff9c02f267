"""How the benchmarks measure: alternatives take turns in one process, so that what disturbs one disturbs all.

Costs are CPU seconds unless said otherwise: the machine may be busy with other things. What two equal alternatives
differ by is printed as the resolution; a difference smaller than that says nothing.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

Work = Callable[[], object]


def cpu(work: Work) -> float:
    """CPU seconds of this process, all threads, user and system, that ``work`` took."""
    began = time.process_time()
    work()
    return time.process_time() - began


def wall(work: Work) -> float:
    """Seconds on the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turns(
    alternatives: Mapping[str, Work], rounds: int, *, warm_up: int = 2, cost: Callable[[Work], float] = cpu
) -> dict[str, list[float]]:
    """The costs of each alternative, round by round; each round begins with another one. Warm-up rounds are dropped."""
    names = list(alternatives)
    found: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for number in range(-warm_up, rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                taken = cost(alternatives[name])
                if number >= 0:
                    found[name].append(taken)
            if number % 8 == 0:
                gc.collect()
    finally:
        gc.enable()
    return found


def paired(costs: Sequence[float], over: Sequence[float]) -> float:
    """Median over the rounds of ``costs / over``."""
    return statistics.median(one / other for one, other in zip(costs, over, strict=True))


def say(line: str = "") -> None:
    """A line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def figure(what: str, value: str, limit: str = "", *, met: bool | None = None) -> None:
    """A line of the report with its limit and whether it is met; ``met`` None where there is no limit."""
    verdict = "" if met is None else ("   met" if met else "   MISSED")
    say(f"  {what:78}{value:>10}{('   limit ' + limit) if limit else '':16}{verdict}".rstrip())
