"""What the policies of a run remember between boundaries, as one value that a checkpoint can hold."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import final

from domain.karn.policy import KarnPolicy
from domain.tamiyo.policy import TamiyoPolicy
from domain.values import Value


@final
@dataclass(frozen=True, slots=True)
class Memories:
    """What the policies remember, as one value."""

    tamiyo: Value
    karn: Value

    def to_json(self) -> str:
        """Both as one JSON document."""
        return f'{{"tamiyo":{self.tamiyo.model_dump_json()},"karn":{self.karn.model_dump_json()}}}'

    def digest(self) -> str:
        """SHA-256, 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def memories_from(text: str, tamiyo: TamiyoPolicy, karn: KarnPolicy) -> Memories:
    """Read what ``Memories.to_json`` wrote. Raises ValueError where it is not these policies' memory."""
    parts = json.loads(text)
    kinds = {"tamiyo": type(tamiyo.initial()), "karn": type(karn.initial())}
    read = {role: kind.model_validate(parts[role], strict=False) for role, kind in kinds.items()}
    return Memories(read["tamiyo"], read["karn"])
