"""Policies by name: ``as_designed``, ``module:Class`` or ``path/to/file.py:Class``, with ``?parameter=value&...`` behind it.

Parameters are those of the class's constructor, but for ``profile``, that take a whole number, a number, ``true`` or
``false``, or a text. A policy around another one takes that one's name, percent-encoded, as ``of``. Any Tamiyo policy
takes ``epsilon`` and ``temperature`` on top, which wrap it in ``Softened``, unless it has parameters of that name.

A name has one canonical form: parameters by name, values as Python writes them, what has its default left out. Equal
policies so have equal names.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, final
from urllib.parse import parse_qsl, quote

from domain.header import PolicyReference
from domain.tamiyo.softened import Softened
from scenarios.specification import BadInput, unknown

SOFTENING: Final = ("epsilon", "temperature")
WRAPPED: Final = "policy"
"""The constructor's parameter for a policy that is wrapped; in a name it is called ``of``."""
OF: Final = "of"


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """Tamiyo or Karn: what their policies are called, which there are, and what each must have."""

    title: str
    built_in: Mapping[str, str]
    needed: tuple[str, ...]
    contract: str
    """The file that says what such a policy is."""
    softens: bool = False
    """Whether such policies can be wrapped in ``Softened``."""


@final
@dataclass(frozen=True, slots=True)
class _Parameter:
    """A parameter of a constructor."""

    name: str
    kind: str
    default: Any


def policy_named(kind: Kind, text: str) -> tuple[Any, PolicyReference]:
    """The policy and how it is referred to, its name canonical. Raises BadInput."""
    name, _, query = text.partition("?")
    found = _class(kind, name)
    known = _parameters(found)
    given = _given(kind, text, query)
    softening: dict[str, str] = {}
    if kind.softens:
        softening = {str(key): given.pop(key) for key in SOFTENING if key in given and key not in known}
    arguments, shown, sources = _arguments(kind, name, known, given)
    try:
        policy = found(**arguments)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{kind.title} {text!r} cannot be made: {type(error).__name__}: {error}") from error
    missing = [part for part in kind.needed if not hasattr(policy, part)]
    if missing:
        raise BadInput(f"{kind.title} {text!r} has no {missing[0]!r}; {kind.contract} says what a policy is")
    sources = [_source(found), *sources]
    if softening:
        policy, softly = _softened(kind, text, policy, softening)
        if softly:
            shown.update(softly)
            sources = [_source(Softened), *sources]
    return policy, PolicyReference(name=_canonical(name, shown), source_digest=_digest(sources))


def _given(kind: Kind, text: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError as error:
        raise BadInput(f"{kind.title} {text!r}: parameters are of the form name=value&name=value") from error
    given: dict[str, str] = {}
    for key, value in pairs:
        if key in given:
            raise BadInput(f"{kind.title} {text!r} gives parameter {key!r} twice; give it once")
        given[key] = value
    return given


def _parameters(found: type) -> dict[str, _Parameter]:
    """What of a constructor can be given in a name."""
    known = {}
    for name, parameter in inspect.signature(found).parameters.items():
        written = parameter.annotation
        said = written if isinstance(written, str) else getattr(written, "__name__", str(written))
        kind = said.removesuffix(" | None")
        if name == WRAPPED:
            known[OF] = _Parameter(name, OF, parameter.default)
        elif name != "profile" and kind in _READERS:
            known[name] = _Parameter(name, kind, parameter.default)
    return known


def _arguments(
    kind: Kind, name: str, known: Mapping[str, _Parameter], given: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str], list[bytes]]:
    """Arguments for the constructor, as a canonical name shows them, and the sources of what is wrapped."""
    there = (*known, *(each for each in SOFTENING if kind.softens and each not in known))
    arguments: dict[str, Any] = {}
    shown: dict[str, str] = {}
    sources: list[bytes] = []
    for key, text in given.items():
        if key not in known:
            title = f"parameter of {kind.title} {name}"
            raise BadInput(
                unknown(title, key, there) if there else f"{kind.title} {name} takes no {key!r}, nor any other"
            )
        parameter = known[key]
        if parameter.kind == OF:
            arguments[parameter.name], reference = policy_named(kind, text)
            shown[key] = reference.name
            sources.append(reference.source_digest.encode())
            continue
        value = _read(kind, name, parameter.kind, key, text)
        arguments[parameter.name] = value
        if not _equal(value, parameter.default):
            shown[key] = _shown(value)
    absent = [key for key, parameter in known.items() if parameter.default is inspect.Parameter.empty]
    lacking = [key for key in absent if key not in given]
    if lacking:
        raise BadInput(
            f"{kind.title} {name} needs {' and '.join(lacking)}: {name}?{'&'.join(f'{k}=...' for k in absent)}"
        )
    return arguments, shown, sources


