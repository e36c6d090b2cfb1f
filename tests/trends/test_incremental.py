"""Trend tables brought forward by a new and a corrected week hold what a full rebuild holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from test_commands import COMMON, fill
from trends_world import CHART, entries, tracks, world

from soundscope.ingest.typed import create_raw
from soundscope.settings import Settings
from soundscope.warehouse.build import run_build

pytestmark = pytest.mark.slow
# What each table is one row per.
TABLES: Mapping[str, str] = {
    "chart_trends": "chart, chart_date, feature, window_weeks",
    "genre_share": "chart, chart_date, genre",
    "chart_turnover": "chart, chart_date",
    "chart_diversity": "chart, chart_date, window_weeks",
    "artist_share": "chart, chart_date, artist",
}


def read(settings: Settings) -> dict[str, pd.DataFrame]:
    with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
        return {name: con.execute(f"select * from marts.{name} order by {key}").df() for name, key in TABLES.items()}


def test_new_and_corrected_weeks_give_what_a_full_rebuild_gives(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    settings.paths.create()
    with closing(duckdb.connect(str(settings.paths.writer), config={"storage_compatibility_version": "v1.5.0"})) as con:
        create_raw(con)
        fill(con, world())
    run_build(settings, exclude=["ml"])
    before = read(settings)
    new = entries(tracks(), weeks=209)
    new = new[new["chart_date"] == new["chart_date"].max()]
    late = entries(tracks(), weeks=206)
    late = late[late["chart_date"] == late["chart_date"].max()].assign(rank=lambda f: f["rank"].max() + 1 - f["rank"])
    with closing(duckdb.connect(str(settings.paths.writer), config={"storage_compatibility_version": "v1.5.0"})) as con:
        con.register("charted", pd.concat([new, late]))
        later = COMMON.replace("2024-01-01", "2024-02-01").replace("a.ndjson", "b.ndjson")
        con.execute(
            "insert into raw.chart_entries by name select *, "
            f"{later} from (select '{CHART}' as provider, chart, chart_date::date as chart_date, rank, title, artist from charted)"
        )
    changed: dict[str, Any] = {"start_week": str(late["chart_date"].iloc[0].date())}
    run_build(settings, select=["stg_chart_entries+"], exclude=["ml"], variables=changed)
    forward = read(settings)
    run_build(settings, select=["stg_chart_entries+"], exclude=["ml"], full_refresh=True, variables=changed)
    whole = read(settings)
    for name in TABLES:
        pd.testing.assert_frame_equal(forward[name], whole[name], check_exact=False, rtol=0, atol=1e-9, obj=name)
        assert len(whole[name]) > len(before[name]), name
    early = whole["chart_trends"]["chart_date"] < late["chart_date"].iloc[0]
    old = before["chart_trends"]["chart_date"] < late["chart_date"].iloc[0]
    pd.testing.assert_frame_equal(whole["chart_trends"][early], before["chart_trends"][old])
