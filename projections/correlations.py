"""One row a run, feature of its decisions and outcome that go together significantly, as far as the run has come."""

from __future__ import annotations

from typing import Any, ClassVar, final

from domain.analysis.correlation import WINDOW, correlations
from domain.analysis.outcomes import DecisionOutcome, Outcomes
from domain.events import AdaptationRewarded, DecisionMade, DomainEvent, RunEnded, SeedGerminated
from projections.view import RUN, Cases, Schema, Table, integer, real, text


@final
class Correlations:
    """One row a run, feature and outcome."""

    NAME: ClassVar[str] = "correlations"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the latest reward in it."),
        "feature": text("Of the decision: confidence, urgency, layer or risk."),
        "outcome": text("Component of its reward: ACCURACY, SPEED, MEMORY, STABILITY or SAFETY."),
        "coefficient": real("Pearson's, over the run's last 100 decisions that were rewarded, [-1, 1]."),
        "p_value": real("Probability of one as large by chance, under 0.05."),
        "samples": integer("Decisions in it, from 10."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            DecisionMade: self._took,
            SeedGerminated: self._took,
            AdaptationRewarded: self._took,
            RunEnded: self._ended,
        }
        self._outcomes: dict[str, Outcomes] = {}
        self._decided: dict[str, list[DecisionOutcome]] = {}

    def memory(self) -> Any:
        """The decisions of each run that goes on."""
        return {
            run: [outcomes.memory(), [decided.model_dump_json() for decided in self._decided.get(run, ())]]
            for run, outcomes in self._outcomes.items()
        }

    def remember(self, memory: Any) -> None:
        """The decisions of each run that goes on."""
        self._outcomes = {run: Outcomes.remembered(waiting) for run, (waiting, _) in memory.items()}
        self._decided = {
            run: [DecisionOutcome.model_validate_json(decided, strict=False) for decided in known]
            for run, (_, known) in memory.items()
        }

    def _took(self, run: str, position: int, event: DomainEvent) -> None:
        found = self._outcomes.setdefault(run, Outcomes()).after(event)
        if found is None:
            return
        known = self._decided.setdefault(run, [])
        known.append(found)
        del known[:-WINDOW]
        self._forget(run)
        for pair in correlations(known):
            self.store.open[run, pair.feature, pair.outcome.value] = {
                "run": run,
                "position": position,
                "feature": pair.feature,
                "outcome": pair.outcome.value,
                "coefficient": pair.coefficient,
                "p_value": pair.p_value,
                "samples": pair.samples,
            }

    def _forget(self, run: str) -> None:
        for key in [key for key in self.store.open if key[0] == run]:
            del self.store.open[key]

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        for key in [key for key in self.store.open if key[0] == run]:
            self.store.finish(key)
        self._outcomes.pop(run, None)
        self._decided.pop(run, None)
