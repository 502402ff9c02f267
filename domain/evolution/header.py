"""An evolution: what it is set to do, and what each generation gave. Runs inside it are ordinary runs."""

from __future__ import annotations

from typing import final

from pydantic import Field

from domain.header import PolicyReference, RunHeader
from domain.urza.kpis import CurationConfig
from domain.values import Value


@final
class EvolutionHeader(Value):
    """Everything that decides what an evolution will be. With its first library it can be gone on with from here."""

    format: int = 1
    regrow: str
    runs: tuple[RunHeader, ...] = Field(min_length=1)
    """The header of a run of each scenario; those of a generation differ from it in their run keys alone."""
    run_key: int = Field(ge=0)
    """Karn's streams and the run keys of every generation come from it."""
    generations: int = Field(ge=1)
    runs_per_generation: int = Field(ge=1)
    """Of each scenario."""
    candidates_per_generation: int = Field(ge=0)
    karn: PolicyReference
    curation: CurationConfig = CurationConfig()

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names of the scenarios, in order."""
        return tuple(header.scenario for header in self.runs)

    @property
    def trial(self) -> RunHeader:
        """What candidates are judged under: the first scenario, with the slots of all of them."""
        layout = tuple(layer for header in self.runs for layer in header.layout)
        return self.runs[0].model_copy(update={"layout": layout, "run_key": self.run_key, "karn": self.karn})


@final
class GenerationSummary(Value):
    """One generation in figures."""

    generation: int = Field(ge=0)
    proposed: int = Field(ge=0)
    refused: int = Field(ge=0)
    """Invalid, or known already."""
    certified: int = Field(ge=0)
    """Passed the crucible."""
    at_least_moderate: int = Field(ge=0)
    """Of those, by their certificates."""
    mean_reward: float
    """Mean certified reward of this generation's candidates (``domain/karn/reward_model.py``); NaN without any."""
    diversity: float = Field(ge=0, le=1)
    """Of the active library: Urza's genetic diversity KPI, the share of unique tensor graphs."""
    distance: float = Field(ge=0, le=1)
    """Of the active library: mean normalised graph edit distance of two blueprints, Karn's target."""
    library_size: int = Field(ge=0)
    """Active blueprints."""
    retired: int = Field(ge=0)
    mean_test_accuracy: float
    """Of this generation's runs."""
