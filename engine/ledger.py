"""The divergence ledger: at each boundary of a recording, what was chosen and what another policy would have chosen.

Up to the first boundary at which the two differ, what the other policy saw is what it would have seen. From there on a
ledger is *forced*: the other policy is shown the answers to orders that it did not give. Only weights that ask for just
that (its probability of each recorded choice) may be made of those entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from pydantic import Field

from domain.commands import Command, Decision, Germinate, Wait
from domain.events import DomainEvent
from domain.header import RunHeader
from domain.karn.policy import KarnPolicy
from domain.tamiyo.policy import TamiyoPolicy
from domain.values import Value
from engine.watching import Watched, watch


@final
class LedgerEntry(Value):
    """One boundary."""

    epoch: int = Field(ge=1)
    recorded: Germinate | Wait
    """The recorded choice: the first germination that was ordered, or to wait."""
    chosen: Germinate | Wait
    """What the other policy would have chosen."""
    probability: float = Field(ge=0, le=1)
    """With which the other policy would have chosen as recorded."""
    propensity: float = Field(ge=0, le=1)
    """With which the recorded policy chose as it did."""
    legal_actions: int = Field(ge=1)
    """How many there were to choose from."""
    recorded_orders: tuple[Command, ...]
    """Everything that was ordered, in order; waiting is no order. What a veto or a refusal stopped is among it."""
    chosen_orders: tuple[Command, ...]
    """Everything that the other policy would have ordered."""
    differs: bool
    """Whether the two order differently. Where the policies live by different lifecycles any order is a difference."""

    @property
    def is_forced(self) -> bool:
        """Whether there was nothing else to choose."""
        return self.legal_actions == 1


@final
class Ledger(Value):
    """The boundaries of a recording in order, up to the first difference or all of them."""

    run: str
    tamiyo: str
    """The policy that was asked."""
    recorded_tamiyo: str
    """The policy in force at the end of the recording."""
    epochs: int = Field(ge=0)
    """Of the recording."""
    entries: tuple[LedgerEntry, ...]

    @property
    def boundary(self) -> int | None:
        """The first epoch at which the two differ. None if they never do."""
        return next((entry.epoch for entry in self.entries if entry.differs), None)

    @property
    def is_forced(self) -> bool:
        """Whether it goes on past its boundary, where the other policy sees what it would not have seen."""
        return self.boundary is not None and self.entries[-1].epoch > self.boundary

    def up_to_boundary(self) -> Ledger:
        """The same without what comes after the first difference."""
        last = self.boundary
        kept = tuple(entry for entry in self.entries if last is None or entry.epoch <= last)
        return self.model_copy(update={"entries": kept})

    def to_document(self) -> dict[str, Any]:
        """As a JSON document, with what follows from the entries."""
        document = self.model_dump(mode="json")
        for shown, entry in zip(document["entries"], self.entries, strict=True):
            shown["is_forced"] = entry.is_forced
        return {**document, "boundary": self.boundary, "is_forced": self.is_forced}


def entries_of(
    events: Sequence[DomainEvent],
    tamiyo: TamiyoPolicy,
    karn: KarnPolicy,
    under: Callable[[RunHeader], RunHeader] | None = None,
) -> tuple[LedgerEntry, ...]:
    """Ask ``tamiyo`` at every boundary of a recording. ``under`` gives its header for the recorded one in force there.

    Epochs that panicked have no entry: no policy was asked. Raises PolicyFailed where it cannot bear the recording.
    """
    return tuple(_entry(seen) for seen in watch(events, tamiyo, karn, under).boundaries)


def _entry(watched: Watched) -> LedgerEntry:
    recorded, choice = watched.recorded_choice, watched.choice
    was, would = _orders(watched.recorded), _orders(watched.chosen)
    return LedgerEntry(
        epoch=watched.epoch,
        recorded=recorded.command,
        chosen=choice.command,
        probability=min(choice.chance_of(recorded.command), 1.0),
        propensity=min(recorded.chance_of(recorded.command), 1.0),
        legal_actions=len(recorded.legal),
        recorded_orders=was,
        chosen_orders=would,
        differs=was != would or (bool(was) and watched.recorded_profile != watched.seen.state.started.profile),
    )


def _orders(decisions: Sequence[Decision]) -> tuple[Command, ...]:
    return tuple(decision.command for decision in decisions if not isinstance(decision.command, Wait))
