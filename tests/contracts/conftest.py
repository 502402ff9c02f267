"""The server that the contracts of a journal's recorders are tried on."""

from __future__ import annotations

from tests.support.stores import postgres

__all__ = ["postgres"]
