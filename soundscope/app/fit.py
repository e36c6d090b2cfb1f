"""Alignment of sounds that are not in the tables: the chart's newest profile, made anew from the release by the library's own code.

A profile rests on a few thousand tracks, so only these are read: what charted in its window, what was released lately, and a sample that
stands for all. The views made here have the names that `soundscope.trends.catalogue` reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import duckdb
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from soundscope.app.source import Source, instance
from soundscope.trends import alignment as al
from soundscope.trends.catalogue import Catalogue, read_catalogue
from soundscope.trends.profile import RELEASED_AT_LEAST, RELEASED_DAYS, WINDOW_DAYS, ChartWeeks, Profile, Releases, make_profile
from soundscope.trends.sound import INPUTS, MIN_KNOWN, points

_SAMPLE = 200
_OLDEST = "select chart, as_of from marts.popularity_alignment where is_current and chart = ? order by as_of desc limit 1"


@dataclass(frozen=True)
class Fit:
    """A chart's newest profile, the scores (n,) of all tracks under it, and points (b, 10) that stand for them."""

    profile: Profile
    catalogue: Catalogue
    scores: NDArray[np.float64]
    baseline: NDArray[np.float64]

    def alignment(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Alignment 0..100, distance and confidence 0..1 of rows with the columns of `INPUTS`; NaN where too little is known."""
        at = points(frame)
        nobody = np.full(len(at), -1, dtype=np.int64)
        found = pd.DataFrame(
            {
                "alignment": al.percentile(self.profile.score(at, nobody), self.scores),
                "distance": al.distance(self.profile, at),
                "confidence": al.confidence(self.profile, at),
            }
        )
        return found.where(pd.Series((~np.isnan(at)).sum(axis=1) >= MIN_KNOWN), other=np.nan)

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the score of one row: feature, z, contribution, strongest first."""
        at = points(frame.iloc[:1])
        values, _ = al.contributions(self.profile, at, np.array([-1]), self.baseline, float(self.scores.mean()))
        z = self.profile.deviation(at)[0]
        found = pd.DataFrame({"feature": list(INPUTS), "z": z, "contribution": values[0]})
        return found.sort_values("contribution", key=np.abs, ascending=False, ignore_index=True)

    def nearest(self, frame: pd.DataFrame, n: int = 5) -> pd.DataFrame:
        """The charting songs that sound most like one row: track_id, title, artist, distance."""
        z = self.profile.scaled(points(frame.iloc[:1]))
        far = np.sqrt(((self.profile.charting_points - z) ** 2).sum(axis=1))
        first = np.argsort(far, kind="stable")[:n]
        songs = self.catalogue.tracks.iloc[self.profile.charting_rows[first]]
        return songs[["track_id", "title", "artist"]].assign(distance=far[first]).reset_index(drop=True)


def fit_of(source: Source, chart: str) -> Fit | None:
    """The profile of a chart in this release; None where the release has no alignment for it."""
    return _fit(source.release_id, str(source.release.path), chart) if source.has("marts.popularity_alignment") else None


@st.cache_resource(max_entries=24, show_spinner=False)
def _fit(release_id: str, path: str, chart: str) -> Fit | None:
    whole = instance(release_id, path)
    cursor = whole.cursor()
    aside = f"fit_{uuid4().hex[:12]}"
    try:
        cursor.execute("use release")
        row = cursor.execute(_OLDEST, [chart]).fetchone()
        if row is None:
            return None
        as_of = np.datetime64(row[1], "D")
        scores = cursor.execute(
            "select score from marts.popularity_alignment where is_current and chart = ? and as_of = ? and score is not null",
            [chart, row[1]],
        ).fetchnumpy()["score"]
        whole.cursor().execute(f"attach ':memory:' as {aside}")
        _narrow(cursor, aside, chart, row[1])
        cursor.execute(f"use {aside}")
        catalogue = read_catalogue(cursor)
        profile = make_profile(catalogue, ChartWeeks(catalogue, chart), Releases(catalogue), as_of)
        if profile is None or not len(scores):
            return None
        sample = {str(name) for (name,) in cursor.execute("select track_id from main.sample").fetchall()}
        stands_for = catalogue.tracks["track_id"].isin(sample).to_numpy()
        return Fit(profile, catalogue, np.asarray(scores, dtype=np.float64), catalogue.points[stands_for])
    finally:
        cursor.execute("use release")
        cursor.execute(f"detach database if exists {aside}")
        cursor.close()


def _narrow(cursor: duckdb.DuckDBPyConnection, aside: str, chart: str, as_of: Any) -> None:
    """Make the tables that `read_catalogue` reads, with all tracks of the recordings that the profile needs."""
    known = " + ".join(f"({name} is not null)::int" for name in INPUTS)
    cursor.execute(f"create schema {aside}.marts")
    cursor.execute(f"create schema {aside}.core")
    cursor.execute(
        f"""
        create table {aside}.main.sample as
        select track_id from (
            select track_id, row_number() over (order by track_id) - 1 as place, count(*) over () as n
            from release.marts.popularity_alignment where is_current and chart = $chart and as_of = $as_of
        ) where place % greatest(n // {_SAMPLE}, 1) = 0
        """,
        {"chart": chart, "as_of": as_of},
    )
    cursor.execute(
        f"""
        create table {aside}.core.chart_entries as
        select * from release.core.chart_entries
        where chart = $chart and chart_date > $as_of::date - {WINDOW_DAYS} and chart_date <= $as_of::date
        """,
        {"chart": chart, "as_of": as_of},
    )
    # A release known by its year or month was out by its last day, and a recording is as old as its earliest edition.
    cursor.execute(
        f"""
        create table {aside}.main.recordings as
        with released as (
            select f.recording_id, min(case t.release_precision
                    when 'year' then (date_trunc('year', t.release_date) + interval 1 year)::date - 1
                    when 'month' then (date_trunc('month', t.release_date) + interval 1 month)::date - 1
                    else t.release_date end) as day,
                max(({known.replace("(", "(f.")})) as known
            from release.marts.track_features f join release.core.tracks t on t.track_id = f.track_id
            group by f.recording_id
        ),
        out as (select *, row_number() over (order by day desc) as place from released where known >= {MIN_KNOWN} and day <= $as_of::date)
        select recording_id from out
        where day > $as_of::date - {RELEASED_DAYS} or day >= coalesce((select day from out where place = {RELEASED_AT_LEAST}), date '0001-01-01')
        union
        select f.recording_id from release.marts.track_features f
        where f.track_id in (select track_id from {aside}.core.chart_entries union select track_id from {aside}.main.sample)
        """,
        {"as_of": as_of},
    )
    cursor.execute(
        f"create table {aside}.marts.track_features as select * from release.marts.track_features "
        f"where recording_id in (select recording_id from {aside}.main.recordings)"
    )
    cursor.execute(
        f"create table {aside}.core.tracks as select * from release.core.tracks "
        f"where track_id in (select track_id from {aside}.marts.track_features)"
    )
    cursor.execute(f"create table {aside}.core.chart_dates as select * from release.core.chart_dates where chart = ?", [chart])
    cursor.execute(
        f"create table {aside}.core.audio_features as select * from release.core.audio_features "
        f"where track_id in (select track_id from {aside}.core.tracks)"
    )
    # What a profile does not look at stays empty.
    cursor.execute(f"create table {aside}.core.popularity_history as select * from release.core.popularity_history limit 0")
