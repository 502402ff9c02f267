from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from support.observations import at_epoch, header, metrics, observe, planted, run

from domain.commands import Considered, Decision, Germinate, RollBack, Wait, odds_problem
from domain.events import DecisionMade, EpochCompleted, LayerHealthReported, RunStarted
from domain.karn.no_invention import NoInvention
from domain.lifecycle import Stage
from domain.run import RunState
from domain.tamiyo.always_grow import AlwaysGrow
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.as_implemented import AsImplemented
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.plateau import Plateau
from domain.tamiyo.policy import Alternative, NoMemory, Observation, Step, TamiyoPolicy
from domain.tamiyo.random_growth import RandomGrowth
from domain.tamiyo.softened import STREAM, Softened, draw_one, softmax
from engine.randomness import BoundaryRandomness
from engine.watching import watch

TOGETHER = TamiyoConfig(max_active_seeds=3, allow_concurrent_adaptations=True)
STATE = at_epoch(planted(header(TOGETHER)), 10)
ALONE = at_epoch(planted(header(TamiyoConfig())), 10)
FULL = TamiyoMemory(plateau=Plateau(epochs=9, reference=0.5))


def growth(policy: TamiyoPolicy, memory: Any, key: int = 1, state: RunState = ALONE) -> Decision:
    step = policy.step(observe(state), memory, BoundaryRandomness(key, state.epoch))
    (decision,) = [each for each in step.decisions if isinstance(each.command, Germinate | Wait)]
    return decision


def test_without_any_softness_it_orders_what_the_policy_orders_and_says_what_else_was_legal() -> None:
    order = growth(AsDesigned(), FULL)
    decision = growth(Softened(AsDesigned()), FULL)

    assert (decision.command, decision.reason, decision.draws) == (order.command, order.reason, ())
    assert decision.legal == legal_actions(ALONE)
    assert decision.odds == ((decision.legal.index(order.command), 1.0),)


def test_a_silent_policy_is_one_that_waits() -> None:
    decision = growth(Softened(NeverGrow(), epsilon=0.0), NoMemory())

    assert decision.command == Wait() and decision.odds == ((0, 1.0),)
    assert decision.reason == "NeverGrow orders no germination"


def test_realised_frequencies_are_the_odds() -> None:
    policy = Softened(AsDesigned(), epsilon=0.4, temperature=0.05)
    decisions = [growth(policy, FULL, key) for key in range(2000)]
    assert len({decision.odds for decision in decisions}) == 1
    legal, odds = decisions[0].legal, dict(decisions[0].odds)
    assert legal is not None and len(odds) == len(legal)

    taken = Counter(legal.index(decision.command) for decision in decisions)
    expected = {number: chance * len(decisions) for number, chance in odds.items()}
    statistic = math.fsum((taken[number] - mean) ** 2 / mean for number, mean in expected.items())
    # Chi-squared with one degree a legal action less one; four standard deviations are far outside chance.
    freedom = len(legal) - 1
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)
    likely = [number for number, mean in expected.items() if mean > 50]
    assert len(likely) >= 3
    for number in likely:
        assert abs(taken[number] - expected[number]) < 4 * math.sqrt(expected[number])


def test_the_temperature_weighs_the_blueprints_by_their_scores() -> None:
    alternatives = AsDesigned().alternatives(observe(ALONE), FULL)
    decision = growth(Softened(AsDesigned(), temperature=0.1), FULL)
    assert decision.legal is not None and len(alternatives) > 3

    odds = dict(decision.odds)
    chances = [odds[decision.legal.index(each.decision.command) or 0] for each in alternatives]
    first = alternatives[0]
    assert sum(chances) == pytest.approx(1.0, abs=1e-12)
    for each, chance in zip(alternatives, chances, strict=True):
        assert chance / chances[0] == pytest.approx(math.exp((each.score - first.score) / 0.1))
    assert {each.decision.command.seed for each in alternatives if isinstance(each.decision.command, Germinate)} == {
        first.decision.command.seed  # type: ignore[union-attr]
    }


