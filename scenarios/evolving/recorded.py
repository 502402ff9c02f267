"""What evolutions have come to: in a line, as a library to plant, as the lineage of one blueprint."""

from __future__ import annotations

from typing import final

from domain.events import DomainEvent, EvolutionStarted, GenerationClosed
from domain.evolution.header import GenerationSummary
from domain.evolution.state import EvolutionState, rebuild
from domain.identifiers import BlueprintId
from domain.karn.reward_model import certified_reward
from domain.urza.library import BlueprintLibrary, UnknownBlueprint
from domain.urza.provenance import verify_provenance
from domain.urza.record import BlueprintRecord
from domain.urza.succession import succession
from domain.values import Value
from engine.journal.journal import Journal
from scenarios.runs.history import is_evolution
from scenarios.specification import BadInput


@final
class EvolutionResult(Value):
    """An evolution in a line, and each of its generations."""

    evolution: str
    scenarios: tuple[str, ...]
    karn: str
    key: int
    digest: str
    """Of its whole log so far."""
    generation: int
    """The last one that is sealed."""
    generations: int
    """How many there are to be."""
    on_offer: int
    """Blueprints that its library offers now."""
    summaries: tuple[GenerationSummary, ...]


@final
class Lineage(Value):
    """Where a blueprint of an evolution comes from, and what came of it."""

    evolution: str
    generation: int
    blueprint_id: BlueprintId
    number: int
    name: str
    level: str
    is_active: bool
    elo_score: int
    reward: float
    """By its certificate."""
    ancestors: tuple[tuple[str, BlueprintId, str | None], ...]
    """Name and id of each, nearest first, with the mutation that made its child."""
    children: tuple[tuple[str, BlueprintId, str | None], ...]
    """Name and id of each, by number, with the mutation that made it."""
    provenance: str
    """Head of the library's chain, which was verified from its beginning."""


def summary_line(summary: GenerationSummary) -> str:
    """A generation in a line."""
    return (
        f"generation {summary.generation}: {summary.certified} of {summary.proposed} certified, "
        f"{summary.at_least_moderate} at least moderate, mean reward {summary.mean_reward:.3f}, "
        f"diversity {summary.diversity:.2f} and {summary.distance:.2f}, {summary.library_size} on offer, "
        f"{summary.retired} retired, test accuracy {summary.mean_test_accuracy:.3f}"
    )


def names(journal: Journal) -> tuple[str, ...]:
    """Every recorded evolution, oldest first."""
    return tuple(name for name in journal.runs() if is_evolution(journal, name))


def results(journal: Journal) -> list[EvolutionResult]:
    """Every recorded evolution at a glance."""
    return [result(journal, name) for name in names(journal)]


def result(journal: Journal, name: str) -> EvolutionResult:
    """A recorded evolution. Raises BadInput."""
    header = _started(journal, name).header
    head = journal.heads(name)[-1]
    topics = frozenset(journal.codec.topics(GenerationClosed))
    closed = journal.select(name, lambda topic, body: topic in topics)
    summaries = tuple(event.summary for event in closed if isinstance(event, GenerationClosed))
    return EvolutionResult(
        evolution=name,
        scenarios=header.scenarios,
        karn=header.karn.name,
        key=header.run_key,
        digest=head.digest,
        generation=head.epoch,
        generations=header.generations,
        # The planting has no summary; it is short enough to be rebuilt.
        on_offer=summaries[-1].library_size if summaries else len(state_at(journal, name).library.offered()),
        summaries=summaries,
    )


def _started(journal: Journal, name: str) -> EvolutionStarted:
    """How an evolution opens. Raises BadInput for a name that is none's."""
    if not is_evolution(journal, name):
        raise BadInput(f"{name!r} is no evolution; `regrow evolutions` lists them")
    (first,) = journal.events(name, upto=1)
    assert isinstance(first, EvolutionStarted)
    return first


def state_at(journal: Journal, text: str) -> EvolutionState:
    """An evolution at its end, or at the end of generation G for ``EVOLUTION@G``. Raises BadInput."""
    name, at, generation = text.partition("@")
    _started(journal, name)
    heads = {str(head.epoch): head.position for head in journal.heads(name)}
    last = list(heads)[-1]
    if at and generation not in heads:
        raise BadInput(f"--library {text}: {name} has generations 0 to {last}; name one of them behind the @")
    return rebuild(journal.events(name, upto=heads[generation if at else last]))


def library_of(journal: Journal, text: str) -> tuple[DomainEvent, ...]:
    """The events that plant the library of ``EVOLUTION`` or ``EVOLUTION@GENERATION`` into a run. Raises BadInput."""
    return succession(state_at(journal, text).library)


def lineage(journal: Journal, blueprint: str, text: str) -> Lineage:
    """Where a blueprint (a name, a number, an id or how it begins) of ``EVOLUTION[@GENERATION]`` comes from.

    Raises BadInput, ProvenanceBroken.
    """
    state = state_at(journal, text)
    library, name = state.library, text.partition("@")[0]
    try:
        record = _found(library, blueprint)
    except UnknownBlueprint as error:
        raise BadInput(str(error.args[0])) from error
    kin = [(library.record(kin).name, kin, mutation) for kin, mutation in library.lineage(record.blueprint_id)]
    born = [library.record(child) for child in library.children(record.blueprint_id)]
    told = [event for event in journal.events(name) if event.epoch <= state.generation]
    return Lineage(
        evolution=name,
        generation=state.generation,
        blueprint_id=record.blueprint_id,
        number=record.number,
        name=record.name,
        level=record.level.value,
        is_active=record.is_active,
        elo_score=record.metadata.urabrask.elo_score,
        reward=certified_reward(record),
        ancestors=tuple(kin),
        children=tuple((child.name, child.blueprint_id, child.mutation) for child in born),
        provenance=verify_provenance(told),
    )


def _found(library: BlueprintLibrary, text: str) -> BlueprintRecord:
    """Raises UnknownBlueprint."""
    if text.isdecimal() and len(text) < 8:
        return library.by_number(int(text))
    begun = [record for record in library.records.values() if len(text) >= 8 and record.blueprint_id.startswith(text)]
    return begun[0] if len(begun) == 1 else library.by_name(text)
