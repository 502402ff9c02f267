"""What journals hold, as text: every event's topic and version, and the fields of everything inside it.

``python -m tests.support.event_shapes`` writes ``tests/tidy/topics.txt`` anew, after a change of events that was meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from domain.events import EVENTS

FILE = Path(__file__).parents[1] / "tidy" / "topics.txt"


def shapes() -> str:
    """One line an event, then one a value or enumeration that events are made of, by name."""
    events = [f"{event.TOPIC}:{event.VERSION} {_fields(event)}" for event in EVENTS]
    parts = {part for event in EVENTS for part in _parts(event)} - set(EVENTS)
    return "\n".join([*events, "", *sorted(f"{part.__name__} {_shape(part)}" for part in parts)]) + "\n"


def _shape(part: type[Any]) -> str:
    if issubclass(part, Enum):
        return "is one of " + " ".join(str(member.value) for member in part)
    return _fields(part)


def _fields(model: type[BaseModel]) -> str:
    return "(" + ", ".join(model.model_fields) + ")"


def _parts(model: type[BaseModel], seen: tuple[type[Any], ...] = ()) -> Iterator[type[Any]]:
    for field in model.model_fields.values():
        for part in _mentioned(field.annotation):
            if part not in seen:
                yield part
                if issubclass(part, BaseModel):
                    yield from _parts(part, (*seen, part))


def _mentioned(annotation: Any) -> Iterator[type[Any]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel | Enum):
        yield annotation
    for inner in get_args(annotation):
        yield from _mentioned(inner)


if __name__ == "__main__":
    FILE.write_text(shapes(), encoding="utf-8")
