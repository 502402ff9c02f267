"""Hypothesis strategies for every event, drawn from the types themselves."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from enum import Enum
from itertools import chain
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from hypothesis import reject
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from domain.blueprint import BlueprintGraph, Op, node
from domain.events import EVENTS, DomainEvent
from domain.health import METRICS, LayerHealthReport, SeedProgress
from domain.values import Column, Value

SPECIAL: Final = (math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 1 / 3)


def floats(low: float | None = None, high: float | None = None) -> st.SearchStrategy[float]:
    """Floats with the awkward ones often, in [low, high] where bounded. NaN has one bit pattern, as in JSON."""
    if low is None and high is None:
        return st.one_of(st.sampled_from(SPECIAL), st.floats(allow_nan=False))
    return st.floats(low, high, allow_nan=False)


def texts(size_min: int = 0) -> st.SearchStrategy[str]:
    """Any text that UTF-8 can hold."""
    return st.text(st.characters(codec="utf-8"), min_size=size_min, max_size=12)


def columns(seeds: int) -> st.SearchStrategy[Column]:
    """A column of ``seeds`` floats."""
    return st.lists(floats(), min_size=seeds, max_size=seeds).map(Column)


@st.composite
def reports(draw: st.DrawFn) -> LayerHealthReport:
    """Health reports of 0 to 5 seeds."""
    seeds = draw(st.integers(0, 5))
    whole = st.integers(0, 2**40)
    return LayerHealthReport(
        layer=draw(st.integers(0, 9)),
        **{name: draw(columns(seeds)) for name in METRICS},
        execution_latency_ms=draw(floats()),
        cache_hit_rate=draw(floats()),
        total_executions=draw(whole),
        error_counts=tuple(draw(st.one_of(st.just([]), st.lists(whole, min_size=seeds, max_size=seeds)))),
        progress=tuple(draw(st.lists(values(SeedProgress), max_size=2))),
    )


@st.composite
def graphs(draw: st.DrawFn) -> BlueprintGraph:
    """A residual perceptron with drawn names, widths and factors."""
    read, hidden, scaled, up = draw(st.lists(texts(1), min_size=4, max_size=4, unique=True))
    factor = draw(st.floats(allow_nan=False, allow_infinity=False))
    nodes = (
        node(read, Op.READ),
        node(hidden, Op.LINEAR, read, out=draw(st.integers(1, 64)), bias=draw(st.booleans())),
        node(scaled, Op.SCALE, hidden, factor=factor),
        node(up, Op.LINEAR, scaled, out="chunk", init="zero"),
    )
    return BlueprintGraph(nodes=nodes, output=up)


_OWN: Final[Mapping[Any, st.SearchStrategy[Any]]] = {
    LayerHealthReport: reports(),
    BlueprintGraph: graphs(),
    Column: columns(3),
}


@st.composite
def values(draw: st.DrawFn, kind: type[Any]) -> Any:
    """A value of a record type. One whose fields must agree falls back to its defaults, if it has them all."""
    fields: dict[str, FieldInfo] = kind.model_fields
    drawn = {name: draw(_of_field(field)) for name, field in fields.items()}
    try:
        return kind(**drawn)
    except ValidationError:
        needed = {name: drawn[name] for name, field in fields.items() if field.is_required()}
    try:
        return kind(**needed)
    except ValidationError:
        return reject()


def _of_field(field: FieldInfo) -> st.SearchStrategy[Any]:
    return _of(field.annotation, tuple(field.metadata))


def _of(kind: Any, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    if kind in _OWN:
        return _OWN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner = (entry.metadata if isinstance(entry, FieldInfo) else [entry] for entry in arguments[1:])
        return _of(arguments[0], (*metadata, *chain.from_iterable(inner)))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in {Union, types.UnionType}:
        return st.one_of([_of(argument, metadata) for argument in arguments])
    if origin is tuple:
        return _of_tuple(arguments, metadata)
    if hasattr(kind, "__supertype__"):
        return _of(kind.__supertype__, metadata)
    return _of_class(kind, metadata)


def _of_class(kind: type[Any], metadata: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    low, high = _bound(metadata, "ge", "gt"), _bound(metadata, "le", "lt")
    pattern = next((entry.pattern for entry in metadata if getattr(entry, "pattern", None)), None)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(-(2**70) if low is None else int(low), 2**70 if high is None else int(high))
    if kind is float:
        return floats(low, high)
    if kind is str:
        return st.from_regex(pattern, fullmatch=True) if pattern else texts(_size(metadata))
    if kind is type(None):
        return st.none()
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    assert issubclass(kind, Value), f"no strategy for {kind}; add one to tests/support/event_strategies.py"
    return values(kind)


def _of_tuple(arguments: tuple[Any, ...], metadata: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        size = _size(metadata)
        return st.lists(_of(arguments[0]), min_size=size, max_size=size + 2).map(tuple)
    return st.tuples(*[_of(argument) for argument in arguments])


def _bound(metadata: tuple[Any, ...], closed: str, opened: str) -> float | None:
    for entry in metadata:
        if hasattr(entry, closed):
            return float(getattr(entry, closed))
        if hasattr(entry, opened):
            edge = float(getattr(entry, opened))
            return math.nextafter(edge, math.inf if opened == "gt" else -math.inf)
    return None


def _size(metadata: tuple[Any, ...]) -> int:
    return max((entry.min_length for entry in metadata if isinstance(entry, annotated_types.MinLen)), default=0)


def events(kind: type[DomainEvent]) -> st.SearchStrategy[Any]:
    """Events of one type."""
    return values(kind)


def any_event() -> st.SearchStrategy[Any]:
    """Events of every type."""
    return st.sampled_from(EVENTS).flatmap(events)
