"""The same transformations without the product, for `scale.py`: the models' SQL without dbt and tests (the floor), pandas, and polars.

The floor executes what dbt compiled, in its order, in a copy of the file: no tests, no comments, no dbt. pandas and polars read the core tables from
Parquet and write what they find as Parquet, which both count, and do two parts: `features` (one row per track, summary, correlation, profiles of genres and eras) and `trends` (means, spreads and
quantiles of trailing windows, as in `alignment.py`). What they find is compared with the models' tables; a difference ends the benchmark.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from alignment import TREND_MODELS, by_pandas, by_polars

from soundscope.settings import Settings, load_settings
from soundscope.warehouse.build import plan

FEATURE_MODELS = ("track_sound", "track_genre", "track_popularity", "track_features", "feature_values", "feature_summary", "feature_correlation",
                  "category_counts", "genre_profile", "era_profile")  # fmt: skip
SOUND = ("tempo", "danceability", "energy", "valence", "loudness", "acousticness", "instrumentalness", "speechiness", "liveness")
NUMERIC = (*SOUND, "popularity")
COUNTED = ("genre", "mood", "era")
Found = dict[str, dict[str, float]]


def run(name: str) -> Found:
    """Do what `floor`, `pandas` or `polars` does in the home that the environment names; part -> wall and processor seconds."""
    settings = load_settings()
    return floor(settings) if name == "floor" else _frames(settings, name)


def floor(settings: Settings) -> Found:
    """Every model of the build executed as compiled, each once, in dbt's order; of these the parts the others do."""
    models = [model.name for model in plan(settings, exclude=["ml", "tag:alignment"])]
    found: Found = {}
    with tempfile.TemporaryDirectory(dir=settings.paths.private) as folder:
        # The statements name the database, which is called after its file.
        copy = Path(shutil.copy(settings.paths.writer, folder))
        options = {"threads": settings.engine.threads, "memory_limit": settings.engine.memory_limit,
                   "storage_compatibility_version": "v1.5.0", "temp_directory": str(Path(folder) / "tmp")}  # fmt: skip
        with closing(duckdb.connect(str(copy), config=options)) as con:
            views = {row[0] for row in con.execute("select schema_name || '.' || view_name from duckdb_views()").fetchall()}
            for model in models:
                files = list((settings.paths.dbt / "target" / "compiled").rglob(f"models/**/{model.partition('.')[2]}.sql"))
                if not files:  # a seed
                    continue
                with _measured() as one:
                    kind = "view" if model in views else "table"
                    con.execute(f"create or replace {kind} {model} as {files[0].read_text()}")
                for part, its_models in (("all models", models), ("features", FEATURE_MODELS), ("trends", TREND_MODELS)):
                    if model in its_models or model.partition(".")[2] in its_models:
                        sums = found.setdefault(part, {"s": 0.0, "cpu": 0.0})
                        sums["s"], sums["cpu"] = sums["s"] + one["s"], sums["cpu"] + one["cpu"]
            with _measured() as one:
                con.execute("checkpoint")
            found["all models"] = {key: found["all models"][key] + one[key] for key in one}
    return found


