"""The two policies of an attribution: one germination for sure, and the same without it."""

from __future__ import annotations

from typing import Any

import pytest
from support.observations import header, metrics, run

from domain.commands import Decision, Germinate
from domain.events import DecisionMade, DomainEvent, SeedGerminated
from domain.header import Rule
from domain.run import RunState
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.as_implemented import AsImplemented
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.policy import TamiyoPolicy
from domain.tamiyo.softened import Softened
from domain.tamiyo.without import With, Without
from scenarios import composition

SEED, EPOCH = "1.1", 3
ORDER = ("residual_mlp", 1, "BOTH", "DRIFT_CONTROLLED")


def with_it(policy: TamiyoPolicy, epoch: int = EPOCH, seed: str = SEED) -> With:
    return With(policy, seed, epoch, *ORDER[1:])


def still(policy: TamiyoPolicy, **config: Any) -> tuple[list[DomainEvent], RunState]:
    """Everything that happens in a run whose accuracy stands still."""
    return run(policy, header(TamiyoConfig(**config)), lambda epoch, state: metrics(0.6))


def germinated(events: list[DomainEvent]) -> list[tuple[int, str]]:
    return [(event.epoch, str(event.adaptation.seed)) for event in events if isinstance(event, SeedGerminated)]


def decided(events: list[DomainEvent], upto: int = 1000) -> list[tuple[int, Decision]]:
    return [(e.epoch, e.decision) for e in events if isinstance(e, DecisionMade) and e.epoch <= upto]


@pytest.mark.parametrize("policy", [AsDesigned(), AsImplemented(), NeverGrow(), Softened(AsDesigned(), epsilon=0.3)])
def test_the_germination_is_ordered_as_given_whatever_the_policy_would_have_ordered(policy: TamiyoPolicy) -> None:
    events, state = still(with_it(policy))

    assert (EPOCH, SEED) in germinated(events)
    (order,) = [d for epoch, d in decided(events) if epoch == EPOCH and isinstance(d.command, Germinate)]
    assert isinstance(order.command, Germinate)
    assert state.library.record(order.command.blueprint_id).name == ORDER[0]
    assert (order.command.reads.value, order.command.grafting.value) == ORDER[2:]
    assert Rule.LEGAL_ACTIONS_RECORDED in state.started.rules and order.legal is not None


def test_it_takes_the_place_of_what_the_policy_orders_there() -> None:
    own = germinated(still(AsDesigned())[0])[0]
    assert own[1] != SEED

    events, _ = still(with_it(AsDesigned(), own[0]))

    assert [seed for epoch, seed in germinated(events) if epoch == own[0]] == [SEED]


def test_what_the_policy_orders_itself_it_orders_in_its_own_words() -> None:
    whole, state = still(AsDesigned())
    epoch, decision = next((e, d) for e, d in decided(whole) if isinstance(d.command, Germinate))
    command = decision.command
    assert isinstance(command, Germinate)
    number = state.library.record(command.blueprint_id).number
    same = With(AsDesigned(), str(command.seed), epoch, number, command.reads.value, command.grafting.value)

    assert decided(still(same)[0]) == decided(whole)


def test_with_and_without_differ_in_one_order_and_what_follows_from_it() -> None:
    one, other = (
        decided(still(policy)[0]) for policy in (with_it(AsDesigned()), Without(with_it(AsDesigned()), SEED, EPOCH))
    )

    before = [entry for entry in one if entry[0] < EPOCH]
    assert before == [entry for entry in other if entry[0] < EPOCH]
    ours, theirs = ([d for epoch, d in side if epoch == EPOCH] for side in (one, other))
    differing = [(a.command.kind, b.command.kind) for a, b in zip(ours, theirs, strict=True) if a != b]
    assert differing == [("germinate", "wait")]


def test_the_policy_knows_that_something_germinated() -> None:
    events, _ = still(with_it(AsDesigned()), max_active_seeds=3, allow_concurrent_adaptations=True)
    patience = TamiyoConfig().plateau_patience
    later = [epoch for epoch, _ in germinated(events) if epoch > EPOCH]

    assert later and later[0] >= EPOCH + patience  # the plateau started over


@pytest.mark.parametrize("policy", [AsDesigned(), Softened(AsDesigned(), epsilon=0.5), AsImplemented()])
def test_a_seed_that_is_left_out_for_good_never_germinates_again(policy: TamiyoPolicy) -> None:
    seed = germinated(still(with_it(policy, seed="0.0"))[0])[0][1]
    without = Without(with_it(policy, seed=seed), seed, EPOCH, never=True)
    events, state = still(without)

    assert all(name != seed for epoch, name in germinated(events) if epoch >= EPOCH)
    assert state.ending is not None and state.ending.value == "COMPLETED"


def test_a_seed_that_is_not_free_stays_as_it_is_and_nothing_grows_in_its_place() -> None:
    epoch, seed = germinated(still(AsDesigned())[0])[0]
    events, state = still(with_it(AsDesigned(), epoch + 1, seed))

    assert state.ending is not None and state.ending.value == "COMPLETED"
    assert [each for each in germinated(events) if each[0] <= epoch + 1] == [(epoch, seed)]
    assert [decision.command.kind for at, decision in decided(events) if at == epoch + 1][-1] == "wait"


@pytest.mark.parametrize(
    "wrong", [("first", "BOTH", "FIXED_RAMP"), ("0.1", "ALL", "FIXED_RAMP"), ("0.1", "BOTH", "SLOW")]
)
def test_only_what_there_is_can_be_ordered(wrong: tuple[str, str, str]) -> None:
    seed, reads, grafting = wrong
    with pytest.raises(ValueError, match=r"LAYER\.SEED|is not a valid"):
        With(AsDesigned(), seed, 8, 1, reads, grafting)


def test_both_go_by_a_name() -> None:
    name = "with?blueprint=1&epoch=3&grafting=DRIFT_CONTROLLED&of=as_designed&reads=BOTH&seed=1.1"
    policy, reference = composition.tamiyo(name)

    assert policy == with_it(AsDesigned())
    assert reference.name == name
