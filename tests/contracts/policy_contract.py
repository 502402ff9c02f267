"""What every Tamiyo policy must keep to. Use it for your own: subclass ``PolicyContract`` and give it ``make``.

    class TestMine(PolicyContract):
        def make(self):
            return Mine()

A policy drives runs of drawn length with drawn metrics and reports (NaN among them); every law is then checked on every
observation it saw, so the states are ones that it can really meet.
"""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.observations import histories

from domain.commands import Command, Decision, Wait, odds_problem
from domain.lifecycle import PROFILES
from domain.tamiyo.legal import legal_actions
from domain.tamiyo.policy import Observation, Step, TamiyoPolicy
from domain.values import Value
from engine.randomness import BoundaryRandomness

_COMMANDS = get_args(get_args(Command)[0])
_SOME = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


class PolicyContract:
    """Subclass it, override ``make``, and name the subclass ``Test...``."""

    def make(self) -> TamiyoPolicy:
        """A fresh policy."""
        raise NotImplementedError

    def _history(self, data: st.DataObject) -> list[Observation]:
        return data.draw(histories(self.make()))

    def _walk(self, history: list[Observation]) -> list[tuple[Observation, Any, Step[Any]]]:
        """Every observation with the memory the policy had at it and what it answered."""
        policy = self.make()
        memory, walked = policy.initial(), []
        for observation in history:
            step = policy.step(observation, memory, _streams(observation))
            walked.append((observation, memory, step))
            memory = step.memory
        return walked

    def test_it_drives_a_profile_that_exists(self) -> None:
        assert self.make().profile in PROFILES

    @_SOME
    @given(data=st.data())
    def test_equal_inputs_give_equal_decisions_and_memory(self, data: st.DataObject) -> None:
        for observation, memory, step in self._walk(self._history(data)):
            again = self.make().step(observation, memory, _streams(observation))
            assert _text(again) == _text(step)

    @_SOME
    @given(data=st.data())
    def test_a_step_changes_nothing_it_was_given(self, data: st.DataObject) -> None:
        policy = self.make()
        memory = policy.initial()
        for observation in self._history(data):
            before = (observation.state.digest(), [repr(report) for report in observation.reports], repr(memory))
            step = policy.step(observation, memory, _streams(observation))
            after = (observation.state.digest(), [repr(report) for report in observation.reports], repr(memory))
            assert after == before
            memory = step.memory

    @_SOME
    @given(data=st.data())
    def test_memory_survives_json_bit_for_bit(self, data: st.DataObject) -> None:
        for observation, memory, step in self._walk(self._history(data)):
            assert isinstance(memory, Value)
            text = memory.model_dump_json()
            restored = type(memory).model_validate_json(text)
            assert restored.model_dump_json() == text
            resumed = self.make().step(observation, restored, _streams(observation))
            assert _text(resumed) == _text(step)

    @_SOME
    @given(data=st.data())
    def test_every_decision_is_explained_and_of_a_known_kind(self, data: st.DataObject) -> None:
        for _, _, step in self._walk(self._history(data)):
            for decision in step.decisions:
                assert type(decision) is Decision
                assert type(decision.command) in _COMMANDS
                assert decision.reason.strip()
                assert 0 < decision.propensity <= 1
                assert Decision.model_validate_json(decision.model_dump_json()) == decision

    @_SOME
    @given(data=st.data())
    def test_what_others_draw_changes_nothing(self, data: st.DataObject) -> None:
        for observation, memory, step in self._walk(self._history(data)):
            crowded = _streams(observation)
            crowded.generator("somebody/else").random(7)
            assert _text(self.make().step(observation, memory, crowded)) == _text(step)

    @_SOME
    @given(data=st.data())
    def test_draws_are_recorded_by_the_decisions_that_used_them(self, data: st.DataObject) -> None:
        for observation, memory, _ in self._walk(self._history(data)):
            streams = _Counting(observation)
            step = self.make().step(observation, memory, streams)
            recorded = {draw.stream for decision in step.decisions for draw in decision.draws}
            assert streams.asked == recorded

    @_SOME
    @given(data=st.data())
    def test_what_is_drawn_says_what_it_was_drawn_from(self, data: st.DataObject) -> None:
        for observation, _, step in self._walk(self._history(data)):
            before: list[Command] = []
            for decision in step.decisions:
                assert odds_problem(decision) is None
                if decision.draws or decision.propensity != 1.0:
                    assert decision.legal == legal_actions(observation.state, before)
                    assert decision.propensity == dict(decision.odds)[decision.legal.index(decision.command)]
                before.append(decision.command)

    @_SOME
    @given(data=st.data())
    def test_one_seed_gets_one_order_at_a_time(self, data: st.DataObject) -> None:
        for _, _, step in self._walk(self._history(data)):
            ordered = [decision.command.seed for decision in step.decisions if not isinstance(decision.command, Wait)]
            assert len(ordered) == len(set(map(str, ordered)))


class _Counting:
    """Streams that remember who was asked for."""

    def __init__(self, observation: Observation) -> None:
        self._streams = _streams(observation)
        self.asked: set[str] = set()

    def generator(self, stream: str) -> Any:
        self.asked.add(stream)
        return self._streams.generator(stream)

    def drawn(self, stream: str, count: int) -> Any:
        return self._streams.drawn(stream, count)


def _streams(observation: Observation) -> BoundaryRandomness:
    return BoundaryRandomness(7, observation.epoch)


def _text(step: Step[Any]) -> list[str]:
    """A step as JSON: equal bits, and NaN equals NaN."""
    return [step.memory.model_dump_json(), *(decision.model_dump_json() for decision in step.decisions)]
