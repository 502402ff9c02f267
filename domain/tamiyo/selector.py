"""The implementation's blueprint choice: its ``BlueprintSelector``'s score over every blueprint that fits the slot."""

from __future__ import annotations

from domain.commands import Considered
from domain.header import Rule
from domain.lifecycle import Stage
from domain.run import RunState
from domain.shapes import memory_mb
from domain.tamiyo.blueprint_terms import reads_of
from domain.tamiyo.growth import Option, Options, Site
from domain.tamiyo.legal import fitting
from domain.tamiyo.memory import TamiyoMemory
from domain.urza.record import BlueprintRecord


def by_selector(site: Site, state: RunState, memory: TamiyoMemory) -> Options:
    """Every offered blueprint that fits, by score, the lower number of equals first; weighed are all, by number."""
    del memory
    config = state.started.tamiyo_config
    present = {
        grown.adaptation.blueprint_id
        for grown in state.seeds.values()
        if grown.adaptation is not None and grown.stage in {Stage.LOADING, Stage.ACTIVE, Stage.FOSSILIZED}
    }
    explained = Rule.CHOICES_EXPLAINED in state.started.rules
    scored = []
    for record in fitting(site.seed, state):
        score, made_of = _score(record, site, state, present=record.blueprint_id in present)
        scored.append((record, score, made_of if explained else ""))
    ranked = sorted(scored, key=lambda entry: (-entry[1], entry[0].number))
    return Options(
        ranked=tuple(
            Option(record, reads_of(record, config), score, f" with {record.name}, which scores {score:.2f}")
            for record, score, _ in ranked
        ),
        considered=tuple(Considered(option=record.name, score=score, note=note) for record, score, note in scored),
    )


def _score(record: BlueprintRecord, site: Site, state: RunState, *, present: bool) -> tuple[float, str]:
    """The assessed ``BlueprintSelector``'s score, and what it is made of.

    10 accuracy gain + 5 stability gain - 5 risk - 0.01 a MB - 0.1 a ms, + 2 where health is under 0.3 and the
    blueprint promises stability, - 10 where it is present already. Stability gain is the estimate less a half, which
    is what is estimated of nothing; its speed gain has no counterpart here and counts as 0, like latency, which at
    this size is microseconds.
    """
    layer = state.layer(site.seed.layer)
    reads = reads_of(record, state.started.tamiyo_config)
    read, chunk = layer.read_width(reads, site.seed.index), layer.chunk_width(site.seed.index)
    estimates = record.metadata.estimates
    gain = 10.0 * estimates.past_accuracy_gain_estimate
    stability_gain = estimates.stability_estimate - 0.5
    stability = 5.0 * stability_gain
    risk = 5.0 * record.metadata.urabrask.risk_score
    memory = 0.01 * memory_mb(record.graph, read=read, chunk=chunk)
    bonus = 2.0 if site.health < 0.3 and stability_gain > 0.01 else 0.0
    repeated = 10.0 if present else 0.0
    made_of = (
        f"gain {gain:.2f} + stability {stability:.2f} - risk {risk:.2f} - memory {memory:.4f} "
        f"+ relief {bonus:g} - repetition {repeated:g}"
    )
    return gain + stability - risk - memory + bonus - repeated, made_of
