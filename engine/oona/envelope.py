"""What travels on Oona: a CloudEvents 1.0 envelope with its trace, around a body or the claim check of one.

A body is a domain event, written as the journal writes it, or another value under a type name of its own.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, TypeVar, final

from pydantic import Field, ValidationError

from domain.events import DomainEvent
from domain.values import Value
from engine.journal.codec import Codec
from engine.journal.errors import JournalTooNew

_CODEC: Final = Codec()
_KIND: Final = re.compile(r"[a-z][a-z0-9-]*\.v[1-9][0-9]*")
_ValueT = TypeVar("_ValueT", bound=Value)


@final
class EnvelopeRefused(ValueError):
    """What came is no envelope, or its body is not what its type says."""


@final
class ClaimCheck(Value):
    """A body that was too large to travel: where it is."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the body in the blob store."""
    size: int = Field(ge=0)
    """Bytes."""


@final
class Envelope(Value):
    """One message. Equal runs send equal envelopes: nothing in it depends on a clock or on chance.

    Source: CloudEvents 1.0 attributes in small letters; the trace is the W3C Trace Context's ``traceparent``; the wall
    clock of sending travels beside it, in the transport's own headers, which no digest covers.
    """

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1)
    """Unique in its source, the same when sent twice: ``run/position`` or alike. What de-duplication goes by."""
    source: str = Field(min_length=1)
    """Who publishes: ``tolaria``, ``tamiyo``, ..."""
    type: str = Field(min_length=1)
    """What the body is: a domain event's topic with its version, such as ``layer-health-reported.v1``."""
    subject: str = Field(min_length=1)
    """The run."""
    stream: str = Field(min_length=1)
    """What ``sequence`` counts in: messages of one stream reach a consumer in this order, without gaps."""
    sequence: int = Field(ge=1)
    epoch: int = Field(ge=0)
    traceparent: str = Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
    """The run's trace and this message's span, both derived from ids."""
    causation: str = ""
    """Id of the message that this one answers."""
    datacontenttype: Literal["application/json"] = "application/json"
    data: str = ""
    """The body as JSON; empty behind a claim check."""
    claim: ClaimCheck | None = Field(default=None, exclude_if=lambda claim: claim is None)


def event_envelope(event: DomainEvent, *, run: str, position: int, source: str) -> Envelope:
    """The envelope of event number ``position``, counted from 1, of a run: the run is its stream.

    Raises Unrecordable for an event that could not be recorded either.
    """
    name, _, version = _CODEC.topic(type(event)).partition(":")
    return _enveloped(
        _CODEC.encode(event).decode(),
        kind=f"{name}.v{version}",
        name=f"{run}/{position}",
        source=source,
        run=run,
        stream=run,
        sequence=position,
        epoch=event.epoch,
    )


def value_envelope(
    body: Value,
    *,
    kind: str,
    name: str,
    source: str,
    run: str,
    stream: str,
    sequence: int,
    epoch: int,
    causation: str = "",
) -> Envelope:
    """The envelope of a value that is no domain event: a request, an answer, a wish.

    ``kind`` is its type with a version, such as ``decisions-reached.v1``; ``name`` becomes the message's id.
    """
    assert _KIND.fullmatch(kind), f"{kind!r} is no type of a message: write it like decisions-reached.v1"
    return _enveloped(
        body.model_dump_json(),
        kind=kind,
        name=name,
        source=source,
        run=run,
        stream=stream,
        sequence=sequence,
        epoch=epoch,
        causation=causation,
    )


def envelope_of(content: bytes) -> Envelope:
    """The envelope that was sent as ``content``. Raises EnvelopeRefused with the first thing that is wrong."""
    try:
        return Envelope.model_validate_json(content, strict=False)
    except ValidationError as error:
        raise EnvelopeRefused(f"no envelope: {_first(error)}") from error


def event_of(envelope: Envelope) -> DomainEvent:
    """The domain event in an envelope, of whatever version. Raises EnvelopeRefused."""
    name, _, version = envelope.type.rpartition(".v")
    try:
        return _CODEC.decode(f"{name}:{version}", envelope.data.encode())
    except JournalTooNew as error:
        raise EnvelopeRefused(f"{envelope.type} {envelope.id}: {error}") from error
    except ValueError as error:
        raise EnvelopeRefused(f"{envelope.type} {envelope.id} holds no such event: {_first(error)}") from error


def value_of(envelope: Envelope, kind: type[_ValueT]) -> _ValueT:
    """The value in an envelope, whose type the caller has looked at. Raises EnvelopeRefused."""
    try:
        return kind.model_validate_json(envelope.data, strict=False)
    except ValidationError as error:
        raise EnvelopeRefused(f"{envelope.type} {envelope.id} holds no {kind.__name__}: {_first(error)}") from error


def name_of(envelope: Envelope) -> str:
    """What tells a message from every other: an id is unique in its source only."""
    return f"{envelope.source}/{envelope.id}"


def traceparent(run: str, name: str) -> str:
    """The trace of a run and the span of the message ``name`` in it, by hash. Source: W3C Trace Context, version 00."""
    trace, span = (hashlib.sha256(text.encode()).hexdigest() for text in (run, name))
    return f"00-{trace[:32]}-{span[:16]}-01"


def _enveloped(
    data: str,
    *,
    kind: str,
    name: str,
    source: str,
    run: str,
    stream: str,
    sequence: int,
    epoch: int,
    causation: str = "",
) -> Envelope:
    return Envelope(
        id=name,
        source=source,
        type=kind,
        subject=run,
        stream=stream,
        sequence=sequence,
        epoch=epoch,
        traceparent=traceparent(run, name),
        causation=causation,
        data=data,
    )


def _first(error: ValueError) -> str:
    """The first complaint, on one line."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())[:200]
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
