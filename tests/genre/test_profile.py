"""The overview equals what pandas computes from the same tracks."""

from __future__ import annotations

import io

import duckdb
import numpy as np
import pandas as pd
import pytest
from genre_world import frame
from rich.console import Console

from soundscope.errors import BadInput
from soundscope.profile import CORRELATED, FEATURES, profile, render


@pytest.fixture
def rows() -> pd.DataFrame:
    made = frame(300)
    made["mood"] = np.where(made["valence"] > 0.5, "Happy", "Sad")
    made["era"] = (made["release_date"].dt.year // 10 * 10).astype(str) + "s"
    made.loc[:9, "genre"] = None
    return made


@pytest.fixture
def marts(rows: pd.DataFrame):
    with duckdb.connect() as con:
        con.execute("create schema marts")
        con.register("given", rows)
        con.execute(f"create table marts.track_features as select track_id, genre, mood, era, {', '.join(FEATURES)} from given")
        long = f"(unpivot (select genre, era, {', '.join(f'{f}::double as {f}' for f in FEATURES)} from marts.track_features) "
        long += f"on {', '.join(FEATURES)} into name feature value v)"
        con.execute(
            f"""create table marts.feature_summary as select feature, count(v) as n, 300 - count(v) as missing, avg(v) as mean,
            median(v) as median, min(v) as min, max(v) as max, stddev_pop(v) as std from {long} group by feature"""
        )
        for by in ("genre", "era"):
            con.execute(
                f"""create table marts.{by}_profile as select {by}, feature, avg(v) as mean, stddev_pop(v) as std, count(v) as n
                from {long} where {by} is not null group by {by}, feature"""
            )
        con.execute(
            "create table marts.category_counts as "
            + " union all ".join(
                f"select '{f}' as field, {f} as value, count(*) as n from marts.track_features where {f} is not null group by {f}"
                for f in ("genre", "mood", "era")
            )
        )
        con.execute(
            "create table marts.feature_correlation as "
            + " union all ".join(
                f"select '{x}' as feature_x, '{y}' as feature_y, corr({x}, {y}) as r, count(*) as n from marts.track_features"
                for x in FEATURES
                for y in FEATURES
            )
        )
        yield con


def test_figures_are_those_of_pandas(marts, rows):
    seen = profile(marts)
    assert (seen.n_tracks, seen.n_columns) == (300, 4 + len(FEATURES))
    for feature in FEATURES:
        known = rows[feature].dropna()
        want = [len(known), 300 - len(known), known.mean(), known.median(), known.min(), known.max(), known.std(ddof=0)]
        assert seen.numeric.loc[feature].tolist() == pytest.approx(want)
    assert seen.categories["genre"].to_dict() == rows["genre"].value_counts().to_dict()
    assert seen.missing["genre"] == 10
    assert seen.missing["liveness"] == rows["liveness"].isna().sum() > 0
    assert seen.energy_by_genre["mean"].to_dict() == pytest.approx(rows.groupby("genre")["energy"].mean().to_dict())
    assert seen.energy_by_genre["mean"].is_monotonic_decreasing
    assert list(seen.danceability_by_era.index) == sorted(rows["era"].unique())
    assert seen.correlation.to_numpy() == pytest.approx(rows[list(CORRELATED)].corr().to_numpy())


def test_is_drawn_and_given_as_json_values(marts):
    seen = profile(marts)
    out = io.StringIO()
    Console(file=out, width=140).print(render(seen, top=3))
    text = out.getvalue()
    for wanted in ("300 tracks, 14 columns", "Mean energy by genre", "█", "unknown", "1 others", "Pearson correlation"):
        assert wanted in text
    assert f"{seen.numeric.loc['tempo', 'mean']:.3f}" in text
    assert seen.as_dict()["correlation"]["energy"]["energy"] == pytest.approx(1.0)


def test_without_marts_the_next_step_is_named():
    with duckdb.connect() as con, pytest.raises(BadInput, match="soundscope run"):
        profile(con)
