"""The key of an encrypted journal: the one thing that is taken from the environment, so that no file and no header holds it."""

from __future__ import annotations

import os
from typing import Final

CIPHER_KEY: Final = "REGROW_CIPHER_KEY"
"""A base64 key of 16, 24 or 32 bytes; `regrow new-key` makes one."""


def cipher_key() -> str | None:
    """The key of this process and of those that it starts; None where there is none."""
    return os.environ.get(CIPHER_KEY) or None
