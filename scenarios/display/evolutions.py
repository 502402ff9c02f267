"""What the command shows of evolutions and of Urza's catalogue: lines of text made from typed results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scenarios.evolving.recorded import EvolutionResult, Lineage


def evolution_lines(found: EvolutionResult) -> list[str]:
    """An evolution that was just recorded, a generation a line."""
    head = "generation  proposed  refused  certified  moderate  reward  unique  distance  offered  retired  test"
    rows = [
        f"{one.generation:>10}{one.proposed:>10}{one.refused:>9}{one.certified:>11}{one.at_least_moderate:>10}"
        f"{one.mean_reward:>8.3f}{one.diversity:>8.2f}{one.distance:>10.2f}{one.library_size:>9}{one.retired:>9}"
        f"{one.mean_test_accuracy:>6.3f}"
        for one in found.summaries
    ]
    done = f"generation {found.generation} of {found.generations}, digest {found.digest}"
    return [f"evolution {found.evolution}", done, head, *rows]


def evolution_table(results: Sequence[EvolutionResult]) -> list[str]:
    """Evolutions, one a line."""
    if not results:
        return ["no evolutions yet; `regrow evolve xor4` records one"]
    width = max(len(found.evolution) for found in results)
    return [
        f"{found.evolution:{width}}  generation {found.generation} of {found.generations}  "
        f"{found.on_offer:3} on offer  {found.digest[:16]}"
        for found in results
    ]


def lineage_lines(found: Lineage) -> list[str]:
    """A blueprint's kin."""
    state = "" if found.is_active else ", archived"
    lines = [
        f"{found.number:3}  {found.name}  {found.blueprint_id[:12]}  {found.level}{state}, Elo {found.elo_score}, "
        f"certified reward {found.reward:.3f}",
    ]
    lines += [f"from {name} {kin[:12]} by {mutation}" for name, kin, mutation in found.ancestors]
    lines += [f"gave {name} {kin[:12]} by {mutation}" for name, kin, mutation in found.children]
    return [*lines, f"provenance holds up to {found.provenance[:16]}, generation {found.generation}"]


def catalogue_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Urza's catalogue, one a line: what can be grown with its number, the rest with what it needs."""
    return [_built(row) if row["number"] is not None else _listed(row) for row in rows]


def _built(row: Mapping[str, Any]) -> str:
    return (
        f"{row['number']:3}  {row['name']:24}{row['level']:13}reads {row['reads']:7}{row['parameters']:>6} parameters  "
        f"{row['description']}"
    )


def _listed(row: Mapping[str, Any]) -> str:
    return f"  -  {row['title']:36}{row['level']:13}not here: needs {', '.join(row['needs'])}"
