"""One row a violated rule: what safety stopped, about which blueprint, and why. The audit trail."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

from domain.commands import Germinate, Wait
from domain.events import BlueprintRegistered, DecisionMade, DecisionVetoed, RunEnded
from projections.grafts import BlueprintNames
from projections.view import EPOCH, RUN, Cases, Schema, Table, integer, text


@final
class ViolationHistory:
    """One row a violated rule."""

    NAME: ClassVar[str] = "violation_history"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the veto; the rules of one veto share it."),
        "epoch": EPOCH,
        "number": integer("Which decision of the epoch it stopped, from 0."),
        "layer": integer("Layer of the seed that the decision was about, from 0; null for none."),
        "seed": integer("Place of that seed in its layer, from 0; null for none."),
        "blueprint": text("What the library calls the blueprint; null for other decisions than to germinate."),
        "blueprint_id": text("SHA-256 of its graph; null as the name."),
        "rule": text("The rule of the shield or of the decision checks that was broken."),
        "detail": text("By what."),
        "reason": text("Why it was decided, in the policy's words."),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            BlueprintRegistered: self._registered,
            DecisionMade: self._made,
            DecisionVetoed: self._vetoed,
            RunEnded: self._ended,
        }
        self._names: Final = BlueprintNames()
        self._last: dict[str, list[Any]] = {}
        """Layer, seed, blueprint's id and reason of each run's last decision: a veto follows what it stops."""

    def memory(self) -> Any:
        """Names of blueprints, and each run's last decision."""
        return [self._names.memory(), self._last]

    def remember(self, memory: Any) -> None:
        """Names of blueprints, and each run's last decision."""
        names, self._last = memory
        self._names.remember(names)

    def _registered(self, run: str, position: int, event: BlueprintRegistered) -> None:
        self._names.registered(run, event)

    def _made(self, run: str, position: int, event: DecisionMade) -> None:
        command = event.decision.command
        place = [None, None] if isinstance(command, Wait) else [command.seed.layer, command.seed.index]
        planted = command.blueprint_id if isinstance(command, Germinate) else None
        self._last[run] = [*place, planted, event.decision.reason]

    def _vetoed(self, run: str, position: int, event: DecisionVetoed) -> None:
        layer, seed, blueprint, reason = self._last.get(run, [None] * 4)
        name = None if blueprint is None else self._names.name(run, blueprint)
        for violation in event.violations:
            self.store.finished.append(
                (
                    *(run, position, event.epoch, event.number, layer, seed, name, blueprint),
                    *(violation.rule, violation.detail, reason),
                )
            )

    def _ended(self, run: str, position: int, event: RunEnded) -> None:
        self._names.forget(run)
        self._last.pop(run, None)
