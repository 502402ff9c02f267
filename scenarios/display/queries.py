"""How the answer to a query is written: as a table for people, as CSV, JSON or Parquet for programs."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scenarios.specification import BadInput

if TYPE_CHECKING:
    import polars

WIDTH_MAX: Final = 60
"""Characters that a value takes in a table; one that is longer is cut and ends in an ellipsis."""


def render(frame: polars.DataFrame, form: str) -> str | bytes:
    """The frame in a format of ``FORMATS``; Parquet is bytes. Raises BadInput for any other format.

    ========  =======================  ==================  ===================================
    format    null                     NaN, infinities     lists and structs
    ========  =======================  ==================  ===================================
    table     ``null``                 NaN, inf, -inf      JSON
    csv       nothing                  NaN, inf, -inf      JSON
    json      null                     "NaN", "Infinity"   JSON
    parquet   null                     as they are         as they are
    ========  =======================  ==================  ===================================

    Empty text in CSV is a pair of quotation marks, so that null can be told from it.
    """
    if form not in FORMATS:
        raise BadInput(f"there is no format {form!r}; there are {', '.join(FORMATS)}")
    return FORMATS[form](frame)


def _table(frame: polars.DataFrame) -> str:
    """Aligned text, numbers to the right, every column and row, floats to six digits."""
    columns = [_cells(frame[name]) for name in frame.columns]
    widths = [max(map(len, (name, *cells))) for name, cells in zip(frame.columns, columns, strict=True)]
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    lines = [frame.columns, ["-" * width for width in widths], *zip(*columns, strict=True)]
    text = [_line(line, widths, numeric) for line in lines]
    return "\n".join([*text, f"{frame.height} row{'' if frame.height == 1 else 's'}", ""])


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    aligned = [
        cell.rjust(width) if is_number else cell.ljust(width)
        for cell, width, is_number in zip(cells, widths, numeric, strict=True)
    ]
    return "  ".join(aligned).rstrip()


def _cells(column: polars.Series) -> list[str]:
    return [_cell(value) for value in column.to_list()]


def _cell(value: Any) -> str:
    match value:
        case None:
            return "null"
        case float():
            return "NaN" if math.isnan(value) else f"{value:.6g}"
        case str():
            shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in value)
        case list() | dict():
            shown = json.dumps(plain(value), ensure_ascii=False, default=str)
        case _:
            shown = str(value)
    return shown if len(shown) <= WIDTH_MAX else f"{shown[: WIDTH_MAX - 1]}…"


def _csv(frame: polars.DataFrame) -> str:
    import polars

    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    written = [
        polars.Series(
            name, [None if value is None else json.dumps(plain(value), default=str) for value in frame[name].to_list()]
        )
        for name in nested
    ]
    return frame.with_columns(written).write_csv()


def _json(frame: polars.DataFrame) -> str:
    """One array of objects, a line a row. Standard JSON: what is no number is text."""
    columns = [plain(frame[name].to_list()) for name in frame.columns]
    rows = (dict(zip(frame.columns, row, strict=True)) for row in zip(*columns, strict=True))
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) for row in rows)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def plain(value: Any) -> Any:
    """The value with text in place of floats that JSON has no number for, as the journal writes them."""
    match value:
        case float():
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case list() | tuple():
            return [plain(entry) for entry in value]
        case dict():
            return {key: plain(entry) for key, entry in value.items()}
        case _:
            return value


def _parquet(frame: polars.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


FORMATS: Final[Mapping[str, Callable[[polars.DataFrame], str | bytes]]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}
"""What an answer can be written as."""
