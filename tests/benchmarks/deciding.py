"""One decision over 10,000 seeds: a whole step of ``as_designed`` at a boundary where its trigger fires.

So emergency, housekeeping, plateau, candidates, filters and scores of the whole library, grafting, and the decision with
everything it considered are in it; under a bandit what each seed would get, its chance, the draw, and the odds of all.
The state is another object each time, so that nothing of the boundary before is remembered.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boundary
from measuring import figure, in_turns, say

from domain.commands import Germinate
from domain.events import RunStarted
from domain.header import RunHeader
from domain.run import RunState, rebuild
from domain.settings import HostSettings
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.bandit_settings import SeedSelection
from domain.tamiyo.config import SELECTABLE
from domain.tamiyo.policy import Observation
from engine.randomness import BoundaryRandomness
from scenarios import composition

LIMIT = 0.100
ROUNDS = 9
LAYERS = 1
"""Of the boundary's ten: 10,000 seeds."""
IN_FLIGHT = 8


def header() -> RunHeader:
    """The boundary benchmark's, cut to 10,000 seeds and to places that a bandit leaves free."""
    full = boundary.header()
    bandit = full.tamiyo_config.bandit.model_copy(update={"max_concurrent_seeds": 2 * IN_FLIGHT})
    return full.model_copy(
        update={
            "host": HostSettings(hidden=full.host.hidden[:LAYERS], seeds_per_layer=boundary.SEEDS),
            "layout": full.layout[:LAYERS],
            "tamiyo_config": full.tamiyo_config.model_copy(update={"bandit": bandit}),
        }
    )


class Moment:
    """A boundary that a policy decides at, as often as it is asked to."""

    def __init__(self) -> None:
        in_flight = [
            (name, stage) for name, stage in boundary.placed(IN_FLIGHT * boundary.LAYERS) if name.layer < LAYERS
        ]
        planted = rebuild([RunStarted(epoch=0, header=header()), *composition.first_library()])
        self._state: RunState = replace(boundary.with_in_flight(planted, in_flight), epoch=boundary.EPOCH)
        self._reports = boundary.reports(in_flight)[:LAYERS]

    def decided(self, policy: AsDesigned) -> Callable[[], Any]:
        """One decision of the policy, its second here: the first epoch is no plateau."""
        memory = policy.step(self._seen(), policy.initial(), BoundaryRandomness(1, boundary.EPOCH)).memory

        def decide() -> None:
            step = policy.step(self._seen(), memory, BoundaryRandomness(1, boundary.EPOCH))
            assert any(isinstance(decision.command, Germinate) for decision in step.decisions), "the trigger fires"

        return decide

    def _seen(self) -> Observation:
        state = replace(self._state)
        return Observation(epoch=state.epoch, metrics=boundary.METRICS_NOW, reports=self._reports, state=state)


def main() -> None:
    """Print the figures."""
    say(f"deciding: CPU time of one decision over {LAYERS * boundary.SEEDS:,} seeds, median of {ROUNDS}")
    moment = Moment()
    policies = {f"strategy {each.value}": AsDesigned(strategy=each.value) for each in SELECTABLE}
    policies |= {f"seeds by {way.value}": AsDesigned(seeds=way.value) for way in SeedSelection}
    policies["seeds by thompson, strategy NONE"] = AsDesigned(seeds="thompson", strategy="NONE")
    costs = in_turns({name: moment.decided(policy) for name, policy in policies.items()}, ROUNDS)
    for name, cost in costs.items():
        middle = statistics.median(cost)
        figure(name, f"{middle * 1e3:.1f} ms", f"{LIMIT * 1e3:.0f} ms", met=middle <= LIMIT)
