"""One row a decision: the order, its reasons, the options it weighed, and what became of it in the same epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, final

from pydantic import TypeAdapter

from domain.commands import Advance, ChangeGrafting, Command, Considered, Draw, Germinate, Wait
from domain.events import CommandRefused, DecisionMade, DecisionVetoed, EpochSealed
from domain.safety import Violation
from projections.view import EPOCH, RUN, Cases, Key, Schema, Table, blank, integer, real, text

_CONSIDERED: Final = TypeAdapter(tuple[Considered, ...])
_DRAWS: Final = TypeAdapter(tuple[Draw, ...])
_VIOLATIONS: Final = TypeAdapter(tuple[Violation, ...])

CARRIED_OUT: Final = "CARRIED_OUT"
VETOED: Final = "VETOED"
REFUSED: Final = "REFUSED"

_ORDERS: Final[Mapping[type[Any], Callable[[Any], dict[str, Any]]]] = {
    Germinate: lambda order: {
        "blueprint_id": order.blueprint_id,
        "reads": order.reads.value,
        "grafting": order.grafting.value,
    },
    Advance: lambda order: {"gate": order.gate.value},
    ChangeGrafting: lambda order: {"grafting": order.grafting.value},
}
"""What an order says beside its kind and seed."""


@final
class Decisions:
    """One row a decision, vetoes and refusals joined to it by epoch and number."""

    NAME: ClassVar[str] = "decisions"
    SCHEMA: ClassVar[Schema] = {
        "run": RUN,
        "position": integer("Position of the decision."),
        "epoch": EPOCH,
        "number": integer("Which decision of the epoch, from 0."),
        "kind": text("germinate, advance, cull, cancel, recover, reset, change_grafting, roll_back or wait."),
        "layer": integer("Layer of the seed it is about, from 0; null for wait."),
        "seed": integer("Place of that seed in its layer, from 0; null for wait."),
        "gate": text("The gate to pass; null for other kinds than advance."),
        "blueprint_id": text("What to plant; null for other kinds than germinate."),
        "reads": text("What it is to read; null for other kinds than germinate."),
        "grafting": text("Grafting strategy; null for other kinds than germinate and change_grafting."),
        "reason": text("Why, in the policy's words."),
        "confidence": real("How sure the policy is, [0, 1]."),
        "urgency": real("How pressing it finds it, [0, 1]."),
        "propensity": real("Probability with which the policy takes this action in this state, (0, 1]."),
        "legal_actions": integer("Actions that could be chosen, this one included; null where the order was forced."),
        "likely_actions": integer("Of them those that the policy gives a probability above 0; null as legal_actions."),
        "policy": text("Hash of the policy that decided; empty in runs from before rule R5."),
        "options": integer("Options that it weighed."),
        "considered": text('The options as JSON: [{"option", "score", "note"}], with "NaN" for a score that is none.'),
        "draws": text('Randomness it took as JSON: [{"stream", "count"}].'),
        "verdict": text("CARRIED_OUT, VETOED by the shield or the checks, or REFUSED by the lifecycle."),
        "rules": text("The rules that it broke, parted by spaces; null where it was carried out."),
        "objections": text('What was wrong as JSON: [{"rule", "detail"}]; null where it was carried out.'),
    }

    def __init__(self) -> None:
        self.store = Table(self.SCHEMA)
        self.cases: Cases = {
            DecisionMade: self._made,
            DecisionVetoed: self._vetoed,
            CommandRefused: self._refused,
            EpochSealed: self._sealed,
        }
        self._blank: Final = blank(self.SCHEMA)
        self._of_epoch: dict[str, list[Key]] = {}

    def memory(self) -> None:
        """Nothing: the rows say it all."""

    def remember(self, memory: Any) -> None:
        """Which rows are of a run's open epoch."""
        self._of_epoch = {}
        for key in self.store.open:
            self._of_epoch.setdefault(str(key[0]), []).append(key)

    def _made(self, run: str, position: int, event: DecisionMade) -> None:
        decision = event.decision
        row = self._blank.copy()
        row["run"] = run
        row["position"] = position
        row["epoch"] = event.epoch
        row["number"] = event.number
        row.update(_order(decision.command))
        row["reason"] = decision.reason
        row["confidence"] = decision.confidence
        row["urgency"] = decision.urgency
        row["propensity"] = decision.propensity
        if decision.legal is not None:
            row["legal_actions"], row["likely_actions"] = len(decision.legal), len(decision.odds)
        row["policy"] = event.policy
        row["options"] = len(decision.considered)
        row["considered"] = _CONSIDERED.dump_json(decision.considered).decode() if decision.considered else "[]"
        row["draws"] = _DRAWS.dump_json(decision.draws).decode() if decision.draws else "[]"
        row["verdict"] = CARRIED_OUT
        key = (run, event.epoch, event.number)
        self.store.open[key] = row
        self._of_epoch.setdefault(run, []).append(key)

    def _vetoed(self, run: str, position: int, event: DecisionVetoed) -> None:
        self._object(run, event, VETOED, event.violations)

    def _refused(self, run: str, position: int, event: CommandRefused) -> None:
        self._object(run, event, REFUSED, (Violation(rule=event.rule, detail=event.reason),))

    def _object(
        self, run: str, event: DecisionVetoed | CommandRefused, verdict: str, found: tuple[Violation, ...]
    ) -> None:
        row = self.store.open.get((run, event.epoch, event.number))
        if row is not None:
            row["verdict"] = verdict
            row["rules"] = " ".join(violation.rule for violation in found)
            row["objections"] = _VIOLATIONS.dump_json(found).decode()

    def _sealed(self, run: str, position: int, event: EpochSealed) -> None:
        for key in self._of_epoch.pop(run, ()):
            self.store.finish(key)


def _order(command: Command) -> dict[str, Any]:
    """What a command orders, as columns."""
    if isinstance(command, Wait):
        return {"kind": command.kind}
    said = _ORDERS.get(type(command))
    place = {"kind": command.kind, "layer": command.seed.layer, "seed": command.seed.index}
    return {**place, **said(command)} if said else place
