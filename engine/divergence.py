"""Where a replay first differs from its recording, field by field, and why that is likely."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, final

from domain.events import (
    BlueprintProposed,
    CheckpointSaved,
    DecisionMade,
    DomainEvent,
    EpochCompleted,
    EpochSealed,
    LayerHealthReported,
    TestScored,
)
from domain.values import Value

FIELDS_SHOWN_MAX: Final = 12


@final
class FieldDifference(Value):
    """One field of an event that is not as recorded; both sides as JSON, "absent" where there is none."""

    path: str
    recorded: str
    replayed: str


@final
class Divergence(Value):
    """The first event that differs."""

    position: int
    """In the run, counted from 1."""
    epoch: int
    recorded_topic: str
    replayed_topic: str
    fields: tuple[FieldDifference, ...]
    last_common: str
    """The last event in common: position and topic, or "nothing"."""
    streams: tuple[tuple[str, int], ...]
    """Random streams and how much recorded decisions drew from each up to here."""
    cause: str
    """A likely one, in a sentence."""

    @property
    def line(self) -> str:
        """Everything that matters in one line."""
        first = self.fields[0] if self.fields else None
        what = f"{first.path} {first.recorded} became {first.replayed}" if first else "its presence"
        return f"position {self.position}, epoch {self.epoch}: {self.recorded_topic}: {what}; {self.cause}"


def compare(
    recorded: Sequence[DomainEvent], replayed: Sequence[DomainEvent], first_position: int, before: Iterable[DomainEvent]
) -> Divergence | None:
    """The first difference of two tellings of one epoch, or None. ``before`` is everything recorded before them."""
    for offset in range(max(len(recorded), len(replayed))):
        was = recorded[offset] if offset < len(recorded) else None
        is_now = replayed[offset] if offset < len(replayed) else None
        if was is not None and is_now is not None and _same(was, is_now):
            continue
        past = [*before, *recorded[:offset]]
        return _divergence(was, is_now, first_position + offset, past)
    return None


def stopped(
    recorded: Sequence[DomainEvent], before: int, unsealed: Sequence[DomainEvent], cause: str, wanted: str = "nothing"
) -> Divergence:
    """Where a replay differs that stopped half-way through an epoch, which begins behind position ``before``.

    In what it told of that epoch; or, if all of this is as recorded, in stopping there, for ``cause``, where it
    ``wanted`` what nobody could give it.
    """
    came = before + len(unsealed)
    found = compare(recorded[before:came], unsealed, before + 1, recorded[:before])
    if found is not None:
        return found
    found = compare(recorded[came : came + 1], [], came + 1, recorded[:came])
    assert found is not None, f"a recording that was followed to position {came} ends there, in the middle of an epoch"
    return found.model_copy(update={"replayed_topic": wanted, "cause": cause})


def _same(was: DomainEvent, is_now: DomainEvent) -> bool:
    """Equal in type and in every byte of every float: NaN equals NaN, and -0.0 is not 0.0."""
    return type(was) is type(is_now) and was.model_dump_json() == is_now.model_dump_json()


def _divergence(
    was: DomainEvent | None, is_now: DomainEvent | None, position: int, past: Sequence[DomainEvent]
) -> Divergence:
    differing = was or is_now
    assert differing is not None
    last = f"position {position - 1}, {past[-1].TOPIC}" if past else "nothing"
    fields = tuple(_fields(_tree(was), _tree(is_now)))[:FIELDS_SHOWN_MAX]
    return Divergence(
        position=position,
        epoch=differing.epoch,
        recorded_topic=was.TOPIC if was else "nothing",
        replayed_topic=is_now.TOPIC if is_now else "nothing",
        fields=fields,
        last_common=last,
        streams=_streams(past),
        cause=_cause(was, is_now, fields),
    )


def _tree(event: DomainEvent | None) -> Any:
    return {} if event is None else {"topic": event.TOPIC, **json.loads(event.model_dump_json())}


def _fields(was: Any, is_now: Any, path: str = "") -> Iterable[FieldDifference]:
    if isinstance(was, dict) and isinstance(is_now, dict):
        for key in [*was, *(key for key in is_now if key not in was)]:
            yield from _fields(was.get(key, _ABSENT), is_now.get(key, _ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(was, list) and isinstance(is_now, list) and len(was) == len(is_now):
        for index, (left, right) in enumerate(zip(was, is_now, strict=True)):
            yield from _fields(left, right, f"{path}[{index}]")
    elif _text(was) != _text(is_now):
        yield FieldDifference(path=path, recorded=_text(was), replayed=_text(is_now))


_ABSENT: Final = object()


def _text(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value)


def _streams(past: Iterable[DomainEvent]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for event in past:
        if isinstance(event, DecisionMade):
            for draw in event.decision.draws:
                counts[draw.stream] = counts.get(draw.stream, 0) + draw.count
    return tuple(sorted(counts.items()))


def _cause(was: DomainEvent | None, is_now: DomainEvent | None, fields: Sequence[FieldDifference]) -> str:
    if was is None or is_now is None or type(was) is not type(is_now):
        return "the engine or a policy takes another course from here: another version of the code"
    names = {difference.path for difference in fields}
    match was:
        case EpochCompleted() if names == {"weights_digest"}:
            return "the weights differ though the metrics agree: another kernel, thread count or torch build"
        case EpochCompleted() | LayerHealthReported() | TestScored():
            return "training took another course: other data, another kernel, thread count or torch build"
        case CheckpointSaved():
            return "the trainer's hidden state differs though its reports agree: optimizer or controller memory"
        case DecisionMade() | BlueprintProposed():
            return "the policy decides otherwise on equal reports: its source changed, or it is not pure"
        case EpochSealed():
            return "the events agree but the state or memory behind them does not: the fold or a policy changed"
        case _:
            return "the rules of the lifecycle changed since the recording"
