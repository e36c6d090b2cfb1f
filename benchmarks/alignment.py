"""The back-test of alignment on real charts, and how fast trends and alignment are; compared with pandas and polars in one run.

Run: python benchmarks/alignment.py [--data FOLDER] [--home FOLDER] [--tracks N ...] [--skip-backtest]

FOLDER holds the real data described in docs/alignment.md; without it only the alignment of drawn tracks is timed. A warehouse is built in
a temporary folder (or --home, kept for the next run), with the real models and the real matching; nothing of the data is stored in the
project. What is drawn is drawn by a fixed seed.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from contextlib import closing, nullcontext
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

from soundscope.ingest.typed import create_raw
from soundscope.match import group_recordings, match_keys
from soundscope.settings import PROJECT, Settings
from soundscope.trends import backtest as bt
from soundscope.trends.catalogue import Catalogue, read_catalogue
from soundscope.trends.profile import ChartWeeks, Profile, Releases, make_profile
from soundscope.trends.sound import INPUTS
from soundscope.warehouse.build import run_build
from soundscope.warehouse.connect import open_writer
from soundscope.warehouse.lock import writer_lock
from tests.real_rows import COMMON, load_real_rows


def build(settings: Settings, folder: Path) -> None:
    """Raw rows, links and all models."""
    settings.paths.create()
    with writer_lock(settings):
        con = open_writer(settings)
        create_raw(con)
        load_real_rows(con, folder)
        con.close()
    run_build(settings, select=["staging"])
    with writer_lock(settings):
        con = open_writer(settings)
        keys = con.execute("select * from staging.chart_keys order by title, artist, run_no").df()
        tracks = con.execute("select * from staging.track_identity order by track_id").df()
        for table, frame in (
            ("track_links", match_keys(keys, tracks, None).assign(decided_at=pd.Timestamp("2026-11-01"))),
            ("recordings", group_recordings(tracks)),
        ):
            con.register("found", frame)
            con.execute(f"insert into raw.{table} by name select *, 'soundscope' as provider, {COMMON} from found")
            con.unregister("found")
        con.close()
    run_build(settings, exclude=["staging"])


# --- trends ---

TREND_MODELS = ("trend_entries", "chart_window_dates", "chart_week_sound", "chart_window_sound", "chart_window_tracks",
                "chart_window_overlap", "chart_window_quantiles", "chart_trends")  # fmt: skip
UP_TO_TRENDS = f"+{TREND_MODELS[-1]}"
# Features with the range in which the models tell quantiles apart, in forty bins.
RANGES = {
    "tempo": (40.0, 240.0), "danceability": (0.0, 1.0), "energy": (0.0, 1.0), "valence": (0.0, 1.0), "loudness": (-30.0, 0.0),
    "acousticness": (0.0, 1.0), "instrumentalness": (0.0, 1.0), "speechiness": (0.0, 1.0), "liveness": (0.0, 1.0),
    "duration_ms": (60_000.0, 420_000.0),
}  # fmt: skip
FEATURES = tuple(RANGES)
BINS = 40
QUANTILES = {"q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9}
WINDOWS = (4, 12, 52)


def time_trends(settings: Settings) -> None:
    """The whole archive and one new week by the models; then the same means, spreads and quantiles by pandas and polars, compared."""
    for what, is_new in (("whole archive", True), ("one new week", False)):
        if not is_new:
            hold_back_newest_week(settings)
        began = time.perf_counter()
        result = run_build(settings, select=list(TREND_MODELS) if is_new else [UP_TO_TRENDS], full_refresh=is_new)
        seconds = time.perf_counter() - began
        by_clock, cpu = time_statements(settings, is_new=is_new)
        before = "" if is_new else f", all {sum(model.seconds > 0 for model in result.models)} models before them"
        print(f"trends, {what}: SQL of {len(TREND_MODELS)} models, one after another, {by_clock:.2f} s by the clock, {cpu:.2f} s of CPU; "
              f"with dbt's start{before} and {len(result.checks)} tests of whole tables {seconds:.1f} s by the clock")  # fmt: skip
    with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
        where = con.execute("select table_schema from information_schema.tables where table_name = 'trend_entries'").fetchone()
        if where is None:
            raise SystemExit("There is no table trend_entries; build the models first.")
        entries = con.execute(f'select * from "{where[0]}".trend_entries order by chart, chart_date').df()
        columns = ["mean", "std", *QUANTILES]
        found = con.execute(f"select chart, chart_date, feature, window_weeks, {', '.join(columns)} from marts.chart_trends").df()
    for name, compute in (("pandas", by_pandas), ("polars", by_polars)):
        began, cpu = time.perf_counter(), time.process_time()
        try:
            theirs = compute(entries)
        except ModuleNotFoundError:
            print(f"{name}: not installed, left out")
            continue
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        both = found.merge(theirs, on=["chart", "chart_date", "feature", "window_weeks"], suffixes=("", "_theirs"))
        ours, other = both[columns].to_numpy(dtype=float), both[[f"{c}_theirs" for c in columns]].to_numpy(dtype=float)
        if (np.isnan(ours) != np.isnan(other)).any():
            raise SystemExit(f"{name} knows other values than the models do.")
        off = np.nanmax(np.abs(ours - other) / np.maximum(np.abs(ours), 1.0))
        print(f"{name}: means, spreads and quantiles alone {seconds:.2f} s by the clock, {cpu:.2f} s of CPU; {len(both):,} rows compared, "
              f"largest difference {off:.1e} of the value or of 1")  # fmt: skip


def time_statements(settings: Settings, *, is_new: bool) -> tuple[float, float]:
    """Seconds by the clock and of CPU of the statements dbt compiled last, run in a copy of the file without dbt and tests.

    Args:
        is_new: write whole tables; otherwise replace the weeks found, as an incremental run does.
    """
    with tempfile.TemporaryDirectory(dir=settings.paths.temp) as folder:
        # The statements name the database, which is called after its file.
        copy = Path(shutil.copy(settings.paths.writer, folder))
        options = {"threads": settings.engine.threads, "memory_limit": settings.engine.memory_limit}
        with closing(duckdb.connect(str(copy), config=options)) as con:
            began, cpu = time.perf_counter(), time.process_time()
            for model in TREND_MODELS:
                [file] = (settings.paths.dbt / "target" / "compiled").rglob(f"{model}.sql")
                table = f"{'marts' if model == 'chart_trends' else 'prepare'}.{model}"
                # The first of them is built whole in every run.
                if is_new or model == TREND_MODELS[0]:
                    con.execute(f"create or replace table {table} as {file.read_text()}")
                    continue
                con.execute(f"create or replace temp table found as {file.read_text()}")
                con.execute(f"delete from {table} where chart_date in (select chart_date from found)")
                con.execute(f"insert into {table} by name select * from found")
            return time.perf_counter() - began, time.process_time() - cpu


def hold_back_newest_week(settings: Settings) -> None:
    """Build everything as it was a week ago, and put the raw rows of the newest week back."""
    newest = "chart_date = (select max(chart_date) from raw.chart_entries)"
    _write(settings, f"create or replace table raw.held_back as select * from raw.chart_entries where {newest}",
           f"delete from raw.chart_entries where {newest}")  # fmt: skip
    try:
        run_build(settings, select=[UP_TO_TRENDS])
    finally:
        _write(settings, "insert into raw.chart_entries select * from raw.held_back", "drop table raw.held_back")


def _write(settings: Settings, *statements: str) -> None:
    with writer_lock(settings), closing(open_writer(settings)) as con:
        for statement in statements:
            con.execute(statement)


def by_pandas(entries: pd.DataFrame) -> pd.DataFrame:
    """Weighted means, spreads and binned quantiles of trailing windows: weekly sums, then rolling sums within stretches."""
    parts = []
    for (chart, _), held in entries.groupby(["chart", "trend_stretch_no"]):
        for feature, (low, high) in RANGES.items():
            x, w = held[feature].astype(float), held["chart_points"].astype(float)
            known = w.where(x.notna(), 0.0)
            sums = pd.DataFrame({"w": known, "wx": (known * x).fillna(0), "wxx": (known * x * x).fillna(0)})
            week = sums.groupby(held["chart_date"]).sum()
            place = np.floor((x - low) * BINS / (high - low)).clip(0, BINS - 1)
            in_bins = known.groupby([held["chart_date"], place]).sum().unstack(fill_value=0.0)
            in_bins = in_bins.reindex(index=week.index, columns=range(BINS), fill_value=0.0)
            for weeks in WINDOWS:
                s = week.rolling(f"{7 * weeks}D").sum()
                mean = s["wx"] / s["w"]
                std = np.sqrt(np.maximum(s["wxx"] / s["w"] - mean**2, 0.0))
                upto = in_bins.rolling(f"{7 * weeks}D").sum().cumsum(axis=1).to_numpy()
                found = {name: low + (high - low) / BINS * _place(upto, share) for name, share in QUANTILES.items()}
                parts.append(pd.DataFrame({"chart": chart, "chart_date": s.index, "feature": feature, "window_weeks": weeks,
                                           "mean": mean.to_numpy(), "std": std.to_numpy(), **found}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _place(upto: np.ndarray, share: float) -> np.ndarray:
    """Where (n,) a share of all points is reached, in bins, from points (n, bins) up to each bin's end; NaN without points."""
    wanted = share * upto[:, -1]
    row, at = np.arange(len(upto)), (upto >= wanted[:, None]).argmax(axis=1)
    below = np.where(at > 0, upto[row, at - 1], 0.0)
    with np.errstate(invalid="ignore"):
        return np.where(upto[:, -1] > 0, at + (wanted - below) / (upto[row, at] - below), np.nan)


