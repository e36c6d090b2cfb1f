"""chart_trends against a plain computation over the same rows, and incremental builds against full ones."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from rawdb import add, connect
from sqlworld import AFTER_HOLE, CHART, FIRST, chart_rows

from soundscope.settings import Settings
from soundscope.warehouse.build import run_build

pytestmark = pytest.mark.e2e

KEY = ["chart", "chart_date", "feature", "window_weeks"]


QUANTILES = {"q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9}
RANGES = {"tempo": (40.0, 240.0), "energy": (0.0, 1.0), "popularity": (0.0, 100.0)}


def plain_quantiles(x: np.ndarray, w: np.ndarray, low: float, high: float) -> list[float]:
    """Weighted quantiles from forty bins, straight lines within a bin."""
    if not len(x):
        return [np.nan] * len(QUANTILES)
    bins = np.clip(np.floor((x - low) * 40 / (high - low)), 0, 39).astype(int)
    upto = np.cumsum(np.bincount(bins, weights=w, minlength=40))
    found = []
    for share in QUANTILES.values():
        at = int(np.flatnonzero(upto >= share * upto[-1])[0])
        below = upto[at - 1] if at else 0.0
        found.append(low + (high - low) / 40 * (at + (share * upto[-1] - below) / (upto[at] - below)))
    return found


def plain_trends(db: duckdb.DuckDBPyConnection, feature: str, weeks: int) -> pd.DataFrame:
    """Weighted mean, spread, songs, coverage, quantiles and one-year change, straight from their definitions."""
    value = f"f.{feature}"
    if feature == "popularity":
        value = (
            "(select h.popularity from core.popularity_history h where h.track_id = e.track_id "
            "and cast(h.valid_from as date) <= e.chart_date and (h.valid_to is null or cast(h.valid_to as date) > e.chart_date) "
            "order by h.is_native_scale desc limit 1)"
        )
    rows = db.execute(
        f"select e.chart_date, e.rank, e.track_id, {value} as value from core.chart_entries e "
        "left join marts.track_features f using (track_id)"
    ).df()
    rows["day"] = pd.to_datetime(rows["chart_date"]).dt.date
    rows["weight"] = rows.groupby("day")["rank"].transform("max") + 1 - rows["rank"]
    found = []
    for day in sorted(rows["day"].unique()):
        start = FIRST if day < AFTER_HOLE else AFTER_HOLE
        window = rows[(rows["day"] > day - timedelta(days=7 * weeks)) & (rows["day"] <= day) & (rows["day"] >= start)]
        known = window.dropna(subset=["value"])
        mean = std = np.nan
        x, w = known["value"].astype(float).to_numpy(), known["weight"].to_numpy()
        if len(known):
            mean = np.average(x, weights=w)
            std = np.sqrt(np.average((x - mean) ** 2, weights=w))
        whole = start <= day - timedelta(days=7 * (weeks - 1))
        coverage = known["weight"].sum() / window["weight"].sum()
        quantiles = plain_quantiles(x, w, *RANGES[feature])
        found.append((day, mean, std, known["track_id"].nunique(), coverage, whole, *quantiles))
    frame = pd.DataFrame(found, columns=["day", "mean", "std", "n_tracks", "coverage", "whole", *QUANTILES]).set_index("day")
    before = frame.reindex([day - timedelta(days=364) for day in frame.index])
    both = frame["whole"].to_numpy() & (before["whole"] == True).to_numpy()  # noqa: E712 - missing weeks are NaN
    frame["change_1y"] = np.where(both, frame["mean"].to_numpy() - before["mean"].to_numpy(), np.nan)
    return frame


@pytest.mark.parametrize("weeks", [4, 12, 52])
@pytest.mark.parametrize("feature", ["tempo", "energy", "popularity"])
def test_trends_equal_their_definition(db: duckdb.DuckDBPyConnection, feature: str, weeks: int) -> None:
    expected = plain_trends(db, feature, weeks)
    found = db.execute(
        f"select chart_date, mean, std, n_tracks, coverage, change_1y, is_whole_window, {', '.join(QUANTILES)} from marts.chart_trends "
        "where feature = ? and window_weeks = ? order by chart_date",
        [feature, weeks],
    ).df()
    assert list(pd.to_datetime(found["chart_date"]).dt.date) == list(expected.index)
    for column in ("mean", "std", "n_tracks", "coverage", "change_1y", *QUANTILES):
        np.testing.assert_allclose(found[column].astype(float), expected[column].astype(float), atol=1e-9, err_msg=column)
    assert list(found["is_whole_window"]) == list(expected["whole"])


def test_nothing_is_carried_across_the_hole(db: duckdb.DuckDBPyConnection) -> None:
    assert db.execute(
        "select count(*) from marts.chart_trends where chart_date >= ? and change_1y is not null", [AFTER_HOLE]
    ).fetchall() == [(0,)]
    assert db.execute(
        "select count(previous_rank), max(weeks_on_chart), bool_or(is_complete_history) from core.chart_entries where chart_date = ?",
        [AFTER_HOLE],
    ).fetchall() == [(0, 1, False)]
    assert db.execute("select count(change_1y) from marts.chart_trends").fetchall()[0][0] > 0


def trends(settings: Settings) -> pd.DataFrame:
    with connect(settings.paths.writer) as con:
        return con.execute(f"select * from marts.chart_trends order by {', '.join(KEY)}").df()


@pytest.mark.slow
def test_incremental_build_equals_full_refresh(copied: Settings) -> None:
    corrected, added = date(2020, 11, 7), AFTER_HOLE + timedelta(days=21)
    with connect(copied.paths.writer) as con:
        rows = chart_rows([corrected])
        for row in rows:
            row["rank"] = len(rows) + 1 - int(str(row["rank"]))
        later = {"provider": CHART, "landing_file": "b.ndjson.zst", "fetched_at": datetime(2024, 4, 1)}
        add(con, "chart_entries", rows[:-1] + chart_rows([added]), **later)
    before = trends(copied)
    run_build(copied, select=["stg_chart_entries+"], variables={"start_week": str(corrected)})
    incremental = trends(copied)
    run_build(copied, select=["stg_chart_entries+"], full_refresh=True, variables={"start_week": str(corrected)})
    full = trends(copied)
    pd.testing.assert_frame_equal(incremental, full, check_exact=False, rtol=0, atol=1e-9)
    assert len(full) == len(before) + 33
    old = pd.to_datetime(full["chart_date"]).dt.date < corrected
    assert full[old].shape[0] > 0
    changed = full.merge(before, on=KEY, suffixes=("", "_before"))
    moved = pd.to_datetime(
        changed.loc[~np.isclose(changed["mean"], changed["mean_before"], equal_nan=True), "chart_date"]
    ).dt.date
    assert moved.min() == corrected
