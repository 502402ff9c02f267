"""Where everything is put together: policies by name, a header from a scenario, a trainer for a header."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from domain.catalogue import registrations
from domain.events import BlueprintRegistered, DomainEvent
from domain.header import Fingerprint, LayerLayout, PolicyReference, RunHeader, layout_of
from domain.karn.policy import KarnPolicy
from domain.lifecycle import PROFILES, SIMPLIFIED
from domain.safety import CHECK_PRESETS
from domain.shapes import parameter_count
from domain.tamiyo.policy import TamiyoPolicy
from scenarios.specification import BadInput, Scenario, unknown
from scenarios.tasks.catalogue import TASKS

TAMIYO: Final = {
    "as_designed": "domain.tamiyo.as_designed:AsDesigned",
    "as_implemented": "domain.tamiyo.as_implemented:AsImplemented",
    "never_grow": "domain.tamiyo.never_grow:NeverGrow",
    "random_growth": "domain.tamiyo.random_growth:RandomGrowth",
    "always_grow": "domain.tamiyo.always_grow:AlwaysGrow",
}
KARN: Final = {"no_invention": "domain.karn.no_invention:NoInvention"}


def tamiyo(name: str) -> tuple[TamiyoPolicy, PolicyReference]:
    """The Tamiyo policy of a built-in name, ``module:Class`` or ``path/to/file.py:Class``. Raises BadInput."""
    policy, reference = _policy("Tamiyo policy", name, TAMIYO, ("profile", "initial", "step"))
    if policy.profile not in PROFILES:
        raise BadInput(f"policy {name}: " + unknown("lifecycle profile", str(policy.profile), tuple(PROFILES)))
    found: TamiyoPolicy = policy
    return found, reference


def karn(name: str) -> tuple[KarnPolicy, PolicyReference]:
    """The Karn policy of a built-in name, ``module:Class`` or ``path/to/file.py:Class``. Raises BadInput."""
    policy, reference = _policy("Karn policy", name, KARN, ("initial", "step"))
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


def _policy(kind: str, name: str, built_in: dict[str, str], needed: tuple[str, ...]) -> tuple[Any, PolicyReference]:
    place = built_in.get(name, name)
    where, colon, wanted = place.rpartition(":")
    if not colon:
        raise BadInput(unknown(kind, name, tuple(built_in)) + "; or name a module:Class or a path/to/file.py:Class")
    module = _module(kind, name, where)
    found = getattr(module, wanted, None)
    if not inspect.isclass(found):
        raise BadInput(f"{kind} {name!r}: {where} has no class {wanted!r}")
    try:
        policy = found()
    except (Exception, SystemExit) as error:
        raise BadInput(f"{kind} {name!r} cannot be made: {type(error).__name__}: {error}") from error
    missing = [part for part in needed if not hasattr(policy, part)]
    if missing:
        raise BadInput(f"{kind} {name!r} has no {missing[0]!r}; domain/tamiyo/policy.py says what a policy is")
    source = Path(inspect.getfile(found)).read_bytes()
    return policy, PolicyReference(name=name, source_digest=hashlib.sha256(source).hexdigest())


def _module(kind: str, name: str, where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise BadInput(f"{kind} {name!r}: there is no file {where!r}")
        label = f"regrow_policy_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
        # Not through the import system: its cache of bytecode would miss an edit within the same second.
        module = ModuleType(label)
        module.__file__ = str(path)
        sys.modules[label] = module
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 - a policy is code
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"{kind} {name!r} does not import: {type(error).__name__}: {error}") from error
    return module


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
    )
    return made, tamiyo_policy, karn_policy


def first_library() -> Sequence[DomainEvent]:
    """The events that fill the library of a new run."""
    return registrations(epoch=0)


def data(header: RunHeader) -> Any:
    """The task's data as the live trainer takes it, split by the run key."""
    return TASKS[header.task.name].load(header.task, header.run_key)


def summary(place: str) -> str:
    """The first sentence that a built-in policy says of itself."""
    module, _, wanted = place.partition(":")
    said = inspect.getdoc(getattr(importlib.import_module(module), wanted)) or ""
    return said.partition("\n")[0]


def blueprint_rows() -> list[dict[str, Any]]:
    """The first library as rows: number, name, level, what it reads, its size in a slot of 8 inputs, 8 units, 4 to write."""
    layer = LayerLayout(layer=0, inputs=8, outputs=8, seeds=2)
    rows = []
    for event in first_library():
        if isinstance(event, BlueprintRegistered):
            metadata = event.metadata
            width = layer.read_width(metadata.default_reads, 0)
            rows.append(
                {
                    "number": event.number,
                    "name": metadata.name,
                    "blueprint_id": event.blueprint_id,
                    "level": metadata.urabrask.conf_level.value,
                    "reads": metadata.default_reads.value,
                    "parameters": parameter_count(event.graph, read=width, chunk=layer.chunk_width(0)),
                    "description": metadata.urza.description,
                }
            )
    return rows