def by_polars(entries: pd.DataFrame) -> pd.DataFrame:
    """The same with polars."""
    import polars as pl

    frame = pl.from_pandas(entries[["chart", "trend_stretch_no", "chart_date", "chart_points", *FEATURES]])
    index = ["chart", "trend_stretch_no", "feature"]
    long = frame.unpivot(
        FEATURES, index=["chart", "trend_stretch_no", "chart_date", "chart_points"], variable_name="feature", value_name="x"
    )
    low, span = (
        pl.col("feature").replace_strict({name: ends[0] for name, ends in RANGES.items()}, return_dtype=pl.Float64),
        pl.col("feature").replace_strict({name: ends[1] - ends[0] for name, ends in RANGES.items()}, return_dtype=pl.Float64),
    )
    long = long.with_columns(bin=((pl.col("x") - low) * BINS / span).floor().clip(0, BINS - 1))
    w, x, names = pl.col("chart_points").cast(pl.Float64), pl.col("x").cast(pl.Float64), [f"upto_{b}" for b in range(BINS)]
    week = (
        long.group_by(*index, "chart_date")
        .agg(
            w.filter(x.is_not_null()).sum().alias("w"),
            (w * x).sum().alias("wx"),
            (w * x * x).sum().alias("wxx"),
            *(w.filter(pl.col("bin") <= b).sum().alias(f"upto_{b}") for b in range(BINS)),
        )
        .sort(*index, "chart_date")
    )
    mean = pl.col("wx") / pl.col("w")
    std = (pl.col("wxx") / pl.col("w") - mean**2).clip(0).sqrt()
    parts = []
    for weeks in WINDOWS:
        s = week.rolling("chart_date", period=f"{7 * weeks}d", group_by=index).agg(pl.col("w", "wx", "wxx", *names).sum())
        found = []
        for name, share in QUANTILES.items():
            wanted = share * pl.col(names[-1])
            places = []
            for b, upto in enumerate(names):
                below = pl.col(names[b - 1]) if b else pl.lit(0.0)
                places.append(pl.when(pl.col(upto) >= wanted).then(b + (wanted - below) / (pl.col(upto) - below)))
            found.append((low + span / BINS * pl.coalesce(places)).alias(name))
        parts.append(
            s.select(
                "chart",
                "chart_date",
                "feature",
                pl.lit(weeks).alias("window_weeks"),
                mean.alias("mean"),
                std.alias("std"),
                *found,
            )
        )
    return pl.concat(parts).to_pandas()


