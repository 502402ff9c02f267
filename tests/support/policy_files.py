"""Policies in files of a person's own: most of them wrong in one way each."""

from __future__ import annotations

from pathlib import Path

SOURCE = '''
"""Policies that misbehave."""

from domain.commands import Decision, Germinate, GraftingStrategy, Reads, Wait
from domain.identifiers import SeedId
from domain.tamiyo.policy import NoMemory, Step
from domain.values import Value


class Orderly:
    profile = "full"

    def initial(self):
        return NoMemory()

    def step(self, observation, memory, random):
        if observation.epoch < 3:
            return Step((), memory)
        return self.misbehave(observation, memory)

    def misbehave(self, observation, memory):
        return Step((), memory)


class Raises(Orderly):
    def misbehave(self, observation, memory):
        raise RuntimeError("out of ideas\\nand of paper")


class RaisesWithSurrogate(Orderly):
    def misbehave(self, observation, memory):
        raise RuntimeError("half a character \\ud800")


class Exits(Orderly):
    def misbehave(self, observation, memory):
        raise SystemExit(0)


class ReturnsNothing(Orderly):
    def misbehave(self, observation, memory):
        return None


class DecidesWords(Orderly):
    def misbehave(self, observation, memory):
        return Step(("grow!",), memory)


class DecidesNothingAtAll(Orderly):
    def misbehave(self, observation, memory):
        return Step(None, memory)


class RemembersAList(Orderly):
    def misbehave(self, observation, memory):
        return Step((), [1, 2])


class WritesHalfACharacter(Orderly):
    def misbehave(self, observation, memory):
        return Step((Decision(command=Wait(), reason="half \\ud800"),), memory)


class Scribbles(Value):
    text: str = ""


class RemembersHalfACharacter(Orderly):
    def misbehave(self, observation, memory):
        return Step((), Scribbles(text="half \\ud800"))


class WithoutStart(Orderly):
    def initial(self):
        raise RuntimeError("no start")


class StartsWithADict(Orderly):
    def initial(self):
        return {}


class NoPolicy:
    profile = "full"


class UnknownProfile(Orderly):
    profile = "baroque"


class CannotBeMade(Orderly):
    def __init__(self, knob):
        self.knob = knob


class OrdersTheUnknown(Orderly):
    """Germinates a blueprint that nobody registered, and then a seed that the host does not have."""

    def misbehave(self, observation, memory):
        known = observation.state.library.offered()[0].blueprint_id
        return Step((self.germinate(0, "ab" * 32), self.germinate(9, known)), memory)

    def germinate(self, layer, blueprint):
        command = Germinate(
            seed=SeedId(layer=layer, index=0),
            blueprint_id=blueprint,
            reads=Reads.BOTH,
            grafting=GraftingStrategy.FIXED_RAMP,
        )
        return Decision(command=command, reason="why not")
'''


def written(folder: Path) -> Path:
    """The file with all of them, in ``folder``."""
    file = folder / "policies.py"
    file.write_text(SOURCE, encoding="utf-8")
    return file
