"""One row a blueprint that was ever planted in a run: how it ended, what it gained, how it was rewarded."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final, final

from domain.events import (
    AdaptationConcluded,
    AdaptationRewarded,
    BlueprintRegistered,
    FieldReportFiled,
    RunEnded,
    SeedGerminated,
)
from projections.grafts import BlueprintNames
from projections.view import RUN, Cases, Row, Schema, Table, blank, integer, real, text

_COUNTERS: Final = (
    "germinations",
    "fossilized",
    "culled",
    "rolled_back",
    "cancelled",
    "measured",
    "concluded",
    "rewarded",
)


@final
class BlueprintPerformance:
    """One row a blueprint that was ever planted in a run."""

    NAME: ClassVar[str] = "blueprint_performance"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of its first germination."),
        "blueprint": text("What the library calls it; null if it was never registered."),
        "blueprint_id": text("SHA-256 of its graph."),
        "germinations": integer("How often it was planted, from 1."),
        "fossilized": integer("Of them FOSSILIZED."),
        "culled": integer("Of them CULLED."),
        "rolled_back": integer("Of them ROLLED_BACK."),
        "cancelled": integer("Of them CANCELLED."),
        "success_rate": real("fossilized / (fossilized + culled + rolled_back), [0, 1]; null before any."),
        "measured": integer("Field reports about it whose gain is a number."),
        "mean_gain": real("Mean of post_metric - pre_metric over them, [-1, 1]; null without one."),
        "best_gain": real("The largest of them; null without one."),
        "concluded": integer("Of its germinations those that ended."),
        "mean_epochs": real("Epochs from germination to the end, their mean; null without one."),
        "rewarded": integer("Of its germinations those with a seven-component reward."),
        "mean_reward": real("Mean of that, [-5, 5]; null without one."),
        "best_reward": real("The largest; null without one."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            BlueprintRegistered: self._registered,
            SeedGerminated: self._germinated,
            AdaptationConcluded: self._concluded,
            FieldReportFiled: self._filed,
            AdaptationRewarded: self._rewarded,
            RunEnded: self._ended,
        }
        self._names: Final = BlueprintNames()
        self._planted: dict[str, dict[str, list[Any]]] = {}
        """Blueprint's id and epoch of each germination that has not ended, by adaptation and run."""

    def memory(self) -> Any:
        """Names of blueprints, and what is planted."""
        return [self._names.memory(), self._planted]

    def remember(self, memory: Any) -> None:
        """Names of blueprints, and what is planted."""
        names, self._planted = memory
        self._names.remember(names)

    def _registered(self, run: str, position: int, event: BlueprintRegistered) -> None:
        self._names.registered(run, event)

    def _germinated(self, run: str, position: int, event: SeedGerminated) -> None:
        key = (run, event.blueprint_id)
        if key not in self.store.open:
            self.store.open[key] = {
                **blank(self.SCHEMA),
                **dict.fromkeys(_COUNTERS, 0),
                "run": run,
                "position": position,
                "blueprint": self._names.name(run, event.blueprint_id),
                "blueprint_id": event.blueprint_id,
            }
        self.store.open[key]["germinations"] += 1
        self._planted.setdefault(run, {})[str(event.adaptation)] = [event.blueprint_id, event.epoch]

    def _concluded(self, run: str, position: int, event: AdaptationConcluded) -> None:
        planted = self._planted.get(run, {}).pop(str(event.adaptation), None)
        if planted is None:
            return
        blueprint, since = planted
        row = self.store.open[run, blueprint]
        row[event.outcome.value.lower()] += 1
        _count(row, "concluded", "mean_epochs", float(event.epoch - since))
        tried = row["fossilized"] + row["culled"] + row["rolled_back"]
        row["success_rate"] = row["fossilized"] / tried if tried else None

    def _filed(self, run: str, position: int, event: FieldReportFiled) -> None:
        report = event.report
        row, gain = self.store.open.get((run, report.blueprint_id)), report.post_metric - report.pre_metric
        if row is not None and math.isfinite(gain):
            _count(row, "measured", "mean_gain", gain, "best_gain")

    def _rewarded(self, run: str, position: int, event: AdaptationRewarded) -> None:
        row = self.store.open.get((run, event.blueprint_id))
        if row is not None:
            _count(row, "rewarded", "mean_reward", event.reward.total, "best_reward")

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        for key in [key for key in self.store.open if key[0] == run]:
            self.store.finish(key)
        self._planted.pop(run, None)
        self._names.forget(run)


def _count(row: Row, counter: str, mean: str, value: float, best: str | None = None) -> None:
    """One more value in a mean and its counter, and in the best one if it is kept."""
    row[counter] += 1
    known = row[mean]
    row[mean] = value if known is None else known + (value - known) / row[counter]
    if best is not None:
        row[best] = value if row[best] is None else max(row[best], value)
