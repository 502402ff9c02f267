"""SQL over the views: one SELECT, read-only, answered by polars. What cannot be answered is one clear line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import polars
from polars.exceptions import PolarsError

from projections.errors import BadQuery
from projections.views import VIEWS

Frames = Callable[[Sequence[str]], Mapping[str, polars.DataFrame]]
"""Makes the frames of the views that are named."""

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/|'(?:[^']|'')*')"""
    r"""|"(?P<quoted>(?:[^"]|"")*)"|`(?P<ticked>[^`]*)`"""
    r"""|(?P<word>\w+)|(?P<other>.)""",
    re.DOTALL,
)

TOKENS_MAX: Final = 2_000
"""Words and signs in a statement, commas and literals aside: polars folds long chains by recursion, and would crash."""

_READER: Final = re.compile(r"(?:read|scan)_\w+", re.IGNORECASE)
"""Functions of polars that read files. Searched for in the text as it is: nothing can hide one in a quotation."""

_RELATION: Final = re.compile(r"relation '(?P<name>.*?)' was not found")
_TABLE: Final = re.compile(r"no table or struct column named '(?P<name>.*?)' found")
_COLUMN: Final = re.compile(
    r"""unable to find column "(?P<name>.*?)"|no column named '(?P<other>.*?)' found"""
    r"""|column '(?P<third>.*?)' (?:was )?not found"""
)

_EMPTY: Final = {
    name: polars.DataFrame(schema={column: kind.dtype for column, kind in view.SCHEMA.items()})
    for name, view in VIEWS.items()
}


def query(sql: str, frames: Frames) -> polars.DataFrame:
    """The answer to one SELECT. ``frames`` is asked for the views that it names, and for no others.

    It is tried on empty views first, so that a mistake is found before anything is read. Raises BadQuery.
    """
    named = views_named(sql)
    _answer(sql, _EMPTY, named)
    return _answer(sql, frames(named), named)


def views_named(sql: str) -> tuple[str, ...]:
    """The views whose names occur in the statement, in the order of ``VIEWS``. Raises BadQuery for no
    SELECT, one that reads files, or one that is too long.
    """
    tokens = _tokens(sql)
    first = next((entry.lower() for entry in tokens if entry != "("), "")
    if first not in {"select", "with"}:
        raise BadQuery(f"{short(sql)!r} is no SELECT, and nothing else is answered; there are {', '.join(VIEWS)}")
    if (count := sum(entry != "," for entry in tokens)) > TOKENS_MAX:
        raise BadQuery(f"{short(sql)!r} has {count} words and signs but may have {TOKENS_MAX}; ask in parts")
    reader = _READER.search(sql)
    if reader is not None:
        raise BadQuery(f"{reader[0]} reads files, and only views are read here; there are {', '.join(VIEWS)}")
    words = {token.lower() for token in tokens}
    return tuple(name for name in VIEWS if name in words)


def _tokens(sql: str) -> list[str]:
    """Words, names without their quotes, and single characters; no text literals, comments or spaces."""
    found = _TOKEN.finditer(sql)
    return [
        match["quoted"] or match["ticked"] or match["word"] or match["other"] or ""
        for match in found
        if not match["skip"]
    ]


def _answer(sql: str, frames: Mapping[str, polars.DataFrame], named: Sequence[str]) -> polars.DataFrame:
    context = polars.SQLContext(frames={name: frame.lazy() for name, frame in frames.items()}, eager=False)
    try:
        return context.execute(sql).collect()
    except (PolarsError, UnicodeEncodeError) as error:
        raise BadQuery(explained(sql, str(error), named)) from error


def explained(sql: str, message: str, named: Sequence[str]) -> str:
    """What polars said, in a line that names the tables or columns there are."""
    relation = _RELATION.search(message) or _TABLE.search(message)
    if relation is not None:
        wanted = relation["name"]
        return f"there is no table {wanted!r}; {_near(wanted, list(VIEWS))}there are {', '.join(VIEWS)}"
    column = _COLUMN.search(message)
    if column is not None and named:
        wanted = column["name"] or column["other"] or column["third"]
        known = list(dict.fromkeys(column for name in named for column in VIEWS[name].SCHEMA))
        listed = "; ".join(f"{name} has {', '.join(VIEWS[name].SCHEMA)}" for name in named)
        return f"there is no column {wanted!r}; {_near(wanted, known)}{listed}"
    said = " ".join(message.partition("\n")[0].split())
    return f"{short(sql)!r} cannot be answered: {short(said, 200)}"


def _near(wanted: str, known: Sequence[str]) -> str:
    near = get_close_matches(wanted.lower(), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}? " if near else ""


def short(text: str, length: int = 60) -> str:
    """The text on one line, cut where it is longer than ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
