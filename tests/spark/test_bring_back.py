"""Files of another engine as tables of the private file, without that engine; and what is said where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from soundscope.cli import app
from soundscope.errors import BadInput, SoundScopeError
from soundscope.warehouse.bring_back import Definition, bring_back
from soundscope.warehouse.build import building_on
from soundscope.warehouse.spark import require_spark

SEED = Definition("staging", "families", None, False, "Families.", {"genre": "Label."})
VIEW = Definition("staging", "pop", "select genre from staging.families where family = 'pop'", True, "Pop.", {"genre": "Label."})
WEEKS = Definition(
    "marts",
    "weeks",
    "select cast(1 as bigint) as n, genre, date '2024-01-06' as chart_date from staging.pop",
    False,
    "Weeks.",
    {},
)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private file that holds an older version of each."""
    with duckdb.connect(str(tmp_path / "writer.duckdb")) as con:
        con.execute("create schema staging; create schema marts")
        con.execute("create table staging.families as select 'old' as genre; create view marts.weeks as select 1 as old")
        con.execute("create table staging.pop as select 'a table' as genre")
        yield con


def write(con: duckdb.DuckDBPyConnection, folder: Path, sql: str, options: str = "") -> None:
    """Files as Spark leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder if options else folder / "part-0.parquet"
    con.execute(f"copy ({sql}) to '{target}' (format parquet{options})")


@pytest.fixture
def folder(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    """Three labels, two of them pop, and two weeks in folders of their own, with numbers of a narrower type."""
    write(
        con,
        tmp_path / "staging.families",
        "select unnest(['k-pop', 'it''s', 'dub']) as genre, unnest(['pop', 'pop', 'x']) as family",
    )
    weeks = "select genre, cast(7 as int) as n, date '2024-01-06' + cast(7 * i as int) as chart_date from range(2) r(i), (values ('a'), ('b')) v(genre)"
    write(con, tmp_path / "marts.weeks", weeks, ", partition_by (chart_date)")
    return tmp_path


def test_types_order_views_and_comments_are_those_of_duckdb(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    rows = bring_back(con, [SEED, VIEW, WEEKS], lambda name: sorted((folder / name).rglob("*.parquet")))
    assert rows == {"staging.families": 3, "marts.weeks": 4}
    assert con.execute("select genre from staging.pop order by 1").fetchall() == [("it's",), ("k-pop",)]
    assert [row[:2] for row in con.execute("describe marts.weeks").fetchall()] == [
        ("n", "BIGINT"), ("genre", "VARCHAR"), ("chart_date", "DATE"),
    ]  # fmt: skip
    assert con.execute("select max(chart_date)::varchar from marts.weeks").fetchall() == [("2024-01-13",)]
    assert con.execute("select comment from duckdb_views() where view_name = 'pop'").fetchall() == [("Pop.",)]
    assert con.execute(
        "select comment from duckdb_columns() where column_name = 'genre' and table_name = 'families'"
    ).fetchall() == [("Label.",)]


def test_a_table_without_files_has_no_rows(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    files = {"staging.families": sorted((folder / "staging.families").glob("*"))}
    assert bring_back(con, [SEED, VIEW, WEEKS], lambda name: files.get(name, []))["marts.weeks"] == 0


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select genre, 1 as m, date '2024-01-06' as chart_date", "marts.weeks came back with other columns: m, n"),
        ("select genre, 'x' as n, date '2024-01-06' as chart_date", "marts.weeks could not be brought back"),
    ],
    ids=["columns", "types"],
)
def test_nothing_is_half_brought_back(con: duckdb.DuckDBPyConnection, folder: Path, sql: str, words: str) -> None:
    write(con, folder / "other", f"{sql} from (values ('a')) v(genre)")
    files = {"marts.weeks": folder / "other"}
    with pytest.raises(SoundScopeError, match=words):
        bring_back(con, [SEED, VIEW, WEEKS], lambda name: sorted(files.get(name, folder / name).rglob("*.parquet")))
    assert con.execute("select * from staging.families").fetchall() == [("old",)]
    assert con.execute("select * from staging.pop").fetchall() == [("a table",)]
    assert con.execute("select * from marts.weeks").fetchall() == [(1,)]


def test_without_java_or_with_another_engine_nothing_begins(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no target 'flink'"), building_on("flink"):
        pass
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BadInput, match=r"(needs Java 17|Spark is not installed)") as found:
        require_spark()
    assert found.value.next_step
    result = CliRunner().invoke(app, ["build", "--target", "spark"])
    assert isinstance(result.exception, BadInput)
    assert not (home / "warehouse" / ".private" / "writer.duckdb").exists()
