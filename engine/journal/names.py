"""What a run may be called. A run id names a folder of blobs and stands in addresses, so it is plain."""

from __future__ import annotations

import re
from typing import Final

from engine.journal.errors import RunNameRefused

_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def checked(run_id: str) -> str:
    """``run_id`` itself. Raises RunNameRefused unless it is 1 to 128 letters, digits, dots, dashes, underscores."""
    if not _RUN_ID.fullmatch(run_id):
        raise RunNameRefused(
            f"{run_id!r} is no run id: use up to 128 letters, digits, '.', '-' and '_', beginning with a letter or digit"
        )
    return run_id
