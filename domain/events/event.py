"""What every event is."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from domain.values import Value


class DomainEvent(Value):
    """Something that happened at the end of ``epoch``."""

    TOPIC: ClassVar[str]
    VERSION: ClassVar[int] = 1

    epoch: int = Field(ge=0)
