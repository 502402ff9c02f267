"""One row a blueprint and run: what the library says of it, and the statistics that field reports add."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

from domain.blueprint import LifecycleState
from domain.events import (
    BlueprintCertified,
    BlueprintRegistered,
    BlueprintRegraded,
    BlueprintRetired,
    FieldReportFiled,
    RunEnded,
)
from domain.urza.statistics import BlueprintStatistics
from projections.view import RUN, Cases, Row, Schema, Table, blank, flag, integer, real, text

_FOLDED: Final = (
    "uses",
    "fossilized",
    "culled",
    "rolled_back",
    "measured",
    "mean_gain",
    "mean_gradient_variance",
    "tamiyo_interest",
    "rollback_flag",
)
"""Columns that are fields of ``BlueprintStatistics``."""


@final
class Blueprints:
    """One row a blueprint and run."""

    NAME: ClassVar[str] = "blueprints"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of its registration."),
        "number": integer("Its number in the run's library, from 1."),
        "blueprint": text("What a person calls it."),
        "blueprint_id": text("SHA-256 of its graph."),
        "registered_at": integer("Epoch at whose end it was registered."),
        "parent_id": text("Blueprint it was made from; null without one."),
        "mutation": text("Operator that made it; null without a parent."),
        "author": text("Who made it."),
        "description": text("What it is."),
        "nodes": integer("Nodes of its graph, from 1."),
        "default_reads": text("What it reads unless told otherwise."),
        "level": text("HIGH, MODERATE or SPECULATIVE: the confidence level, the latest."),
        "regraded": integer("How often the level was changed."),
        "certified": flag("Whether the crucible passed it; null while it has not judged."),
        "failed_stage": text("Stage of the crucible that it failed at; null where it passed or was not judged."),
        "risk_score": real("The crucible's, [0, 1], the latest."),
        "elo_score": integer("The crucible's, the latest."),
        "retired_at": integer("Epoch at whose end it was archived; null where it was not."),
        "retired_because": text("Why; null where it was not."),
        "uses": integer("Field reports about it."),
        "fossilized": integer("Of them FOSSILIZED."),
        "culled": integer("Of them CULLED."),
        "rolled_back": integer("Of them ROLLED_BACK."),
        "success_rate": real("fossilized / uses, [0, 1]; NaN before the first use."),
        "measured": integer("Field reports whose gain is a number."),
        "mean_gain": real("Mean of post_metric - pre_metric over them, [-1, 1]; 0 before the first."),
        "mean_gradient_variance": real("Mean over them, [0, inf]; 0 before the first."),
        "tamiyo_interest": real("Moving average of 1 for FOSSILIZED and 0 otherwise, [0, 1]."),
        "rollback_flag": flag("Whether it ever took part in a rollback."),
        "offered": flag("Whether it may be germinated: not archived, never rolled back, not failed."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            BlueprintRegistered: self._registered,
            BlueprintCertified: self._certified,
            BlueprintRegraded: self._regraded,
            BlueprintRetired: self._retired,
            FieldReportFiled: self._reported,
            RunEnded: self._ended,
        }
        self._of_run: dict[str, list[str]] = {}

    def memory(self) -> None:
        """Nothing: the rows say it all."""

    def remember(self, memory: Any) -> None:
        """Which rows are of which run."""
        self._of_run = {}
        for run, blueprint in self.store.open:
            self._of_run.setdefault(str(run), []).append(str(blueprint))

    def _registered(self, run: str, position: int, event: BlueprintRegistered) -> None:
        metadata = event.metadata
        key = (run, event.blueprint_id)
        if key in self.store.open:
            return
        tamiyo = metadata.tamiyo
        row = {
            **_UNUSED,
            "run": run,
            "position": position,
            "number": event.number,
            "blueprint": metadata.name,
            "blueprint_id": event.blueprint_id,
            "registered_at": event.epoch,
            "parent_id": event.parent_id,
            "mutation": event.mutation,
            "author": metadata.urza.author,
            "description": metadata.urza.description,
            "nodes": len(event.graph.nodes),
            "default_reads": metadata.default_reads.value,
            "level": metadata.urabrask.conf_level.value,
            "regraded": 0,
            "risk_score": metadata.urabrask.risk_score,
            "elo_score": metadata.urabrask.elo_score,
        }
        if metadata.urza.lifecycle is LifecycleState.ARCHIVED:
            row["retired_at"] = event.epoch
        row["tamiyo_interest"], row["rollback_flag"] = tamiyo.tamiyo_interest, tamiyo.rollback_flag
        row["offered"] = _offered(row)
        self.store.open[key] = row
        self._of_run.setdefault(run, []).append(event.blueprint_id)

    def _certified(self, run: str, position: int, event: BlueprintCertified) -> None:
        row = self.store.open.get((run, event.blueprint_id))
        if row is None:
            return
        certificate = event.certificate
        row["certified"] = certificate.passed
        row["failed_stage"] = certificate.failed_stage
        row["risk_score"] = certificate.risk_score
        row["elo_score"] = certificate.elo_score
        row["level"] = certificate.conf_level.value
        row["offered"] = _offered(row)

    def _regraded(self, run: str, position: int, event: BlueprintRegraded) -> None:
        row = self.store.open.get((run, event.blueprint_id))
        if row is not None:
            row["level"] = event.level.value
            row["regraded"] += 1

    def _retired(self, run: str, position: int, event: BlueprintRetired) -> None:
        row = self.store.open.get((run, event.blueprint_id))
        if row is not None:
            row["retired_at"], row["retired_because"] = event.epoch, event.reason
            row["offered"] = _offered(row)

    def _reported(self, run: str, position: int, event: FieldReportFiled) -> None:
        row = self.store.open.get((run, event.report.blueprint_id))
        if row is not None:
            before = BlueprintStatistics(**{name: row[name] for name in _FOLDED})
            _count(row, before.after(event.report))

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        for blueprint in self._of_run.pop(run, ()):
            self.store.finish((run, blueprint))


def _count(row: Row, statistics: BlueprintStatistics) -> None:
    """Put the statistics into the row."""
    row.update((name, getattr(statistics, name)) for name in _FOLDED)
    row["success_rate"] = statistics.success_rate
    row["offered"] = _offered(row)


def _offered(row: Row) -> bool:
    return row["retired_at"] is None and not row["rollback_flag"] and row["certified"] is not False


_UNUSED: Final[Row] = blank(Blueprints.SCHEMA)
"""The row of a blueprint that nobody has used."""
_count(_UNUSED, BlueprintStatistics())
