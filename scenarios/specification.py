"""Scenario files: TOML in, checked values out. A mistake in one is one clear line."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final, get_args

from pydantic import BaseModel, Field, ValidationError

from domain.gates import PRESETS, GateSettings
from domain.grafting import GraftingConfig
from domain.hardware import HardwareContext
from domain.reward.config import REWARDS, RewardConfig
from domain.safety import SafetyConfig
from domain.settings import HostSettings, TaskSettings, TrainingSettings
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.profiles import PROFILES as ENVIRONMENTS
from domain.values import Value

FOLDER: Final = Path(__file__).parent

FIRST: Final = "first"
"""The library of blueprints that runs are planted with by default."""


class BadInput(Exception):
    """Something a person named, wrote or passed is wrong: what, which value, which rule, the way out."""


@final
class NoAnswer(BadInput):
    """A question that was asked well but that no trial could answer."""


@final
class Scenario(Value):
    """A task, a host, and how to train and grow it."""

    name: str
    description: str
    target: float | None = Field(default=None, gt=0, le=1)
    """Test accuracy that the grown host is to reach, or None where none is set."""
    tamiyo: str = "as_designed"
    karn: str = "no_invention"
    library: str = FIRST
    """What its runs begin with: ``first``, or ``catalogue`` for everything of Urza's that can be built here."""
    task: TaskSettings
    host: HostSettings
    training: TrainingSettings
    gates: GateSettings = GateSettings()
    grafting: GraftingConfig = GraftingConfig()
    tamiyo_config: TamiyoConfig = TamiyoConfig()
    safety: SafetyConfig = SafetyConfig()
    hardware: HardwareContext = HardwareContext()
    rewards: RewardConfig = REWARDS


def names() -> tuple[str, ...]:
    """The scenarios that ship, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str, overrides: Mapping[str, Any] | None = None) -> Scenario:
    """The shipped scenario ``name``, or the one in the file ``name`` (ending in .toml), with ``a.b=c`` overrides.

    Raises BadInput.
    """
    if not name.endswith(".toml") and name not in names():
        raise BadInput(unknown("scenario", name, names()))
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise BadInput(f"scenario file {name!r} does not exist")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} is not TOML: {error}") from error
    document.setdefault("name", path.stem)
    return read(document, path.name, overrides)


def read(document: dict[str, Any], source: str, overrides: Mapping[str, Any] | None = None) -> Scenario:
    """The scenario in ``document``, with ``a.b=c`` overrides; ``source`` is for the message. Raises BadInput."""
    for dotted, value in (overrides or {}).items():
        _override(document, dotted, value)
    return _check(_with_presets(document, source), source)


def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    """One line for a name that is not known, with the nearest one that is."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{kind} {name!r} is unknown; {hint}there are: {', '.join(known)}"


def parse_override(text: str) -> tuple[str, Any]:
    """``"training.epochs=20"`` as a dotted name and a TOML value; what is no TOML value is a string.

    Raises BadInput for anything without a name and an equals sign.
    """
    dotted, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in dotted.split(".")):
        raise BadInput(f"--set {text!r} is not of the form section.key=value")
    try:
        return dotted, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return dotted, value


def _override(document: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    table: Any = document
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise BadInput(f"--set {dotted}: {section!r} is a value, not a section")
    table[key] = value


def _with_presets(document: dict[str, Any], source: str) -> dict[str, Any]:
    """Fill in what ``environment`` and ``gates.preset`` select; what the file itself says goes over it."""
    document = dict(document)
    for section in ("gates", "tamiyo_config", "safety"):
        if not isinstance(document.get(section, {}), dict):
            raise BadInput(f"{source}: {section} is a section of keys but got {document[section]!r}")
    gates = dict(document.get("gates", {}))
    preset = gates.pop("preset", "fast")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise BadInput(f"{source}: gates.preset: " + unknown("preset", str(preset), tuple(PRESETS)))
    document["gates"] = _merged(PRESETS[preset], gates)
    environment = document.pop("environment", None)
    if environment is not None:
        if not isinstance(environment, str) or environment not in ENVIRONMENTS:
            raise BadInput(f"{source}: " + unknown("environment", str(environment), tuple(ENVIRONMENTS)))
        selected = ENVIRONMENTS[environment]
        document["tamiyo_config"] = _merged(selected.tamiyo, document.get("tamiyo_config", {}))
        document["safety"] = _merged(selected.safety, document.get("safety", {}))
    return document


def _merged(base: Value, over: Mapping[str, Any]) -> dict[str, Any]:
    merged = base.model_dump(mode="json")
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _check(document: Mapping[str, Any], source: str) -> Scenario:
    try:
        scenario = Scenario.model_validate(document, strict=False)
    except ValidationError as error:
        raise BadInput(f"{source}: {_sentence(error)}") from error
    problems = scenario.tamiyo_config.validate()
    if problems:
        raise BadInput(f"{source}: tamiyo_config: {problems[0]}")
    return scenario


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return f"{'.'.join(where)}: " + unknown("key", where[-1], _keys(where[:-1]))
    got = first["input"]
    if first["type"] == "model_type":
        return f"{'.'.join(where) or 'scenario'} is a section of keys but got {got!r}"
    said = first["msg"].removeprefix("Value error, ")
    value = f" but got {got!r}" if not isinstance(got, dict) else ""
    return f"{'.'.join(where) or 'scenario'}: {said[:1].lower()}{said[1:]}{value}"


def _keys(path: list[str]) -> tuple[str, ...]:
    """The keys that a section of a scenario may have, those that select others among them."""
    section: type[BaseModel] = Scenario
    for part in path:
        annotation = section.model_fields[part].annotation
        kinds = (annotation, *get_args(annotation))  # a section may be optional
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return ()
        section = inner
    selecting = {(): ("environment",), ("gates",): ("preset",)}
    return (*section.model_fields, *selecting.get(tuple(path), ()))
