"""Where everything is put together: policies by name, a header from a scenario, a trainer for a header."""

from __future__ import annotations

import importlib
import inspect
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from domain.events import BlueprintRegistered, DomainEvent
from domain.header import Fingerprint, LayerLayout, PolicyReference, RunHeader, layout_of
from domain.karn.policy import KarnPolicy
from domain.lifecycle import PROFILES, SIMPLIFIED
from domain.safety import CHECK_PRESETS
from domain.shapes import parameter_count
from domain.tamiyo.policy import TamiyoPolicy
from domain.urza.catalogue import registrations
from engine.trainers.data import TaskLoader
from scenarios.policy_names import Kind, policy_named
from scenarios.specification import FIRST, BadInput, Scenario, unknown
from scenarios.tasks.catalogue import TASKS

if TYPE_CHECKING:
    from domain.urza.source_catalogue import SourceEntry

TAMIYO: Final = {
    "as_designed": "domain.tamiyo.as_designed:AsDesigned",
    "as_implemented": "domain.tamiyo.as_implemented:AsImplemented",
    "never_grow": "domain.tamiyo.never_grow:NeverGrow",
    "random_growth": "domain.tamiyo.random_growth:RandomGrowth",
    "always_grow": "domain.tamiyo.always_grow:AlwaysGrow",
    "composed": "domain.tamiyo.composed:Composed",
    "fixed_schedule": "domain.tamiyo.controls:FixedSchedule",
    "random_time": "domain.tamiyo.controls:RandomTime",
    "random_blueprint": "domain.tamiyo.controls:RandomBlueprint",
    "with": "domain.tamiyo.without:With",
    "without": "domain.tamiyo.without:Without",
}
KARN: Final = {
    "no_invention": "domain.karn.no_invention:NoInvention",
    "evolution": "domain.karn.evolution:Evolution",
    "random_search": "domain.karn.random_search:RandomSearch",
}

_TAMIYO: Final = Kind("Tamiyo policy", TAMIYO, ("profile", "initial", "step"), "domain/tamiyo/policy.py", softens=True)
_KARN: Final = Kind("Karn policy", KARN, ("initial", "step"), "domain/karn/policy.py")


def tamiyo(name: str) -> tuple[TamiyoPolicy, PolicyReference]:
    """The Tamiyo policy of a name, with parameters if it has any (``policy_names`` says how). Raises BadInput."""
    policy, reference = policy_named(_TAMIYO, name)
    if policy.profile not in PROFILES:
        raise BadInput(f"policy {name}: " + unknown("lifecycle profile", str(policy.profile), tuple(PROFILES)))
    found: TamiyoPolicy = policy
    return found, reference


def karn(name: str) -> tuple[KarnPolicy, PolicyReference]:
    """The Karn policy of a name, with parameters if it has any. Raises BadInput."""
    policy, reference = policy_named(_KARN, name)
    found: KarnPolicy = policy
    return found, reference


def policies(header: RunHeader) -> tuple[TamiyoPolicy, KarnPolicy]:
    """The policies that a recorded run names. Raises BadInput if they cannot be found any more."""
    return tamiyo(header.tamiyo.name)[0], karn(header.karn.name)[0]


def changed_sources(header: RunHeader) -> tuple[str, ...]:
    """A sentence for each policy of a recorded run whose source is not the one it was recorded with."""
    found = []
    for recorded, find in ((header.tamiyo, tamiyo), (header.karn, karn)):
        try:
            _, now = find(recorded.name)
        except BadInput:
            continue
        if now.source_digest != recorded.source_digest:
            found.append(f"the source of policy {recorded.name} has changed since the recording")
    return tuple(found)


