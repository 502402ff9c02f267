"""The README tells the truth about the views."""

from __future__ import annotations

import re

from projections.describe import README, written_into
from projections.view import Table
from projections.views import VIEWS


def test_the_readme_lists_every_view_and_column_as_they_are() -> None:
    readme = README.read_text(encoding="utf-8")

    assert written_into(readme) == readme, "python -m projections.describe"


def test_every_column_says_what_it_holds_in_a_sentence() -> None:
    for name, view in VIEWS.items():
        assert name == view.NAME
        first, second, *_ = view.SCHEMA
        assert (first, second) == ("run", "position"), "rows stand by run and position"
        for column, kind in view.SCHEMA.items():
            assert kind.sentence.endswith("."), f"{name}.{column}"
            assert "|" not in kind.sentence
            assert re.fullmatch(r"[a-z][a-z0-9_]*", column)
            assert not kind.dtype.is_nested()


def test_every_view_begins_empty() -> None:
    for view in VIEWS.values():
        begun = view()
        assert begun.store.frame().height == 0
        assert not isinstance(begun.store, Table) or not begun.store.open
