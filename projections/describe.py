"""The views and their columns as Markdown: ``python -m projections.describe`` writes them into this folder's README."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Final

from projections.views import VIEWS

README: Final = Path(__file__).parent / "README.md"
BEGIN: Final = "<!-- views: begin -->"
END: Final = "<!-- views: end -->"


def described() -> str:
    """A heading, a sentence and a table for each view."""
    return "\n\n".join(_view(name) for name in VIEWS)


def _view(name: str) -> str:
    view = VIEWS[name]
    sentence = (inspect.getdoc(inspect.getmodule(view)) or "").partition("\n")[0]
    rows = [f"| `{column}` | {kind.dtype.__name__} | {kind.sentence} |" for column, kind in view.SCHEMA.items()]
    return "\n".join([f"### {name}", "", sentence, "", "| column | type | |", "|---|---|---|", *rows])


def written_into(readme: str) -> str:
    """``readme`` with the views as they are between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{described()}\n{END}{after}"


def main() -> None:
    """Write them."""
    README.write_text(written_into(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