# --- alignment ---


def drawn_profile(seed: int) -> Profile:
    """A profile of 700 charting and 4,000 released tracks, drawn."""
    rng = np.random.default_rng(seed)
    n = 4_700
    tracks = pd.DataFrame(_sound(rng, n), columns=list(INPUTS)).assign(
        track_id=[f"t{i:05d}" for i in range(n)], title="x", artist="y", artists="y", album="z", genre=None, feature_provider="drawn",
        train_ok=True, key=0, mode=0, time_signature=4, release_date=pd.Timestamp("2020-01-01"), release_precision="day",
    )  # fmt: skip
    tracks["recording_id"] = tracks["track_id"]
    entries = pd.DataFrame({"chart": "drawn", "chart_date": pd.Timestamp("2020-06-01"), "rank": range(1, 701), "title": "x", "artist": "y",
                            "track_id": tracks["track_id"][:700], "points": range(700, 0, -1), "size": 700})  # fmt: skip
    empty = pd.DataFrame(
        {"track_id": [], "provider": [], "popularity": [], "valid_from": [], "valid_to": [], "is_native_scale": []}
    )
    catalogue = Catalogue(tracks, entries, empty)
    profile = make_profile(catalogue, ChartWeeks(catalogue, "drawn"), Releases(catalogue), np.datetime64("2020-06-01", "D"))
    if profile is None:
        raise SystemExit("The drawn catalogue gives no profile.")
    return profile