@contextmanager
def _measured() -> Iterator[dict[str, float]]:
    spent: dict[str, float] = {}
    began, cpu = time.perf_counter(), time.process_time()
    yield spent
    spent |= {"s": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def _frames(settings: Settings, name: str) -> Found:
    features: Callable[[Path], tuple[pd.DataFrame, pd.DataFrame]]
    features, trends = (pandas_features, by_pandas) if name == "pandas" else (polars_features, by_polars)
    with tempfile.TemporaryDirectory(dir=settings.paths.private) as folder:
        with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
            for table in ("tracks", "audio_features", "track_genres", "popularity_history"):
                con.execute(f"copy core.{table} to '{folder}/{table}.parquet' (format parquet)")
            con.execute(
                f"copy (from prepare.trend_entries order by chart, chart_date) to '{folder}/entries.parquet' (format parquet)"
            )
            summary = con.execute("select * from marts.feature_summary").df()
            profile = con.execute("select * from marts.genre_profile").df()
            means = con.execute("select chart, chart_date, feature, window_weeks, mean, std from marts.chart_trends").df()
        with _measured() as first:
            its_summary, its_profile = features(Path(folder))
        with _measured() as second:
            entries = pd.read_parquet(f"{folder}/entries.parquet")
            its_trends = trends(entries.assign(chart_date=pd.to_datetime(entries["chart_date"])))
            its_trends.to_parquet(f"{folder}/found_trends.parquet", index=False)
    _agree(name, summary, its_summary, ["feature"], ["mean", "median", "std"])
    _agree(name, profile, its_profile, ["genre", "feature"], ["mean", "std"])
    _agree(name, means, its_trends, ["chart", "chart_date", "feature", "window_weeks"], ["mean", "std"])
    return {"features": first, "trends": second}


def _agree(name: str, ours: pd.DataFrame, theirs: pd.DataFrame, key: list[str], columns: list[str]) -> None:
    if "chart_date" in key:
        ours, theirs = (frame.assign(chart_date=pd.to_datetime(frame["chart_date"])) for frame in (ours, theirs))
    both = ours.merge(theirs, on=key, suffixes=("", "_theirs"))
    a, b = both[columns].to_numpy(dtype=float), both[[f"{column}_theirs" for column in columns]].to_numpy(dtype=float)
    if not len(both) or (np.isnan(a) != np.isnan(b)).any() or np.nanmax(np.abs(a - b) / np.maximum(np.abs(a), 1.0)) > 1e-6:
        raise SystemExit(f"{name} finds other values of {', '.join(columns)} per {', '.join(key)} than the models do.")


def pandas_features(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per track, then summary, correlation and profiles; returns summary (feature, mean, median, std) and genre profile."""
    tracks, sound, genres, popularity = (
        pd.read_parquet(folder / f"{table}.parquet")
        for table in ("tracks", "audio_features", "track_genres", "popularity_history")
    )
    sound = sound.dropna(subset=list(SOUND), how="all").sort_values(["track_id", "provider"]).drop_duplicates("track_id")
    counted = genres.groupby(["track_id", "genre"], as_index=False)["source"].nunique()
    counted = counted.sort_values(["track_id", "source", "genre"], ascending=[True, False, True]).drop_duplicates("track_id")
    popularity = (
        popularity[popularity["valid_to"].isna()].sort_values("last_observed_at").drop_duplicates("track_id", keep="last")
    )
    wide = tracks.merge(sound[["track_id", *SOUND, "key", "mode", "provider"]], on="track_id", how="left")
    wide = wide.merge(counted[["track_id", "genre"]], on="track_id", how="left")
    wide = wide.merge(popularity[["track_id", "popularity"]], on="track_id", how="left")
    glad, lively = wide["valence"] >= 0.5, wide["energy"] >= 0.5
    wide["mood"] = np.select([glad & lively, glad, lively], ["happy", "calm", "angry"], "sad")
    values = wide[list(NUMERIC)]
    summary = pd.DataFrame(
        {"mean": values.mean(), "median": values.median(), "std": values.std(ddof=0), "min": values.min(), "max": values.max(), "n": values.count()}
    ).rename_axis("feature").reset_index()  # fmt: skip
    known = values.notna().to_numpy(dtype=float)
    both = pd.DataFrame(known.T @ known, index=NUMERIC, columns=NUMERIC)
    correlation = (
        pd.DataFrame({"r": values.corr().stack(), "n": both.stack()}).rename_axis(["feature_x", "feature_y"]).reset_index()
    )
    counts = pd.concat(
        wide[field].value_counts().rename("n").rename_axis("value").reset_index().assign(field=field) for field in COUNTED
    )
    profiles = {field: _profile(wide, field) for field in ("genre", "era")}
    found = {"track_features": wide, "summary": summary, "correlation": correlation, "counts": counts, **profiles}
    for name, frame in found.items():
        frame.to_parquet(folder / f"found_{name}.parquet", index=False)
    return summary, profiles["genre"]


def _profile(wide: pd.DataFrame, field: str) -> pd.DataFrame:
    groups = wide.groupby(field)[list(NUMERIC)]
    found = pd.DataFrame({"mean": groups.mean().stack(), "std": groups.std(ddof=0).stack(), "n": groups.count().stack()})
    return found.rename_axis([field, "feature"]).reset_index()


def polars_features(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same with polars."""
    import polars as pl

    tracks, sound, genres, popularity = (
        pl.scan_parquet(folder / f"{table}.parquet")
        for table in ("tracks", "audio_features", "track_genres", "popularity_history")
    )
    sound = sound.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in SOUND)).sort("track_id", "provider")
    counted = genres.group_by("track_id", "genre").agg(pl.col("source").n_unique())
    counted = counted.sort(["track_id", "source", "genre"], descending=[False, True, False]).unique("track_id", keep="first")
    popularity = popularity.filter(pl.col("valid_to").is_null()).sort("last_observed_at").unique("track_id", keep="last")
    lazy = tracks.join(
        sound.unique("track_id", keep="first").select("track_id", *SOUND, "key", "mode", "provider"), on="track_id", how="left"
    )
    lazy = lazy.join(counted.select("track_id", "genre"), on="track_id", how="left")
    lazy = lazy.join(popularity.select("track_id", "popularity"), on="track_id", how="left")
    glad, lively = pl.col("valence") >= 0.5, pl.col("energy") >= 0.5
    mood = pl.when(glad & lively).then(pl.lit("happy")).when(glad).then(pl.lit("calm")).when(lively).then(pl.lit("angry"))
    wide = lazy.with_columns(mood=mood.otherwise(pl.lit("sad"))).collect()
    pairs = [(x, y) for x in NUMERIC for y in NUMERIC]
    r = wide.select(pl.corr(x, y).alias(f"{x}|{y}") for x, y in pairs).unpivot(variable_name="pair", value_name="r")
    n = wide.select((pl.col(x).is_not_null() & pl.col(y).is_not_null()).sum().alias(f"{x}|{y}") for x, y in pairs)
    found = {"track_features": wide, "correlation": r.join(n.unpivot(variable_name="pair", value_name="n"), on="pair")}
    found["counts"] = pl.concat(
        wide[field].value_counts().select(pl.lit(field).alias("field"), pl.col(field).alias("value"), "count")
        for field in COUNTED
    )
    parts: dict[str, Any] = {}
    for field in ("genre", "era"):
        long = wide.select(field, *NUMERIC).unpivot(NUMERIC, index=field, variable_name="feature", value_name="x")
        grouped = long.group_by(field, "feature").agg(mean=pl.col("x").mean(), std=pl.col("x").std(ddof=0), n=pl.col("x").count())
        parts[field] = grouped.filter(pl.col(field).is_not_null())
    x = pl.col("x")
    summary = wide.select(NUMERIC).unpivot(NUMERIC, variable_name="feature", value_name="x").group_by("feature")
    summary = summary.agg(mean=x.mean(), median=x.median(), std=x.std(ddof=0), min=x.min(), max=x.max())
    for name, frame in {**found, **parts, "summary": summary}.items():
        frame.write_parquet(folder / f"found_{name}.parquet")
    return summary.to_pandas(), parts["genre"].to_pandas()
