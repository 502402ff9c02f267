"""The header of a fork: the parent's, with what is to be different from there on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from domain.events import DomainEvent, RunForked
from domain.header import RULES_IN_FORCE, RunHeader
from domain.lifecycle import PROFILES, SIMPLIFIED
from domain.run import RunState, evolve
from domain.safety import SafetyConfig
from scenarios import composition, specification
from scenarios.runs import simulation
from scenarios.specification import BadInput, Scenario

SECTIONS: Final = ("task", "host", "training", "gates", "grafting", "tamiyo_config", "safety", "hardware", "rewards")
PLANTED: Final = ("task", "host.hidden", "host.seeds_per_layer", "training.threads")
"""What a network that is already planted cannot change."""
DECIDING: Final = frozenset(
    {"regrow", "rules", "profile", "tamiyo", "karn", "gates", "tamiyo_config", "safety", "rewards", "trainer"}
)
"""What of a header has no effect on training but through decisions."""


def amended(
    header: RunHeader,
    *,
    tamiyo: str | None = None,
    karn: str | None = None,
    trainer: str | None = None,
    key: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> RunHeader:
    """``header`` with other policies, settings (dotted key to value), run key or trainer; itself if nothing differs.

    ``trainer`` is as headers have it.

    Raises BadInput for a setting of the planted network, and for what no scenario could say either.
    """
    overrides = dict(overrides or {})
    for dotted in overrides:
        if any(f"{dotted}.".startswith(f"{fixed}.") or fixed.startswith(f"{dotted}.") for fixed in PLANTED):
            raise BadInput(f"--set {dotted}: the network is planted already; run it from its beginning to change that")
    tamiyo = tamiyo or overrides.pop("tamiyo", None)
    karn = karn or overrides.pop("karn", None)
    scenario = _scenario(header, tamiyo, overrides)
    made, _, _ = composition.header(
        scenario,
        header.run_key if key is None else key,
        tamiyo or header.tamiyo.name,
        karn or header.karn.name,
        simulation.fingerprint() if str(trainer).startswith(simulation.PREFIX) else header.fingerprint,
    )
    made = made.model_copy(update={"layout": header.layout, "trainer": trainer or header.trainer})
    as_before = made.model_copy(update={"regrow": header.regrow, "rules": header.rules})
    return header if as_before == header else made


def _scenario(header: RunHeader, tamiyo: str | None, overrides: Mapping[str, Any]) -> Scenario:
    document: dict[str, Any] = {section: getattr(header, section).model_dump(mode="json") for section in SECTIONS}
    if header.profile == SIMPLIFIED.name and tamiyo and composition.tamiyo(tamiyo)[0].profile != SIMPLIFIED.name:
        # The simplified lifecycle came with the limits of its own trainer (D-015); the scenario's are back in force.
        document["safety"]["decision_checks"] = _own_safety(header.scenario).decision_checks.model_dump(mode="json")
    # A preset is chosen by leaving out what it decides.
    if "gates.preset" in overrides:
        del document["gates"]
    if "environment" in overrides:
        del document["tamiyo_config"], document["safety"]
    document |= {"name": header.scenario, "description": f"a fork of {header.scenario}"}
    return specification.read(document, header.scenario, overrides)


def _own_safety(name: str) -> SafetyConfig:
    return specification.load(name).safety if name in specification.names() else SafetyConfig()


def fork_event(parent: str, digest: str, state: RunState, header: RunHeader) -> RunForked:
    """The event that puts ``header`` in force after ``state``."""
    made = header.model_copy(update={"regrow": version("regrow"), "rules": RULES_IN_FORCE})
    return RunForked(epoch=state.epoch + 1, parent=parent, parent_digest=digest, header=made)


def check_course(state: RunState, header: RunHeader) -> None:
    """Raises BadInput where training cannot go on under ``header`` after ``state``."""
    if header.epochs <= state.epoch:
        raise BadInput(
            f"--at {state.epoch}: training.epochs is {header.epochs}, which leaves nothing to train; "
            f"set it to {state.epoch + 1} or more, or fork at an earlier epoch"
        )
    before = state.started
    if header.trainer == "live" != before.trainer:
        raise BadInput(
            f"--trainer live: epoch {state.epoch} was not trained but {before.trainer}, so there is no network to train "
            "on; fork the live run that it came from"
        )
    if header.trainer == "recorded":
        for name, value in header:
            if name not in DECIDING and value != getattr(before, name):
                raise BadInput(
                    f"--trainer recorded: what was recorded does not say what another {name} would have given; "
                    "leave that as it was, or fork with --trainer live"
                )


def check_stages(events: Sequence[DomainEvent], header: RunHeader) -> None:
    """Raises BadInput where a seed is in a stage that the new lifecycle does not know."""
    profile = PROFILES[header.profile]
    state, fits = RunState(), {}
    for event in events:
        state = evolve(state, event)
        if event.TOPIC == "epoch-sealed":
            fits[event.epoch] = next((s for s in state.seeds.values() if s.stage not in profile.stages), None)
    stranger = fits[state.epoch]
    if stranger is None:
        return
    earlier = [epoch for epoch, seed in fits.items() if seed is None]
    hint = f"; fork at epoch {earlier[-1]} or earlier" if earlier else ""
    raise BadInput(
        f"--at {state.epoch}: seed {stranger.seed_id} is in {stranger.stage.value}, which the lifecycle "
        f"{profile.name!r} does not have{hint}"
    )
