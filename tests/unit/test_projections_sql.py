"""SQL over the views: what is answered, and what is said instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import polars
import pytest

from projections import sql
from projections.errors import BadQuery
from projections.read_models import ReadModels
from projections.views import VIEWS
from tests.support.golden_events import golden_runs


@lru_cache(maxsize=1)
def models() -> ReadModels:
    made = ReadModels()
    for run, events in golden_runs().items():
        made.extend(run, 0, events)
    return made


def frames(names: Sequence[str]) -> Mapping[str, polars.DataFrame]:
    return {name: models().frame(name) for name in names}


def answer(query: str) -> polars.DataFrame:
    return sql.query(query, frames)


def refusal(query: str) -> str:
    def unread(names: Sequence[str]) -> Mapping[str, polars.DataFrame]:
        pytest.fail(f"{names} were read for a bad query")

    with pytest.raises(BadQuery) as caught:
        sql.query(query, unread)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_views_are_joined_grouped_and_ordered() -> None:
    found = answer(
        "SELECT r.scenario, max(a.gain) AS gain FROM runs r JOIN adaptations a ON a.run = r.run "
        "WHERE a.outcome = 'FOSSILIZED' GROUP BY r.scenario ORDER BY gain DESC"
    )

    assert found.columns == ["scenario", "gain"]
    assert found["gain"].is_sorted(descending=True)
    assert found.height == len({events[0].header.scenario for events in golden_runs().values()})  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", VIEWS)
def test_every_column_can_be_named_without_quotes(name: str) -> None:
    assert answer(f"SELECT {', '.join(VIEWS[name].SCHEMA)} FROM {name}").equals(models().frame(name))


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("SELECT run FROM RUNS", ("runs",)),
        ('SELECT "run" FROM "runs" -- epochs', ("runs",)),
        ("SELECT 'runs' AS a /* runs */", ()),
        ("WITH e AS (SELECT * FROM epochs) SELECT r.run FROM e JOIN runs r ON r.run = e.run", ("runs", "epochs")),
        ("(SELECT run FROM rewards)", ("rewards",)),
        ("SELECT 'it''s runs' AS a FROM decisions", ("decisions",)),
    ],
)
def test_only_the_views_that_are_named_are_made(query: str, named: tuple[str, ...]) -> None:
    asked: list[Sequence[str]] = []

    def seen(names: Sequence[str]) -> Mapping[str, polars.DataFrame]:
        asked.append(names)
        return frames(names)

    sql.query(query, seen)

    assert asked == [named]


def test_an_unknown_table_is_named_with_the_nearest_and_all() -> None:
    line = refusal("SELECT * FROM adaptions")

    assert line.startswith(
        "there is no table 'adaptions'; did you mean adaptations? there are runs, epochs, layer_health"
    )


@pytest.mark.parametrize(
    "query",
    [
        "SELECT validation_acuracy FROM epochs",
        "SELECT epochs.validation_acuracy FROM epochs",
        "SELECT e.validation_acuracy FROM epochs e",
        "SELECT run FROM epochs WHERE validation_acuracy > 1",
        "SELECT run FROM epochs ORDER BY validation_acuracy",
    ],
)
def test_an_unknown_column_is_named_with_the_nearest_and_all(query: str) -> None:
    line = refusal(query)

    assert line.startswith(
        "there is no column 'validation_acuracy'; did you mean validation_accuracy? epochs has run, position"
    )


@pytest.mark.parametrize(
    "query",
    [
        "",
        "  -- nothing\n",
        "DROP TABLE runs",
        "DELETE FROM runs",
        "INSERT INTO runs VALUES (1)",
        "CREATE TABLE x AS SELECT * FROM runs",
        "TRUNCATE TABLE runs",
        "SHOW TABLES",
        "EXPLAIN SELECT * FROM runs",
        "SELEC run FROM runs",
        "FROM runs",
    ],
)
def test_nothing_but_a_select_is_answered(query: str) -> None:
    assert "is no SELECT, and nothing else is answered; there are runs, epochs" in refusal(query)


@pytest.mark.parametrize("function", ["read_csv", "READ_PARQUET", '"read_csv"', "read_json", "scan_csv"])
def test_no_file_is_read(function: str, tmp_path: object) -> None:
    assert "reads files, and only views are read here" in refusal(f"SELECT * FROM {function}('{tmp_path}/a.csv')")


def test_no_quotation_hides_what_reads_a_file() -> None:
    assert "read_csv reads files" in refusal("SELECT $$'$$ AS a, * FROM read_csv/**/('a') WHERE b = '")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT run FROM runs; SELECT run FROM runs", "one (and only one) statement"),
        ("SELECT run FROM runs WHERE epochs = 'many'", "cannot compare string with numeric type"),
        ("SELECT median_of(epochs) FROM runs", "unsupported function 'median_of'"),
        ("SELECT run FROM runs WHERE", "Expected: an expression"),
        ("SELECT run, count(*) FROM runs", "GROUP BY"),
    ],
)
def test_what_else_is_wrong_is_said_in_a_line(query: str, said: str) -> None:
    line = refusal(query)

    assert said in line
    assert "cannot be answered" in line


def test_a_value_of_the_wrong_kind_is_found_when_it_is_read() -> None:
    with pytest.raises(BadQuery, match="conversion from `str` to `i64` failed"):
        answer("SELECT CAST(run AS BIGINT) FROM runs")


@pytest.mark.parametrize("query", ["SELECT 1" + " + 1" * 5_000, "SELECT 1" + " UNION ALL SELECT 1" * 1_000])
def test_a_chain_that_polars_could_not_fold_is_refused(query: str) -> None:
    assert "words and signs but may have 2000; ask in parts" in refusal(query)


def test_a_long_list_of_runs_is_answered() -> None:
    listed = ", ".join(f"'run-{number}'" for number in range(5_000))

    assert answer(f"SELECT run FROM runs WHERE run IN ({listed}, 'version-1/digits-as_designed')").height == 1


@pytest.mark.parametrize(
    "query", ["SELECT '", 'SELECT "', "SELECT \x00", "SELECT 1 AS \ud800", "SELECT ((", "SELECT `"]
)
def test_half_a_statement_is_refused_like_any_other(query: str) -> None:
    assert "cannot be answered" in refusal(query)
