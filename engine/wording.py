"""How foreign things are quoted in what a run records: the same words in every process."""

from __future__ import annotations

import re
from typing import Final

QUOTED_MAX: Final = 80
"""Characters."""


def portable(text: object) -> str:
    """``str(text)`` on one line, without what would not replay: addresses in memory, and links that name a version."""
    plain = str(text).encode("utf-8", "backslashreplace").decode()  # half a surrogate pair cannot be recorded
    joined = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(plain.split()))
    return re.sub(r" For further information visit https://errors\.pydantic\.dev\S*", "", joined)


def short(thing: object) -> str:
    """The portable ``repr`` of a thing, at most 80 characters long."""
    text = portable(repr(thing))
    return text if len(text) <= QUOTED_MAX else text[: QUOTED_MAX - 3] + "..."
