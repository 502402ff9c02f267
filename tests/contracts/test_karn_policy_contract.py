from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from domain.karn.evolution import Evolution
from domain.karn.no_invention import NoInvention
from domain.karn.policy import KarnPolicy
from domain.karn.random_search import RandomSearch

# Under importlib mode a test file cannot import its neighbour by name; users put the contract on their path instead.
_spec = importlib.util.spec_from_file_location(
    "karn_policy_contract", Path(__file__).with_name("karn_policy_contract.py")
)
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["karn_policy_contract"] = _module
_spec.loader.exec_module(_module)
KarnPolicyContract = _module.KarnPolicyContract


class TestNoInvention(KarnPolicyContract):
    def make(self) -> KarnPolicy:
        return NoInvention()


class TestEvolution(KarnPolicyContract):
    def make(self) -> KarnPolicy:
        return Evolution(candidates=2)


class TestEvolutionWithALearnedReward(KarnPolicyContract):
    def make(self) -> KarnPolicy:
        return Evolution(candidates=3, rewards="learned", unprompted=True, edits=3, drafts=4)


class TestRandomSearch(KarnPolicyContract):
    def make(self) -> KarnPolicy:
        return RandomSearch(candidates=2, edits=3)
