from __future__ import annotations

from typing import Any

import pytest
from support.observations import header, metrics, run

from domain.commands import GraftingStrategy
from domain.events import DecisionMade, GraftingChanged
from domain.grafting import GraftingConfig
from domain.header import Rule, RunHeader
from domain.lifecycle import Stage
from domain.run import RunState
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.composed import Composed
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.policy import TamiyoPolicy

SLOW = header(TamiyoConfig(plateau_patience=2)).model_copy(update={"grafting": GraftingConfig(fixed_steps=6)})
BEFORE = SLOW.model_copy(update={"rules": tuple(rule for rule in Rule if rule is not Rule.GRAFTING_REVIEWED)})


def jumpy_while_grafting(epoch: int, seen: RunState) -> Any:
    """Loss that is calm until a seed is grafted, and then goes up and down."""
    grafting = any(seed.stage is Stage.GRAFTING for seed in seen.seeds.values())
    return metrics(0.6, 0.4 * (1.35 if grafting and epoch % 2 else 1.0))


def changes(policy: TamiyoPolicy, head: RunHeader = SLOW) -> list[GraftingChanged]:
    events, _ = run(policy, head, jumpy_while_grafting, epochs=22)
    made = [event.decision for event in events if isinstance(event, DecisionMade)]
    found = [event for event in events if isinstance(event, GraftingChanged)]
    assert all(decision.reason for decision in made)
    return found


def test_a_ramp_under_way_follows_the_networks_condition() -> None:
    found = changes(AsDesigned())

    assert (found[0].source, found[0].target) == (GraftingStrategy.FIXED_RAMP, GraftingStrategy.DRIFT_CONTROLLED)


@pytest.mark.parametrize("policy", [Composed(grafting="fixed"), Composed(trigger="health", grafting="fixed")])
def test_a_fixed_ramp_by_choice_stays_one(policy: TamiyoPolicy) -> None:
    assert changes(policy) == []


def test_a_run_from_before_that_rule_keeps_the_strategy_it_began_with() -> None:
    assert changes(AsDesigned(), BEFORE) == []


def test_a_blend_that_is_full_is_left_to_its_gate() -> None:
    quick = replace_steps(SLOW, 1)

    assert changes(AsDesigned(), quick) == []


def replace_steps(head: RunHeader, steps: int) -> RunHeader:
    return head.model_copy(update={"grafting": GraftingConfig(fixed_steps=steps)})
