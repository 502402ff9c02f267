"""How answers are written."""

from __future__ import annotations

import io
import json
import math

import polars
import pytest
from polars.testing import assert_frame_equal

from scenarios.display.queries import FORMATS, WIDTH_MAX, render
from scenarios.specification import BadInput

FRAME = polars.DataFrame(
    {
        "name": ["a", "", None, 'q"u,o\nte', "x" * 61],
        "value": [0.1, math.nan, None, -math.inf, 1e300],
        "count": [1, None, -3, 2**60, 0],
        "is": [True, False, None, True, True],
        "many": [[1, 2], [], None, [3], [4]],
    }
)


def test_a_table_is_aligned_and_tells_null_from_nan() -> None:
    lines = str(render(FRAME, "table")).splitlines()

    assert lines[0].split() == FRAME.columns
    assert set(lines[1]) == {"-", " "}
    assert lines[2].split() == ["a", "0.1", "1", "True", "[1,", "2]"]
    assert lines[3].split() == ["NaN", "null", "False", "[]"]
    assert lines[4].split() == ["null"] * 2 + ["-3"] + ["null"] * 2
    assert lines[5].startswith('q"u,o\\nte')
    assert lines[6].split()[0] == "x" * (WIDTH_MAX - 1) + "…"
    assert lines[-1] == "5 rows"
    ends = [line.index(word) + len(word) for line, word in zip(lines[2:5], ["0.1", "NaN"], strict=False)]
    assert len(set(ends)) == 1, "numbers stand to the right"


def test_every_column_and_row_of_a_large_table_is_shown() -> None:
    wide = polars.DataFrame({f"column_{number}": range(300) for number in range(60)})

    lines = str(render(wide, "table")).splitlines()

    assert len(lines) == 303
    assert lines[0].split() == wide.columns


def test_json_is_standard_json_with_text_for_what_is_no_number() -> None:
    found = json.loads(render(FRAME, "json"), parse_constant=pytest.fail)

    assert [row["value"] for row in found] == [0.1, "NaN", None, "-Infinity", 1e300]
    assert [row["many"] for row in found] == [[1, 2], [], None, [3], [4]]
    assert [row["name"] for row in found] == FRAME["name"].to_list()
    assert json.loads(render(FRAME.clear(), "json")) == []


def test_csv_reads_back_exactly() -> None:
    text = str(render(FRAME, "csv"))
    schema = {"name": polars.String, "value": polars.Float64, "count": polars.Int64, "is": polars.Boolean}
    found = polars.read_csv(io.StringIO(text), schema={**schema, "many": polars.String})

    assert_frame_equal(found.drop("many", "name"), FRAME.drop("many", "name"), check_exact=True)
    assert text.splitlines()[2].startswith('"",NaN'), "empty text is not null"
    assert text.splitlines()[3] == ",,-3,,"
    assert found["many"].to_list() == ["[1, 2]", "[]", None, "[3]", "[4]"]


def test_parquet_reads_back_exactly() -> None:
    content = render(FRAME, "parquet")

    assert isinstance(content, bytes)
    assert_frame_equal(polars.read_parquet(io.BytesIO(content)), FRAME, check_exact=True)


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    assert list(FORMATS) == ["table", "csv", "json", "parquet"]
    with pytest.raises(BadInput, match="there is no format 'xml'; there are table, csv, json, parquet"):
        render(FRAME, "xml")
