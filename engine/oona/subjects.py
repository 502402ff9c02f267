"""What topics and runs are called on a NATS server, where a dot parts a subject and ``*`` and ``>`` mean anything."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from engine.oona.topics import Topic

_ROOT: Final = "oona"

EVERYTHING: Final = tuple(f"{_ROOT}.{topic.value}.>" for topic in Topic)
"""What the stream of all topics takes, foreign messages included."""

DEAD_LETTERS: Final = "dead.letters"
"""What the stream of dead letters takes."""


def subject_of(topic: Topic, run: str) -> str:
    """Where messages of one run are published."""
    return f"{_ROOT}.{topic.value}.{_token(run)}"


def filter_of(topic: Topic, run: str | None) -> str:
    """What to consume: one run's messages, or all of the topic, foreign ones too."""
    return f"{_ROOT}.{topic.value}.>" if run is None else subject_of(topic, run)


def topic_on(subject: str) -> Topic:
    """The topic of a message that was consumed."""
    return next(topic for topic in Topic if subject.startswith(f"{_ROOT}.{topic.value}."))


def run_on(subject: str) -> str:
    """The run that the last token of a subject names."""
    return unquote(subject.rpartition(".")[2])


def durable_name(consumer: str, run: str | None) -> str:
    """What a consumer is called on the server: each run that it follows has a place of its own."""
    return _token(consumer) if run is None else f"{_token(consumer)}={_token(run)}"


def _token(name: str) -> str:
    """Any text as one token: all but ASCII letters, digits, ``_``, ``-`` and ``~`` as ``%XX``."""
    return quote(name, safe="").replace(".", "%2E")
