"""The same models on both engines: every table, row by row, from nothing and brought forward by changed weeks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from engine_world import CORRECTED, NEW_WEEK, add_later, fill_all
from rawdb import connect, create_raw
from sqlworld import home_settings

from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import Settings
from soundscope.warehouse.build import ModelResult, building_on, run_build
from soundscope.warehouse.spark import SparkTables, require_spark

# Three sessions and two builds; each statement costs Spark a tenth of a second or more, however small its table.
pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

_LAYERS = ("staging", "core", "prepare", "marts", "ml")
# Java compiles what it runs, and Spark compiles every statement: both cost more than they bring where tables are small.
_DEFAULTS = """
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.sql.adaptive.enabled false
"""


@pytest.fixture(scope="module", autouse=True)
def _small_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Spark's settings for tiny tables; skips where Spark or Java is not installed."""
    try:
        require_spark()
    except BadInput as error:
        pytest.skip(f"no spark: {error}")
    folder = tmp_path_factory.mktemp("spark_conf")
    (folder / "spark-defaults.conf").write_text(_DEFAULTS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_CONF_DIR", str(folder))
        patch.setenv("SOUNDSCOPE_SPARK_PARTITIONS", "1")
        patch.setenv("SOUNDSCOPE_SPARK_THREADS", "2")
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC")
        yield


@dataclass
class Engines:
    """Two homes that were given the same rows, one for each engine, and what the builds said."""

    duckdb: Settings
    spark: Settings
    results: dict[str, list[ModelResult]]

    def build(self, parts: list[dict[str, list[str]]], variables: dict[str, str] | None = None) -> None:
        """Build in both, on Spark in these parts."""
        self.results["duckdb"] = list(run_build(self.duckdb, variables=variables).models)
        with building_on("spark"):
            built = [
                run_build(self.spark, part.get("select", []), part.get("exclude", []), variables=variables) for part in parts
            ]
        self.results["spark"] = [model for result in built for model in result.models]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Engines:
    """Both engines, built from nothing."""
    both = Engines(*(home_settings(tmp_path_factory.mktemp(name)) for name in ("duckdb", "spark")), {})
    for settings in (both.duckdb, both.spark):
        with connect(settings.paths.writer) as con:
            create_raw(con)
            fill_all(con)
    both.build([{}])
    return both


def test_both_engines_build_the_same_tables(engines: Engines) -> None:
    assert differences(engines) == []


def test_files_have_the_types_of_the_tables(engines: Engines) -> None:
    tables = SparkTables(engines.spark)
    wrong = []
    with closing(duckdb.connect(str(engines.duckdb.paths.writer), read_only=True)) as con:
        for name in table_names(con):
            files = tables.files(name)
            source = f"read_parquet({files!r}, hive_types_autocast = true)"
            found = {row[0]: row[1] for row in con.execute(f"describe select * from {source}").fetchall()}
            wanted = {row[0]: row[1] for row in con.execute(f"describe {name}").fetchall()}
            wrong += [(name, c, t, found[c]) for c, t in wanted.items() if found[c] != t]
    assert wrong == []


def test_both_engines_run_the_same_tests(engines: Engines) -> None:
    def said(engine: str) -> list[tuple[str, str, int]]:
        models = engines.results[engine]
        assert {model.status for model in models} == {"success"}
        return sorted((check.check, check.status, check.failures) for model in models for check in model.checks)

    assert said("spark") == said("duckdb")
    assert len(said("spark")) > 100


def test_views_stay_views_and_comments_stay(engines: Engines) -> None:
    # `main` holds what DuckDB remembers of its own builds.
    shapes = []
    for settings in (engines.duckdb, engines.spark):
        with connect(settings.paths.writer) as con:
            kinds = con.execute(
                "select table_schema, table_name, table_type from information_schema.tables where table_schema not in ('raw', 'main') order by all"
            ).fetchall()
            comments = con.execute(
                "select schema_name, table_name, null, comment from duckdb_tables() where schema_name not in ('raw', 'main') union all "
                "select schema_name, view_name, null, comment from duckdb_views() where not internal union all "
                "select schema_name, table_name, column_name, comment from duckdb_columns() "
                "where not internal and schema_name not in ('raw', 'main') order by all"
            ).fetchall()
        shapes.append((kinds, comments))
    assert shapes[0] == shapes[1]


def test_changed_weeks_alone_are_brought_forward(engines: Engines) -> None:
    for settings in (engines.duckdb, engines.spark):
        with connect(settings.paths.writer) as con:
            add_later(con)
    tables = SparkTables(engines.spark)
    trends = {file: Path(file).stat().st_mtime_ns for file in tables.files("marts.chart_trends")}
    # In two parts, as the command does for matching to come between.
    engines.build([{"select": ["staging"]}, {"exclude": ["staging"]}], {"start_week": str(CORRECTED)})
    assert differences(engines) == []
    # Weeks before the corrected one were left alone.
    for file in tables.files("marts.chart_trends"):
        week = file.split("chart_date=")[1][:10]
        assert (trends.get(file) == Path(file).stat().st_mtime_ns) == (week < str(CORRECTED)), file
    assert any(f"chart_date={NEW_WEEK}" in file for file in tables.files("marts.chart_trends"))


def test_what_duckdb_built_since_is_not_taken_from_spark(engines: Engines, tmp_path: Path) -> None:
    copied = home_settings(tmp_path)
    shutil.copyfile(engines.spark.paths.writer, copied.paths.writer)
    shutil.copyfile(engines.spark.paths.private / "spark_tables.json", copied.paths.private / "spark_tables.json")
    assert "core.tracks" in SparkTables(copied).current()
    run_build(copied, select=["tracks"])
    assert "core.tracks" not in SparkTables(copied).current()
    with building_on("spark"), pytest.raises(BadInput, match=r"Not built on Spark .* core\.tracks"):
        run_build(copied, select=["track_features"])


def test_when_java_cannot_start_the_private_file_stays(engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    told = (
        """case "$*" in *-version*) echo 'openjdk version "17.0.1"' >&2;; *) echo 'Error: no room for Java' >&2; exit 1;; esac"""
    )
    java.write_text(f"#!/bin/sh\n{told}\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with building_on("spark"), pytest.raises(SoundScopeError, match="dbt build on Spark failed"):
        run_build(engines.spark, select=["feature_summary"])
    assert differences(engines) == []
    assert "marts.feature_summary" not in SparkTables(engines.spark).current()
    assert "no room for Java" in (engines.spark.paths.logs / "spark.log").read_text(encoding="utf-8")


def table_names(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables of every layer that is built."""
    rows = con.execute(
        "select table_schema || '.' || table_name from information_schema.tables where table_type = 'BASE TABLE' "
        "and table_schema in (select unnest(?)) order by 1",
        [list(_LAYERS)],
    ).fetchall()
    return [row[0] for row in rows]


def differences(engines: Engines) -> list[str]:
    """Tables that are not equal: columns with their types and order, all rows, numbers to 1e-9 of their size."""
    found = []
    with closing(duckdb.connect()) as con:
        for name, settings in (("a", engines.duckdb), ("b", engines.spark)):
            con.execute(f"attach '{settings.paths.writer}' as {name} (read_only)")
        con.execute("use a")
        names = table_names(con)
        con.execute("use b")
        assert table_names(con) == names
        assert len(names) > 40
        for name in names:
            columns = con.execute(f"describe a.{name}").fetchall()
            if columns != con.execute(f"describe b.{name}").fetchall():
                found.append(f"{name}: other columns")
            counts = [con.execute(f"select count(*) from {side}.{name}").fetchall()[0][0] for side in "ab"]
            if counts[0] != counts[1]:
                found.append(f"{name}: {counts[0]} rows on DuckDB, {counts[1]} on Spark")
            elif counts[0] == 0:
                found.append(f"{name}: no row to compare")
            elif different := _rows_that_differ(con, name, [(row[0], row[1]) for row in columns]):
                found.append(f"{name}: {different} rows differ")
    return found


def _rows_that_differ(con: duckdb.DuckDBPyConnection, name: str, columns: list[tuple[str, str]]) -> int:
    # Both sides in one order, by exact columns first; then row by row.
    exact = [f'"{column}"' for column, kind in columns if kind != "DOUBLE"]
    numbers = [f'"{column}"' for column, kind in columns if kind == "DOUBLE"]
    order = ", ".join([f"{c} nulls first" for c in exact] + [f"round({c}, 6) nulls first" for c in numbers])
    unequal = [f"a.{c} is distinct from b.{c}" for c in exact]
    unequal += [
        f"(a.{c} is null) <> (b.{c} is null) or abs(a.{c} - b.{c}) > 1e-9 * greatest(abs(a.{c}), abs(b.{c})) + 1e-12"
        for c in numbers
    ]
    numbered = {side: f"select *, row_number() over (order by {order}) as n_ from {side}.{name}" for side in "ab"}
    sql = f"select count(*) from ({numbered['a']}) as a join ({numbered['b']}) as b using (n_) where {' or '.join(unequal)}"
    return int(con.execute(sql).fetchall()[0][0])
