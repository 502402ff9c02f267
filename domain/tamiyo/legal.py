"""What could be chosen at a boundary: to wait, or to plant an offered blueprint that fits in a seed that is free.

This is asked at every boundary, so nothing is worked out twice: what is remembered between calls belongs to objects that
never change (a state, a library's records, a graph) and is told apart by their identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from typing import Final, final

from domain.blueprint import BlueprintGraph, blueprint_id
from domain.commands import Command, Decision, Germinate, GraftingStrategy, LegalActions, Odds, Plant, Plot, Reads, Wait
from domain.header import LayerLayout
from domain.identifiers import BlueprintId, SeedId
from domain.run import RunState
from domain.shapes import fits
from domain.tamiyo.plateau import places_free
from domain.urza.record import BlueprintRecord
from domain.values import Same

GRAFTINGS: Final = tuple(GraftingStrategy)


def legal_actions(state: RunState, ordered: Iterable[Command] = ()) -> LegalActions:
    """The choice of a boundary, ``ordered`` germinations of this boundary taken off: their places and their seeds.

    A blueprint reads what the configuration says it reads; what else a policy may order with it is no part of the
    choice. While no place is free, or growth is paused from outside, there is only to wait.
    """
    taken = frozenset(command.seed for command in ordered if isinstance(command, Germinate))
    return _legal_actions(Same(state), taken)


@lru_cache(maxsize=4)  # a policy asks, and whoever checks what it says asks again
def _legal_actions(of: Same[RunState], taken: frozenset[SeedId]) -> LegalActions:
    state = of.held
    if places_free(state) <= len(taken):
        return LegalActions()
    unfree: dict[int, list[int]] = {}
    for name in (*taken, *(name for name, seed in state.seeds.items() if not seed.may_germinate(state.epoch))):
        unfree.setdefault(name.layer, []).append(name.index)
    records, preference = Same(state.library.records), state.started.tamiyo_config.reads_preference
    plots = []
    for layer in state.started.layout:
        for width, slots in _slots(layer):  # slots of one layer and width take the same blueprints
            seeds = _left(slots, unfree.get(layer.layer, ()))
            plants = _plants(records, preference, layer.inputs, layer.outputs, width) if seeds else ()
            if plants:
                # Unvalidated: it is made of what was, and a large layer would be looked through seed by seed.
                plots.append(Plot.model_construct(seeds=seeds, plants=plants, graftings=GRAFTINGS))
    return LegalActions(plots=tuple(plots))


def _left(slots: tuple[SeedId, ...], unfree: Sequence[int]) -> tuple[SeedId, ...]:
    """Slots that follow each other less those of these indices: to ask each of a large layer would be dear."""
    if not unfree:
        return slots
    free, first = bytearray(b"\x01") * len(slots), slots[0].index
    for index in unfree:
        if first <= index < first + len(slots):
            free[index - first] = False
    return tuple(compress(slots, free))


@lru_cache(maxsize=1024)
def _slots(layer: LayerLayout) -> tuple[tuple[int, tuple[SeedId, ...]], ...]:
    """The seeds of a layer by the width of their chunks, in order: wider ones come first, so each lot is in one piece."""
    found: dict[int, list[SeedId]] = {}
    for index in range(layer.seeds):
        found.setdefault(layer.chunk_width(index), []).append(SeedId(layer=layer.layer, index=index))
    return tuple((width, tuple(seeds)) for width, seeds in found.items())


@lru_cache(maxsize=1024)
def _plants(
    records: Same[Mapping[BlueprintId, BlueprintRecord]],
    preference: Reads | None,
    inputs: int,
    outputs: int,
    chunk: int,
) -> tuple[Plant, ...]:
    """What of a library can be planted into a slot of such widths, by number."""
    widths = {Reads.CHUNK: chunk, Reads.LAYER: outputs, Reads.INPUT: inputs, Reads.BOTH: inputs + outputs}
    found = []
    for record in records.held.values():
        reads = preference or record.metadata.default_reads
        if record.is_offered and _takes(Same(record.graph), record.blueprint_id, widths[reads], chunk):
            found.append(Plant(blueprint_id=record.blueprint_id, reads=reads))
    return tuple(found)


@lru_cache(maxsize=16384)
def _takes(graph: Same[BlueprintGraph], name: BlueprintId, read: int, chunk: int) -> bool:
    """Whether the graph is the one it is named after, and fits."""
    return blueprint_id(graph.held) == name and fits(graph.held, read=read, chunk=chunk)


@final
class Numbering:
    """The numbers of legal germinations, for who asks for many: ``LegalActions.index`` looks through the seeds each time."""

    __slots__ = ("_slots",)

    def __init__(self, legal: LegalActions) -> None:
        self._slots: dict[SeedId, tuple[int, Plot]] = {}
        first = 1
        for plot in legal.plots:
            row = len(plot.plants) * len(plot.graftings)
            self._slots.update((seed, (first + at * row, plot)) for at, seed in enumerate(plot.seeds))
            first += len(plot)

    def of(self, command: Command) -> int | None:
        """The number of a germination; None for what is no legal one."""
        if not isinstance(command, Germinate) or command.seed not in self._slots:
            return None
        first, plot = self._slots[command.seed]
        plant = Plant(blueprint_id=command.blueprint_id, reads=command.reads)
        if plant not in plot.plants or command.grafting not in plot.graftings:
            return None
        return first + plot.plants.index(plant) * len(plot.graftings) + plot.graftings.index(command.grafting)


def fitting(seed: SeedId, state: RunState) -> tuple[BlueprintRecord, ...]:
    """The offered blueprints that fit the slot, by number: those that ``RunState.problem`` finds nothing against."""
    layer, records = state.layer(seed.layer), state.library.records
    preference = state.started.tamiyo_config.reads_preference
    plants = _plants(Same(records), preference, layer.inputs, layer.outputs, layer.chunk_width(seed.index))
    return tuple(records[plant.blueprint_id] for plant in plants)


def with_choice(decision: Decision, legal: LegalActions) -> Decision:
    """The decision of a policy that draws nothing, with what it could have chosen instead: all odds are on its order.

    Any other order than to wait or to germinate is forced, and one that is not legal is for the lifecycle to refuse.
    """
    number = legal.index(decision.command)
    if number is None or not isinstance(decision.command, Germinate | Wait):
        return decision
    return decision.model_copy(update={"legal": legal, "odds": ((number, 1.0),)})


def carried_over(decision: Decision, legal: LegalActions) -> Decision | None:
    """A growth decision of the same boundary after another order before it: its odds over what is legal now.

    None where it is not legal any more, or where something it could have drawn is not.
    """
    if legal.index(decision.command) is None:
        return None
    if decision.legal is None or decision.legal == legal:
        return decision
    old = decision.legal
    numbers = [(legal.index(old.action(number)), chance) for number, chance in decision.odds]
    odds: Odds = tuple(sorted((number, chance) for number, chance in numbers if number is not None))
    return decision.model_copy(update={"legal": legal, "odds": odds}) if len(odds) == len(numbers) else None
