"""Measured tables between marks in the scenarios' README."""

from __future__ import annotations

import re
from pathlib import Path

from scenarios.specification import FOLDER, BadInput


def write_table(name: str, text: str, readme: Path = FOLDER / "README.md") -> None:
    """Put ``text`` between the marks of the table ``name``. Raises BadInput where there are none."""
    begin, end = f"<!-- {name} table: begin -->", f"<!-- {name} table: end -->"
    old = readme.read_text(encoding="utf-8")
    marks = f"{re.escape(begin)}.*?{re.escape(end)}"
    if not re.search(marks, old, flags=re.DOTALL):
        raise BadInput(f"{readme.name} has no marks {begin} and {end} to put the table between")
    new = re.sub(marks, lambda found: f"{begin}\n{text}\n{end}", old, flags=re.DOTALL)
    readme.write_text(new, encoding="utf-8")