def test_a_small_temperature_is_none_and_leaves_no_chance_that_is_nothing() -> None:
    decision = growth(Softened(AsDesigned(), temperature=1e-6), FULL)

    assert odds_problem(decision) is None
    assert decision.command == growth(AsDesigned(), FULL).command


def test_scores_that_are_no_numbers_are_never_drawn() -> None:
    legal = legal_actions(ALONE)
    options = [Alternative(Decision(command=legal.action(number), reason="x"), score) for number, score in
               ((1, math.nan), (2, 1.0), (3, -math.inf), (4, 1.0))]  # fmt: skip

    weighed = softmax(options, 1.0, legal)

    assert [(legal.index(decision.command), chance) for decision, chance in weighed] == [(2, 0.5), (4, 0.5)]
    assert softmax(options[:1], 1.0, legal) == ()


def test_rounding_never_leaves_a_draw_without_a_decision() -> None:
    class Last:
        def random(self) -> float:
            return math.nextafter(1.0, 0.0)

    options = [(Decision(command=Wait(), reason=str(number)), 0.1) for number in range(10)]

    assert draw_one(options[:9], Last()).reason == "8"  # type: ignore[arg-type]


def test_every_draw_is_recorded_with_how_much_it_took() -> None:
    policy = Softened(AsDesigned(), epsilon=0.5, temperature=0.1)
    decisions = [growth(policy, FULL, key) for key in range(20)]

    assert {(draw.stream, draw.count) for decision in decisions for draw in decision.draws} == {(STREAM, 2)}
    assert any(decision.reason.startswith("explored, as in 0.5 of all choices") for decision in decisions)
    silent = [growth(policy, TamiyoMemory(), key) for key in range(20)]
    assert {draw.count for decision in silent for draw in decision.draws} == {1, 2}


def test_its_memory_is_of_what_was_ordered() -> None:
    policy = Softened(AsDesigned(), epsilon=1.0)
    *locked, _ = ALONE.germinable_seeds()
    narrow = replace(ALONE, seeds={name: replace(ALONE.seed(name), locked=True) for name in locked})
    waited = grown = 0
    for key in range(200):
        for memory, plateau in ((FULL, 10), (TamiyoMemory(plateau=Plateau(epochs=1, reference=0.5)), 2)):
            step = policy.step(observe(narrow), memory, BoundaryRandomness(key, 10))
            germinated = isinstance(step.decisions[-1].command, Germinate)
            assert step.memory.plateau.epochs == (0 if germinated else plateau)
            waited += not germinated and plateau == 10
            grown += germinated and plateau == 2
    assert waited > 0 and grown > 20


def test_where_there_is_no_choice_nothing_is_drawn_or_said() -> None:
    name = next(iter(ALONE.germinable_seeds()))
    taken = replace(ALONE, seeds={name: replace(ALONE.seed(name), stage=Stage.TRAINING)})

    step = Softened(NeverGrow(), epsilon=1.0).step(observe(taken), NoMemory(), BoundaryRandomness(1, 10))

    assert not [decision for decision in step.decisions if isinstance(decision.command, Germinate | Wait)]


def test_an_emergency_passes_through_alone() -> None:
    def script(epoch: int, state: RunState) -> Any:
        blended = any(seed.adaptation and seed.adaptation.alpha for seed in state.seeds.values())
        return metrics(0.1, 9.0) if blended else metrics(0.6)

    events, _ = run(Softened(AsDesigned(), epsilon=0.1), header(TOGETHER), script, epochs=20)

    made: dict[int, list[Decision]] = {}
    for event in events:
        if isinstance(event, DecisionMade):
            made.setdefault(event.epoch, []).append(event.decision)
    emergencies = [each for each in made.values() if any(isinstance(one.command, RollBack) for one in each)]
    assert emergencies and all(len(each) == 1 for each in emergencies)


