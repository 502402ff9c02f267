"""What a rollback undoes, and the checkpoint that it goes back to."""

from __future__ import annotations

from domain.checkpoints import last_fossil, newest_upto
from domain.events import CheckpointSaved
from domain.identifiers import SeedId
from domain.lifecycle import ADAPTING, Stage
from domain.run import RunState


def restore_point(state: RunState, culprit: SeedId | None) -> CheckpointSaved:
    """The checkpoint that a rollback restores: the newest from before everything that the rollback undoes.

    That is the germination of the earliest adaptation in the host, or of the culprit if it is still waiting; nothing
    younger would be a network that ever was, once its blueprints are taken out. Never one older than the latest fossil,
    which has to survive. The newest one of all where nothing is undone.
    """
    undone = [state.seeds[name] for name in undone_by_rollback(state, culprit)]
    begun = [seed.adaptation.germinated_at for seed in undone if seed.adaptation is not None]
    if not begun:
        return state.checkpoints[-1]
    return newest_upto(state.checkpoints, max(min(begun), last_fossil(state.seeds)))


def undone_by_rollback(state: RunState, culprit: SeedId | None) -> tuple[SeedId, ...]:
    """The seeds whose adaptations a rollback concludes, in order: all in the host, and the culprit wherever it is."""
    in_host = (*ADAPTING, Stage.ERROR_RECOVERY)
    found = [name for name, seed in state.seeds.items() if seed.stage in in_host or name == culprit]
    return tuple(sorted(found, key=lambda name: (name.layer, name.index)))
