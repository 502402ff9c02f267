"""Policies in a file of a person's own that remember every boundary they saw; one rolls back what grows at epoch 16."""

from __future__ import annotations

from pathlib import Path

SOURCE = '''
"""As designed, with a diary."""

from domain.commands import Decision, RollBack
from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.policy import Step
from domain.values import Value

DESIGNED = AsDesigned()
Inner = type(DESIGNED.initial())


class Diary(Value):
    seen: tuple[int, ...] = ()
    inner: Inner


class Patient:
    profile = "full"
    regrets = ()

    def initial(self):
        return Diary(inner=DESIGNED.initial())

    def step(self, observation, memory, random):
        step = DESIGNED.step(observation, memory.inner, random)
        decisions, active = step.decisions, observation.state.active
        if observation.epoch in self.regrets and active:
            decisions = (Decision(command=RollBack(seed=active[0]), reason="regretted", urgency=0.95),)
        return Step(decisions, Diary(seen=(*memory.seen, observation.epoch), inner=step.memory))


class Regretful(Patient):
    regrets = (16,)


class Easily(Patient):
    """Cannot bear what it sees at epoch 6."""

    def step(self, observation, memory, random):
        if observation.epoch == 6:
            raise ValueError("epoch 6 is too much")
        return Patient.step(self, observation, memory, random)
'''


def written(folder: Path) -> Path:
    """The file with all of them, in ``folder``."""
    file = folder / "diarists.py"
    file.write_text(SOURCE, encoding="utf-8")
    return file
