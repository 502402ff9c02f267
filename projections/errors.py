"""What can go wrong with read models. Each message is one line: what, which value, which rule, the way out."""

from __future__ import annotations

from typing import final


@final
class BadQuery(ValueError):
    """SQL that cannot be answered: no SELECT, an unknown table or column, or a value of the wrong kind."""


@final
class OutOfStep(ValueError):
    """Events that do not follow what was read before: a gap, or another journal."""


@final
class ViewsUnreadable(ValueError):
    """Saved read models that cannot be gone on from: damaged, or saved by another version."""


@final
class UnknownView(ValueError):
    """No view goes by this name."""
