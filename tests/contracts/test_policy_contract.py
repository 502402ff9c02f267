from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from support.observations import planted

from domain.karn.no_invention import NoInvention
from domain.karn.policy import KarnObservation
from domain.tamiyo.always_grow import AlwaysGrow
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.as_implemented import AsImplemented
from domain.tamiyo.composed import Composed
from domain.tamiyo.controls import FixedSchedule, RandomBlueprint, RandomTime
from domain.tamiyo.never_grow import NeverGrow
from domain.tamiyo.policy import TamiyoPolicy
from domain.tamiyo.random_growth import RandomGrowth
from domain.tamiyo.softened import Softened
from domain.tamiyo.without import With, Without
from engine.randomness import BoundaryRandomness

# Under importlib mode a test file cannot import its neighbour by name; users put the contract on their path instead.
_spec = importlib.util.spec_from_file_location("policy_contract", Path(__file__).with_name("policy_contract.py"))
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["policy_contract"] = _module
_spec.loader.exec_module(_module)
PolicyContract = _module.PolicyContract


class TestAsDesigned(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AsDesigned()


class TestDesignByNoStrategy(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AsDesigned(strategy="NONE")


class TestDesignByUcb(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AsDesigned(seeds="ucb")


class TestDesignByThompsonSampling(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AsDesigned(seeds="thompson", strategy="NONE")


class TestDesignByPerformance(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AsDesigned(seeds="performance_weighted", strategy="OPTIMIZATION")


class TestDesignRoundAndRound(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AsDesigned(seeds="round_robin", strategy="HYBRID", hybrid="NOVELTY:0.5,SAFETY:0.5")


class TestSoftenedBandit(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Softened(AsDesigned(seeds="epsilon_greedy"), epsilon=0.3, temperature=0.1)


class TestWithoutABanditsGermination(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Without(AsDesigned(seeds="thompson", strategy="NONE", patience=1), "0.0", 3, never=True)


class TestAsImplemented(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AsImplemented()


class TestNeverGrow(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return NeverGrow()


class TestAlwaysGrow(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return AlwaysGrow()


class TestRandomGrowth(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return RandomGrowth(probability=0.5)


class TestComposedOfBoth(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Composed(trigger="health", blueprints="strategy")


class TestSoftenedDesign(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Softened(AsDesigned(), epsilon=0.3, temperature=0.1)


class TestSoftenedImplementation(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Softened(AsImplemented(), epsilon=0.2, temperature=1.0)


class TestSoftenedTwice(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Softened(Softened(RandomGrowth(probability=0.3), epsilon=0.5), epsilon=0.5)


class TestFixedSchedule(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return FixedSchedule("2-3-9-14")


class TestRandomTime(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return RandomTime(germinations=5)


class TestRandomBlueprint(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return RandomBlueprint()


class TestWith(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return With(Softened(AlwaysGrow(), epsilon=0.5), "0.0", 2, 1, "BOTH", "FIXED_RAMP")


class TestWithoutForGood(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Without(Softened(AlwaysGrow(), epsilon=0.5), "0.0", 1, never=True)


class TestWithout(PolicyContract):
    def make(self) -> TamiyoPolicy:
        return Without(Softened(AlwaysGrow(), epsilon=0.5), "0.0", 1)


def test_no_invention_proposes_nothing_and_remembers_nothing() -> None:
    karn = NoInvention()
    observation = KarnObservation(epoch=3, reports=(), library=planted().library)

    step = karn.step(observation, karn.initial(), BoundaryRandomness(1, 3))

    assert (step.proposals, step.memory) == ((), karn.initial())