@pytest.mark.parametrize("state", [STATE, ALONE], ids=["three places", "one place"])
def test_of_several_germinations_the_first_is_softened_and_the_rest_stay_legal(state: RunState) -> None:
    plain = AlwaysGrow().step(observe(state), NoMemory(), BoundaryRandomness(0, 10)).decisions
    numbers = Counter()  # type: ignore[var-annotated]
    for key in range(100):
        step = Softened(AlwaysGrow(), epsilon=0.8).step(observe(state), NoMemory(), BoundaryRandomness(key, 10))
        assert [bool(decision.odds) for decision in step.decisions] == [True] + [False] * (len(step.decisions) - 1)
        before: list[Any] = []
        for decision in step.decisions:
            assert legal_actions(state, before).index(decision.command) is not None
            before.append(decision.command)
        if step.decisions[0].command == plain[0].command:
            assert [each.command for each in step.decisions] == [each.command for each in plain]
        numbers[len(step.decisions)] += 1
    assert numbers


def test_unsoftened_seconds_stay_even_where_they_must_queue() -> None:
    head = header(TamiyoConfig()).model_copy(update={"profile": "simplified"})
    state = at_epoch(planted(head), 10)
    from support.observations import report

    unwell = tuple(report(layer, [1.0, 0.01], dead=[0.0, 1.0]) for layer in (0, 1))
    seen = observe(state, unwell)

    plain = AsImplemented().step(seen, NoMemory(), BoundaryRandomness(1, 10)).decisions
    soft = Softened(AsImplemented()).step(seen, NoMemory(), BoundaryRandomness(1, 10)).decisions

    assert [each.command for each in soft] == [each.command for each in plain]
    assert len(plain) == 2


def test_a_policy_that_draws_itself_is_mixed_in() -> None:
    own = growth(RandomGrowth(probability=0.3), NoMemory())
    decision = growth(Softened(RandomGrowth(probability=0.3), epsilon=0.5), NoMemory())

    assert own.legal == decision.legal and decision.legal is not None
    mixed = dict(decision.odds)
    assert all(
        mixed[number] == pytest.approx(0.5 * dict(own.odds).get(number, 0.0) + 0.5 / len(decision.legal))
        for number in range(len(decision.legal))
    )
    assert [draw.stream for draw in decision.draws] == ["tamiyo/random-growth", STREAM]


def test_an_order_that_is_not_legal_is_left_to_the_lifecycle() -> None:
    class Unlawful:
        profile = "full"

        def initial(self) -> NoMemory:
            return NoMemory()

        def step(self, observation: Observation, memory: NoMemory, random: Any) -> Step[NoMemory]:
            command = legal_actions(observation.state).action(1)
            assert isinstance(command, Germinate)
            foreign = command.model_copy(update={"seed": command.seed.model_copy(update={"layer": 9})})
            return Step((Decision(command=foreign, reason="x"),), memory)

    step = Softened(Unlawful(), epsilon=1.0).step(observe(ALONE), NoMemory(), BoundaryRandomness(1, 10))

    assert [decision.reason for decision in step.decisions] == ["x"]


def test_a_recording_weighed_by_its_own_policy_has_weights_of_exactly_one() -> None:
    policy = Softened(AsDesigned(), epsilon=0.2, temperature=0.1)
    head = header(TamiyoConfig(plateau_patience=2, warm_up_epochs=1), epochs=60)
    events, _ = run(policy, head, lambda epoch, state: metrics(0.3 + 0.001 * (epoch % 7)))

    boundaries = watch(events, policy, NoInvention()).boundaries

    weights = []
    for boundary in boundaries:
        recorded = boundary.recorded_choice
        if not recorded.is_forced:
            weights.append(boundary.choice.chance_of(recorded.command) / recorded.chance_of(recorded.command))
    assert len(weights) > 8
    assert set(weights) == {1.0}
    assert {RunStarted, LayerHealthReported, EpochCompleted} <= {type(event) for event in events}


def test_softness_outside_its_range_is_refused() -> None:
    for epsilon in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="epsilon must be between 0 and 1"):
            Softened(NeverGrow(), epsilon=epsilon)
    for temperature in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match="temperature must be finite and at least 0"):
            Softened(NeverGrow(), temperature=temperature)


def test_what_the_policy_weighed_stays_in_an_explored_decision() -> None:
    decisions = [growth(Softened(AsDesigned(), epsilon=1.0), FULL, key) for key in range(3)]

    assert all(isinstance(entry, Considered) for decision in decisions for entry in decision.considered)
    assert all(len(decision.considered) > 3 for decision in decisions)