def header(
    scenario: Scenario, run_key: int, tamiyo_name: str | None, karn_name: str | None, fingerprint: Fingerprint
) -> tuple[RunHeader, TamiyoPolicy, KarnPolicy]:
    """The header of a run to be, and its policies. Raises BadInput for a task or policy that does not exist."""
    if scenario.task.name not in TASKS:
        raise BadInput(f"{scenario.name}: task.name: " + unknown("task", scenario.task.name, tuple(TASKS)))
    tamiyo_policy, tamiyo_reference = tamiyo(tamiyo_name or scenario.tamiyo)
    karn_policy, karn_reference = karn(karn_name or scenario.karn)
    safety = scenario.safety
    if tamiyo_policy.profile == SIMPLIFIED.name:
        # That lifecycle comes with the limits of the trainer that had it, not with the service's checks: D-015.
        safety = safety.model_copy(update={"decision_checks": CHECK_PRESETS["trainer"]})
    made = RunHeader(
        regrow=version("regrow"),
        scenario=scenario.name,
        run_key=run_key,
        profile=tamiyo_policy.profile,
        tamiyo=tamiyo_reference,
        karn=karn_reference,
        fingerprint=fingerprint,
        task=scenario.task,
        host=scenario.host,
        layout=layout_of(scenario.host, TASKS[scenario.task.name].features),
        training=scenario.training,
        gates=scenario.gates,
        grafting=scenario.grafting,
        tamiyo_config=scenario.tamiyo_config,
        safety=safety,
        hardware=scenario.hardware,
        rewards=scenario.rewards,
    )
    return made, tamiyo_policy, karn_policy


@lru_cache(maxsize=1)
def first_library() -> tuple[DomainEvent, ...]:
    """The events that fill the library of a new run, where its scenario names no other."""
    return registrations(epoch=0)


@lru_cache(maxsize=4)
def library(name: str) -> tuple[DomainEvent, ...]:
    """The events that plant the library that a scenario names. Raises BadInput."""
    if name == FIRST:
        return first_library()
    from domain.urza.source_catalogue import LIBRARIES  # whose graphs are made when it is loaded

    if name not in LIBRARIES:
        raise BadInput("library: " + unknown("library", name, tuple(LIBRARIES)))
    return registrations(0, LIBRARIES[name])


def loader(header: RunHeader) -> TaskLoader:
    """What loads the data of a task, as the live trainer takes it."""
    return TASKS[header.task.name].load


def data(header: RunHeader) -> Any:
    """The task's data as the live trainer takes it, split by the run key."""
    return TASKS[header.task.name].load(header.task, header.run_key)


def summary(place: str) -> str:
    """The first sentence that a built-in policy says of itself."""
    module, _, wanted = place.partition(":")
    said = inspect.getdoc(getattr(importlib.import_module(module), wanted)) or ""
    return said.partition("\n")[0]


def blueprint_rows() -> list[dict[str, Any]]:
    """Everything of the first library and of Urza's catalogue as rows, what can be grown first, by number.

    Sizes are those in a slot of 8 inputs and 8 units of which it writes 4. ``needs`` says why a row has no number.
    """
    from domain.urza.source_catalogue import ENTRIES

    layer = LayerLayout(layer=0, inputs=8, outputs=8, seeds=2)
    titles = {entry.blueprint: entry for entry in ENTRIES if entry.blueprint is not None}
    first = {event.blueprint_id for event in first_library() if isinstance(event, BlueprintRegistered)}
    rows: list[dict[str, Any]] = []
    for event in library("catalogue"):
        assert isinstance(event, BlueprintRegistered), "a named library is registered and nothing else"
        metadata, source = event.metadata, titles.get(event.metadata.name)
        width = layer.read_width(metadata.default_reads, 0)
        rows.append(
            {
                "number": event.number,
                "name": metadata.name,
                "title": None if source is None else source.title,
                "category": None if source is None else source.category,
                "blueprint_id": event.blueprint_id,
                "library": FIRST if event.blueprint_id in first else "catalogue",
                "level": metadata.urabrask.conf_level.value,
                "source_level": None if source is None else source.level.value,
                "risky": metadata.risky,
                "reads": metadata.default_reads.value,
                "parameters": parameter_count(event.graph, read=width, chunk=layer.chunk_width(0)),
                "description": metadata.urza.description,
                "needs": [],
            }
        )
    return rows + [_listed(entry) for entry in ENTRIES if entry.blueprint is None]


def _listed(entry: SourceEntry) -> dict[str, Any]:
    """The row of an entry that cannot be grown here."""
    return {
        "number": None,
        "name": None,
        "title": entry.title,
        "category": entry.category,
        "blueprint_id": None,
        "library": None,
        "level": entry.level.value,
        "source_level": entry.level.value,
        "risky": entry.risky,
        "reads": None,
        "parameters": None,
        "description": f"{entry.benefit}; {entry.sweet_spot}",
        "needs": [need.value for need in entry.needs],
    }
