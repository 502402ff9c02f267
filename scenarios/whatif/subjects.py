"""One germination of a recorded run as the subject of a question, and the policies that order it again or leave it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final
from urllib.parse import quote

from pydantic import TypeAdapter

from domain.commands import GraftingStrategy, Reads
from domain.events import AdaptationConcluded, DomainEvent, RunForked, RunStarted, SeedGerminated
from domain.header import RunHeader
from domain.identifiers import AdaptationId, SeedId
from domain.values import Value
from scenarios import specification
from scenarios.lab import Lab
from scenarios.runs import trainers
from scenarios.runs.amending import SECTIONS
from scenarios.specification import BadInput

OPEN: Final = "OPEN"
"""Stands for the outcome of an adaptation that had none at the run's end."""


@final
class Subject(Value):
    """One germination of a recorded run, and the course it was taken on."""

    run: str
    adaptation: AdaptationId
    epoch: int
    number: int
    """Of its blueprint in the library."""
    blueprint: str
    """Its name."""
    reads: Reads
    grafting: GraftingStrategy
    outcome: str
    """How it ended, or OPEN."""
    run_key: int
    policy: str
    """The Tamiyo that ordered it, by its canonical name."""
    target: float | None
    overrides: Mapping[str, Any]
    """What the header in force at its epoch says otherwise than that of the epoch before: nothing but at a fork."""

    def policy_with(self) -> str:
        """The name of the policy that orders it for sure."""
        germination = f"blueprint={self.number}&epoch={self.epoch}&grafting={self.grafting.value}"
        of, seed = quote(self.policy, safe="/"), self.adaptation.seed
        return f"with?{germination}&of={of}&reads={self.reads.value}&seed={seed}"

    def policy_without(self, *, never: bool) -> str:
        """The name of the policy that waits instead; ``never``: and keeps the seed out for good."""
        later = "never=true&" if never else ""
        of = quote(self.policy_with(), safe="/")
        return f"without?epoch={self.epoch}&{later}of={of}&seed={self.adaptation.seed}"


def subject_of(lab: Lab, run_id: str, seed: str, attempt: int | None) -> Subject:
    """The germination that is meant. Raises RunMissing, BadInput."""
    moment = lab.show(run_id)
    name = lab.seed_named(moment.state, seed)
    events = lab.journal.events(run_id)
    germinated = _germination(run_id, events, name, attempt)
    epoch = germinated.epoch
    if moment.state.ending is None:
        raise BadInput(f"run {run_id} has no ending yet; resume it, then ask what its adaptations were worth")
    before, at = _in_force(events, epoch - 1), _in_force(events, epoch)
    for fork in (event for event in events if isinstance(event, RunForked) and event.epoch > epoch):
        raise BadInput(
            f"{run_id} took another course at epoch {fork.epoch}, after seed {name} germinated at epoch {epoch}; "
            f"ask about {fork.parent}, whose course it was"
        )
    if at.trainer == "recorded":
        raise BadInput(f"run {run_id} goes over a recording at epoch {epoch}; ask about a run that was trained")
    obstacle = trainers.not_comparable(at) if at.trainer == "live" else None
    if obstacle is not None:
        raise BadInput(f"{run_id} cannot be trained on here: {obstacle}")
    record = lab.show(run_id, epoch - 1).state.library.record(germinated.blueprint_id)
    conclusions = (event for event in events if isinstance(event, AdaptationConcluded))
    outcome = next((event.outcome.value for event in conclusions if event.adaptation == germinated.adaptation), OPEN)
    known = at.scenario in specification.names()
    return Subject(
        run=run_id,
        adaptation=germinated.adaptation,
        epoch=epoch,
        number=record.number,
        blueprint=record.name,
        reads=germinated.reads,
        grafting=germinated.grafting,
        outcome=outcome,
        run_key=at.run_key,
        policy=at.tamiyo.name,
        target=specification.load(at.scenario).target if known else None,
        overrides=settings_between(before, at),
    )


def germinations(events: Sequence[DomainEvent], seed: SeedId) -> list[SeedGerminated]:
    """Every germination of a seed, oldest first."""
    return [event for event in events if isinstance(event, SeedGerminated) and event.adaptation.seed == seed]


def _germination(run_id: str, events: Sequence[DomainEvent], seed: SeedId, attempt: int | None) -> SeedGerminated:
    found = germinations(events, seed)
    if not found:
        others = sorted({str(event.adaptation.seed) for event in events if isinstance(event, SeedGerminated)})
        there = f"those that did: {', '.join(others)}" if others else "none did"
        raise BadInput(f"--seed {seed}: it never germinated in run {run_id}; {there}")
    if attempt is None:
        return found[-1]
    for event in found:
        if event.adaptation.attempt == attempt:
            return event
    raise BadInput(f"--attempt {attempt}: seed {seed} germinated {len(found)} times in run {run_id}, 1 is the first")


def _in_force(events: Sequence[DomainEvent], epoch: int) -> RunHeader:
    """The header in force in ``epoch``."""
    headers = [event.header for event in events if isinstance(event, RunStarted | RunForked) and event.epoch <= epoch]
    return headers[-1]


def settings_between(before: RunHeader, after: RunHeader) -> dict[str, Any]:
    """What a fork under ``before`` has to set to go on under ``after``, but for Tamiyo and run key: dotted key to value."""
    found: dict[str, Any] = {}
    for section in SECTIONS:
        found |= _settings(section, getattr(before, section), getattr(after, section))
    return found if before.karn.name == after.karn.name else {**found, "karn": after.karn.name}


def _settings(dotted: str, before: Any, after: Any) -> dict[str, Any]:
    if before == after:
        return {}
    if isinstance(after, Value) and type(before) is type(after):
        found: dict[str, Any] = {}
        for name in type(after).model_fields:
            found |= _settings(f"{dotted}.{name}", getattr(before, name), getattr(after, name))
        return found
    return {dotted: _plain(after)}


def _plain(value: Any) -> Any:
    """A setting as a scenario file would hold it."""
    return TypeAdapter(Any).dump_python(value, mode="json")