def _softened(kind: Kind, text: str, policy: Any, softening: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """The policy as it explores, with the parameters that it does so by; itself where all of them are 0."""
    read = {key: _read(kind, text, "float", key, value) for key, value in softening.items()}
    try:
        made = Softened(policy, **read)
    except ValueError as error:
        raise BadInput(f"{kind.title} {text!r} cannot be made: {error}") from error
    shown = {key: _shown(value) for key, value in read.items() if value != 0}
    return (made, shown) if shown else (policy, {})


def _read(kind: Kind, name: str, reader: str, key: str, text: str) -> Any:
    try:
        return _READERS[reader](text)
    except ValueError:
        wanted = _WANTED[reader]
        raise BadInput(f"{kind.title} {name}: parameter {key!r} must be {wanted} but got {text!r}") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value + 0.0  # minus nought is nought


def _truth(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {"int": int, "float": _finite, "bool": _truth, "str": str}
_WANTED: Final = {"int": "a whole number", "float": "a finite number", "bool": "true or false", "str": "a text"}


def _equal(value: Any, default: Any) -> bool:
    return isinstance(value, bool) == isinstance(default, bool) and bool(value == default)


def _shown(value: Any) -> str:
    """As Python writes it, but for truth, which is read in small letters, and for texts, which are not quoted."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value)


def _canonical(name: str, shown: Mapping[str, str]) -> str:
    pairs = [f"{key}={quote(shown[key], safe='/')}" for key in sorted(shown)]
    return f"{name}?{'&'.join(pairs)}" if pairs else name


def _source(policy: type) -> bytes:
    """What a policy is made of: its file; of a built-in one every file of its room, which share their parts."""
    file = Path(inspect.getfile(policy))
    if not policy.__module__.startswith("domain."):
        return file.read_bytes()
    return b"".join(part.read_bytes() for part in sorted(file.parent.glob("*.py")))


def _digest(sources: list[bytes]) -> str:
    """SHA-256 of one source; of several, of the digests of each."""
    digests = [hashlib.sha256(source).hexdigest() for source in sources]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _class(kind: Kind, name: str) -> type:
    place = kind.built_in.get(name, name)
    where, colon, wanted = place.rpartition(":")
    if not colon:
        known = unknown(kind.title, name, tuple(kind.built_in))
        raise BadInput(f"{known}; or name a module:Class or a path/to/file.py:Class")
    found = getattr(_module(kind, name, where), wanted, None)
    if not inspect.isclass(found):
        raise BadInput(f"{kind.title} {name!r}: {where} has no class {wanted!r}")
    return found


def _module(kind: Kind, name: str, where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise BadInput(f"{kind.title} {name!r}: there is no file {where!r}")
        label = f"regrow_policy_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
        # Not through the import system: its cache of bytecode would miss an edit within the same second.
        module = ModuleType(label)
        module.__file__ = str(path)
        sys.modules[label] = module
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - a policy is code
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"{kind.title} {name!r} does not import: {type(error).__name__}: {error}") from error
    return module
