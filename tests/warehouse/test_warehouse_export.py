"""Exports: whole or not at all, safe for spreadsheets, and the raw layer as another engine reads it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from small_warehouse import fill_writer, publish_small

from soundscope.errors import BadInput
from soundscope.ingest.typed import create_raw
from soundscope.settings import Settings
from soundscope.warehouse.connect import open_release, open_writer
from soundscope.warehouse.export import export_raw, export_release
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.releases import Release

HOSTILE = ["=1+1", "+cmd", "-2", "@sum", "\tx", 'a,"b"\nc', "plain", None]


def test_every_table_comes_back_as_it_was(settings: Settings, published: Release, tmp_path: Path) -> None:
    done = export_release(settings, tmp_path / "out")
    assert done
    with closing(open_release(settings)) as con:
        for one in done:
            difference = (
                f"(from {one.table} except all from '{one.path}') union all (from '{one.path}' except all from {one.table})"
            )
            assert con.execute(f"select count(*) from ({difference})").fetchone() == (0,)
            assert one.rows == con.execute(f"select count(*) from {one.table}").fetchone()[0]  # type: ignore[index]


def test_no_text_is_a_formula_in_csv_and_the_raw_layer_is_untouched(settings: Settings, tmp_path: Path) -> None:
    settings.paths.create()
    with writer_lock(settings), closing(open_writer(settings)) as con:
        create_raw(con)
        con.executemany(
            "insert into raw.tracks (provider, source_id, title) values (?, ?, ?)",
            [(f"import:{n % 2}", str(n), title) for n, title in enumerate(HOSTILE)],
        )
        rows = con.execute("select title from raw.tracks order by source_id").fetchall()
    export_raw(settings, tmp_path / "it's raw")
    back = duckdb.sql(
        f"select title from read_parquet('{tmp_path}/it''s raw/raw/tracks/*/*.parquet') order by source_id"
    ).fetchall()
    assert back == rows
    providers = {path.name for path in (tmp_path / "it's raw/raw/tracks").iterdir()}
    assert providers == {"provider=import%3A0", "provider=import%3A1"}


def test_csv_is_safe_for_spreadsheets(settings: Settings, tmp_path: Path) -> None:
    fill_writer(settings, 1)
    with writer_lock(settings), closing(open_writer(settings)) as con:
        con.execute("create table core.hostile (place integer, title varchar)")
        con.executemany("insert into core.hostile values (?, ?)", list(enumerate(HOSTILE)))
        for thing in ("table core.hostile", "column core.hostile.place", "column core.hostile.title"):
            con.execute(f"comment on {thing} is 'Hostile.'")
    publish_small(settings)
    file = export_release(settings, tmp_path / "out", ["core.hostile"], "csv")[0].path
    cells = [
        row[0]
        for row in duckdb.sql(f"select title from read_csv('{file}', all_varchar = true) order by cast(place as int)").fetchall()
    ]
    assert cells == ["'=1+1", "'+cmd", "'-2", "'@sum", "'\tx", 'a,"b"\nc', "plain", None]


@pytest.mark.parametrize(("tables", "fmt", "says"), [(["core.nothing"], "parquet", "core.nothing"), ([], "xlsx", "xlsx")])
def test_bad_use_leaves_nothing(
    settings: Settings, published: Release, tmp_path: Path, tables: list[str], fmt: str, says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        export_release(settings, tmp_path / "out", tables, fmt)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("kept")
    with pytest.raises(BadInput, match="not an empty folder"):
        export_release(settings, tmp_path / "full")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name in {"out", ".out.part", "full"}) == ["full"]
    assert (tmp_path / "full" / "mine").read_text() == "kept"