def _sound(rng: np.random.Generator, n: int) -> np.ndarray:
    values = rng.random((n, len(INPUTS)))
    values[:, 0], values[:, 4], values[:, 9] = 60 + 120 * values[:, 0], -30 * values[:, 4], 120_000 + 200_000 * values[:, 9]
    return values


def time_alignment(sizes: list[int], seed: int) -> None:
    """Scores of so many drawn tracks; memory is that of the whole process at its highest, the points themselves included."""
    profile = drawn_profile(seed)
    rng = np.random.default_rng(seed)
    for n in sizes:
        points = rng.standard_normal((n, len(INPUTS)), dtype=np.float32)
        nobody = np.full(n, -1, dtype=np.int32)
        began, cpu = time.perf_counter(), time.process_time()
        scores = profile.score(points, nobody)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"alignment of {n:,} tracks: {time.perf_counter() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU; at most {peak:.2f} GB; "
              f"checked {len(scores):,}, all finite: {bool(np.isfinite(scores).all())}")  # fmt: skip
        del points, scores


def measure_approximation(catalogue: Catalogue, chart: str, seed: int) -> None:
    """Rank correlation of the approximation with the exact kernel on 20 thousand real tracks."""
    weeks = ChartWeeks(catalogue, chart)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(catalogue.is_scorable))[:20_000]
    profile = make_profile(catalogue, weeks, Releases(catalogue), weeks.day.max())
    if profile is None:
        raise SystemExit(f"{chart} has no profile.")
    near, exact = profile.score(catalogue.points[rows], np.full(len(rows), -1)), profile.exact_score(catalogue.points[rows])
    ranks = pd.DataFrame({"near": near, "exact": exact}).rank()
    print(f"rank correlation with the exact kernel on {len(rows):,} tracks: {ranks['near'].corr(ranks['exact']):.4f}")


def measure_backtest(catalogue: Catalogue, chart: str, seed: int) -> None:
    """The figures of docs/alignment.md."""
    began = time.perf_counter()
    scored = bt.score_candidates(catalogue, chart, seed=seed)
    found = bt.figures(scored, "2011-01-01", "2018-10-01", quarterly=False)
    shown = found[found["segment"].isin(["all", "within_quarter", "within_genre", "new_artists", "later_excluded"])]
    print(
        f"back-test, released 2011-01 to 2018-09, {time.perf_counter() - began:.0f} s; {scored.found.provider}; left out: {scored.found.left_out}"
    )
    print(shown.drop(columns=["chart", "quarter", "is_rival"]).round(3).to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SOUNDSCOPE_REALDATA", PROJECT.parent / "shared" / "data"))
    )
    parser.add_argument("--home", type=Path, help="where the warehouse is built; a temporary folder if left out")
    parser.add_argument("--tracks", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip-backtest", action="store_true")
    given = parser.parse_args()
    load_now = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load_now}, seed {given.seed}")
    time_alignment(given.tracks, given.seed)
    if not (given.data / "billboard_hot_100_all.json.gz").exists():
        print(f"no real data in {given.data}: trends and back-test left out")
        return
    with tempfile.TemporaryDirectory() if given.home is None else nullcontext(str(given.home)) as home:
        settings = Settings(home=Path(home))
        if not settings.paths.writer.exists():
            build(settings, given.data)
        time_trends(settings)
        with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
            catalogue = read_catalogue(con, for_models=True)
        with threadpool_limits(limits=1, user_api="blas"):
            measure_approximation(catalogue, "billboard_hot_100", given.seed)
            if not given.skip_backtest:
                measure_backtest(catalogue, "billboard_hot_100", given.seed)


if __name__ == "__main__":
    main()
