"""What the endpoints speak of: a journal, and in it the run that was asked for, or the newest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from domain.events import LayerHealthReported, RunStarted
from domain.health import LayerHealthReport
from domain.run import RunState
from engine.journal.errors import RunMissing
from engine.journal.journal import Journal
from engine.journal.seals import Head
from engine.rebuilding import state_at
from scenarios.runs.orders import GrowthOrder, give, last_order


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """A run as it stands now."""

    run: str
    head: Head
    state: RunState


@final
class System:
    """Reads runs of one journal, each state once; leaves orders in it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._known: dict[str, Standing] = {}

    def standing(self, run: str | None) -> Standing:
        """The run of that id, by default the newest. Raises RunMissing."""
        run_id = run if run is not None else self._newest()
        head = self.journal.head(run_id)
        if head is None:
            raise RunMissing(
                f"there is no run {run_id!r} in {self.journal.name}; GET /api/v1/runs lists those there are"
            )
        known = self._known.get(run_id)
        if known is None or known.head != head:
            known = Standing(run_id, head, state_at(self.journal, run_id, head.position))
            self._known = {run_id: known}  # one run is looked at at a time; its states are large
        return known

    def _newest(self) -> str:
        runs = self.runs()
        if not runs:
            raise RunMissing(f"{self.journal.name} holds no run yet; record one with `regrow run`")
        return runs[-1]

    def runs(self) -> list[str]:
        """Every run, oldest first."""
        return [summary.run_id for summary in self.journal.summaries() if isinstance(summary.first, RunStarted)]

    def reports(self, standing: Standing) -> tuple[LayerHealthReport, ...]:
        """What each layer reported last, by layer."""
        heads = self.journal.heads(standing.run)
        for before, after in zip(reversed(heads[:-1]), reversed(heads[1:]), strict=True):
            events = self.journal.events(standing.run, before.position, after.position)
            reports = [event.report for event in events if isinstance(event, LayerHealthReported)]
            if reports and after.position <= standing.head.position:
                return tuple(sorted(reports, key=lambda report: report.layer))
        return ()

    def order(self, standing: Standing) -> GrowthOrder | None:
        """The last order that was left for the run."""
        return last_order(self.journal, standing.run)

    def give(self, standing: Standing, order: GrowthOrder) -> None:
        """Leave an order. Raises BadInput where the run has ended."""
        give(self.journal, standing.run, order)
