"""A generated release with every table the app reads, of any size, and a model trained on a part of it. Nothing in it is real."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml

from soundscope.genre.train import train
from soundscope.ingest.ledger import Ledger
from soundscope.settings import PROJECT, Settings, load_settings
from soundscope.warehouse.dictionary import comment_on, create_dictionary
from soundscope.warehouse.publish import new_release_id
from soundscope.warehouse.releases import SCHEMA_VERSION, Release, make_current, write_manifest

CHART = "billboard_hot_100"
# What titles may hold. None of it may become markup, a link, a formula, an icon or a script.
HOSTILE = (
    "<script>window.hurt=1</script>",
    "<img src=x onerror='window.hurt=1'>",
    "[press](javascript:window.hurt=1)",
    "**bold** _it_ `code` # head",
    "$\\frac{1}{2}$ :smile: :red[red]",
    '=HYPERLINK("http://evil.example")',
    "www.evil.example https://evil.example a@evil.example",
    "| a | b |",
    "{{7*7}} ${7*7} %s %(x)s",
    "שלום \u202eevil\u202c 日本語",
    "'; drop table titles; --",
    "x" * 300,
)
_WORDS = (
    "Marble",
    "Hollow",
    "Silver",
    "Neon",
    "Paper",
    "Quiet",
    "Golden",
    "Broken",
    "Velvet",
    "Crooked",
    "Lunar",
    "Amber",
    "Distant",
    "Electric",
)
_MORE = (
    "Window",
    "River",
    "Harbour",
    "Signal",
    "Orchard",
    "Mirror",
    "Garden",
    "Lantern",
    "Horizon",
    "Summer",
    "Shadow",
    "Engine",
    "Feather",
    "Winter",
)
_GENRES = ("pop", "rock", "rap", "r&b", "edm", "latin", "country", "soul", "metal", "jazz", "folk", "blues", "disco", "punk")
_FEATURES = (
    "tempo",
    "danceability",
    "energy",
    "valence",
    "loudness",
    "acousticness",
    "instrumentalness",
    "speechiness",
    "liveness",
    "popularity",
)


def make_release(
    home: Path,
    *,
    tracks: int = 900,
    weeks: int = 160,
    seed: int = 7,
    profile: str = "sandbox",
    model: bool = True,
    now: datetime | None = None,
) -> str:
    """Publish a generated release in a home folder.

    Args:
        home: SOUNDSCOPE_HOME; made if need be.
        tracks: how many; the first ones have the titles of `HOSTILE`.
        weeks: charts of 100, the newest a few days before `now`.
        seed: of everything drawn.
        profile: sandbox, or live (then nothing is called synthetic).
        model: whether a model is trained on the first tracks and scores all.
        now: when it is published; its id is made from it.

    Returns:
        Id of a track that charts.
    """
    settings = load_settings(home=str(home))
    settings.paths.create()
    Ledger.open(settings).close()
    made = now or datetime.now(UTC).replace(tzinfo=None)
    release_id = new_release_id(made)
    rows = _model_rows(settings, seed, made, release_id) if model else {}
    file = settings.paths.releases / f"{release_id}.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("set threads = 2")
        _fill(con, tracks, weeks, seed, made)
        _scores(con, rows, release_id, made)
        _ops(con, made)
        identity = {"release_id": release_id, "created_at": made, "profile": profile, "is_synthetic": profile == "sandbox"}
        con.execute(
            "create table main.release as select ? as release_id, ? as created_at, ? as profile, ? as is_synthetic",
            list(identity.values()),
        )
        _comment(con)
        create_dictionary(con, file.stem)
        chosen = con.execute("select track_id from core.chart_entries where rank = 3 order by chart_date desc limit 1").fetchone()
        names = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_type = 'BASE TABLE'"
        ).fetchall()
        counts = {name: int(con.execute(f"select count(*) from {name}").fetchone()[0]) for (name,) in names}  # type: ignore[index]
    release = Release(
        release_id,
        made,
        SCHEMA_VERSION,
        "0.1.0",
        profile,
        profile == "sandbox",
        "made",
        file.stat().st_size,
        False,
        file,
        counts,
        {},
    )
    write_manifest(release)
    make_current(settings, release_id, "publish")
    assert chosen is not None
    return str(chosen[0])


def _fill(con: duckdb.DuckDBPyConnection, tracks: int, weeks: int, seed: int, now: datetime) -> None:
    for schema in ("core", "marts", "ml", "ops"):
        con.execute(f"create schema {schema}")
    titles = "case " + " ".join(f"when i = {i} then {_text(title)}" for i, title in enumerate(HOSTILE)) + " else "
    titles += f"list_extract({list(_WORDS)!r}, (h % {len(_WORDS)})::int + 1) || ' ' || list_extract({list(_MORE)!r}, (h // 97 % {len(_MORE)})::int + 1) || ' ' || i end"

    def draw(salt: int, mean: float, spread: float) -> str:
        """A number in 0..1 around a mean that depends on the genre."""
        return f"least(1, greatest(0, {mean} + {spread} * (hash(i + {salt * 1_000_003} + {seed}) % 10000 / 5000.0 - 1) + ((g * {salt + 3}) % 7 - 3) * 0.07))"

    con.execute(
        f"""
        create table core.tracks as
        with n as (select range as i, hash(range + {seed}) as h, (hash(range * 31 + {seed}) % {len(_GENRES)})::int as g from range({tracks}))
        select 'spotify:' || left(md5('t' || i) , 22) as track_id, left(md5('t' || i), 22) as spotify_id, null::varchar as isrc, {titles} as title,
            case when i = 1 then '<b>Artist</b>' else 'The ' || list_extract({list(_MORE)!r}, (h // 13 % {len(_MORE)})::int + 1) || ' ' || (h % greatest({tracks} // 8, 3)) end as artist,
            null::varchar as artists, 'Album ' || (i // 10) as album, (date '1960-01-01' + (h // 7 % 24400)::int)::date as release_date, 'day' as release_precision,
            null::varchar as era, (120000 + h % 180000)::bigint as duration_ms, false as explicit, 'spotify:' || left(md5('t' || i), 22) as recording_id,
            null::date as first_release_date, null::varchar as imported_mood, 1::bigint as n_sources, i, g
        from n
        """
    )
    con.execute(
        "update core.tracks set artists = artist, first_release_date = release_date, era = (year(release_date) // 10 * 10) || 's'"
    )
    con.execute(
        f"""
        create table marts.track_features as
        select track_id, title, artist, 60 + 120 * {draw(1, 0.5, 0.4)} as tempo, {draw(2, 0.6, 0.3)} as danceability, {draw(3, 0.6, 0.3)} as energy,
            {draw(4, 0.5, 0.4)} as valence, -25 + 24 * {draw(5, 0.7, 0.2)} as loudness, {draw(6, 0.3, 0.3)} as acousticness, {draw(7, 0.1, 0.2)} as instrumentalness,
            {draw(8, 0.1, 0.1)} as speechiness, {draw(9, 0.2, 0.2)} as liveness, (hash(i * 7 + {seed}) % 101)::double as popularity, (i % 12)::int as key, (i % 2)::int as mode,
            4 as time_signature, duration_ms, list_extract({list(_GENRES)!r}, g + 1) as genre, 'Happy' as mood, era, 'reccobeats' as feature_provider,
            'spotify' as popularity_provider, 'derived' as mood_source, true as train_ok, list_extract({list(_GENRES)!r}, g + 1) as family, recording_id,
            track_id as feature_track_id, true as genre_train_ok, true as popularity_train_ok, i
        from core.tracks
        """
    )
    # A few tracks of which nothing is known.
    con.execute(
        f"update marts.track_features set feature_provider = null, train_ok = false, {', '.join(f'{n} = null' for n in _FEATURES)} where i % 41 = 40"
    )
    newest = f"date '{now:%Y-%m-%d}' - 2"
    con.execute(
        f"""
        create table core.chart_entries as
        with w as (select range as week, ({newest} - (({weeks} - 1 - range) * 7)::int)::date as chart_date from range({weeks})),
        e as (
            select chart_date, week, r + 1 as rank, (case when week = {weeks} - 1 and r < {len(HOSTILE)} then r else hash(week // 9 * 131 + (r + week) % 100 * 17 + {seed}) % {tracks} end)::bigint as i
            from w cross join (select range as r from range(100))
        ),
        placed as (select *, row_number() over (partition by i order by chart_date, rank)::bigint as so_far, lag(rank) over (partition by i order by chart_date, rank)::int as before from e)
        select '{CHART}' as chart, chart_date, rank::int as rank, t.title, t.artist, 1 as run_no, before as previous_rank, rank::int as peak_rank, so_far as weeks_on_chart,
            true as is_complete_history, null::int as reported_last_week, null::int as reported_peak, null::int as reported_weeks,
            case when rank % 17 <> 0 then t.track_id end as track_id, 'exact' as match_method, 1.0 as match_score, 'billboard_hot_100' as provider, timestamp '{now:%Y-%m-%d %H:%M:%S}' as fetched_at
        from placed join core.tracks t on t.i = placed.i order by chart_date, rank
        """
    )
    con.execute(
        f"""
        create table core.chart_dates as
        select chart, chart_date, row_number() over (order by chart_date)::bigint as date_no, lag(chart_date) over (order by chart_date) as previous_date, 7::bigint as step_days,
            false as is_after_hole, 0::bigint as stretch_no, 0::bigint as trend_stretch_no, 7 as cadence_days, 100 as size, 100::bigint as n_entries, 'billboard_hot_100' as provider,
            timestamp '{now:%Y-%m-%d %H:%M:%S}' as fetched_at
        from (select distinct chart, chart_date from core.chart_entries)
        """
    )
    features = ", ".join(_FEATURES[:-1])
    con.execute(
        f"create table core.audio_features as select track_id, feature_provider as provider, 'synthetic' as licence, train_ok, timestamp '{now:%Y-%m-%d %H:%M:%S}' as fetched_at, "
        f"{features}, key, mode, time_signature, duration_ms from marts.track_features where feature_provider is not null"
    )
    con.execute(
        "create table core.popularity_history as select track_id, 'spotify' as provider, popularity, timestamp '2026-01-01' as valid_from, timestamp '2026-03-01' as valid_to, popularity as observed_value, "
        "true as is_native_scale, true as train_ok, timestamp '2026-03-01' as last_observed_at from marts.track_features where popularity is not null and i % 3 = 0 union all "
        "select track_id, 'spotify', least(popularity + 5, 100), timestamp '2026-03-01', null, popularity, true, true, timestamp '2026-06-01' from marts.track_features where popularity is not null"
    )
    con.execute(
        "create table core.track_genres as select track_id, genre, family, 'spotify:artist' as source, genre as raw_label, 'spotify' as provider, true as train_ok from marts.track_features where genre is not null"
    )
    con.execute(
        "create table core.track_matches as select distinct title, artist, 1 as run_no, track_id, 'matched' as status from core.chart_entries"
    )
    _marts(con, now)


def _marts(con: duckdb.DuckDBPyConnection, now: datetime) -> None:
    names = ", ".join(_FEATURES)
    con.execute(
        f"create temp table long as unpivot (select track_id, genre, era, {names} from marts.track_features) on {names} into name feature value value"
    )
    con.execute(
        "create table marts.feature_summary as select feature, count(*) as n, 0::bigint as missing, avg(value) as mean, median(value) as median, min(value) as min, max(value) as max, "
        "stddev_pop(value) as std from long group by feature"
    )
    for field in ("genre", "era"):
        con.execute(
            f"create table marts.{field}_profile as select {field}, feature, avg(value) as mean, stddev_pop(value) as std, count(*) as n from long where {field} is not null group by all"
        )
    con.execute(
        "create table marts.category_counts as "
        + " union all ".join(
            f"select '{f}' as field, {f} as value, count(*) as n from marts.track_features where {f} is not null group by {f}"
            for f in ("genre", "mood", "era")
        )
    )
    con.execute(
        f"""
        create table marts.chart_trends as
        with weekly as (
            select e.chart, e.chart_date, l.feature, sum((101 - e.rank) * value) / sum(101 - e.rank) as mean, stddev_pop(value) as std, count(*)::bigint as n_tracks
            from core.chart_entries e join (select track_id, {names} from marts.track_features) f on f.track_id = e.track_id
            join long l on l.track_id = f.track_id group by all
        )
        select chart, feature, window_weeks, mean, std, n_tracks, n_tracks * 0.7 as n_effective, case when year(chart_date) = 2024 then 0.3 else 0.92 end as coverage,
            year(chart_date) = 2024 as is_low_coverage, mean - lag(mean, 52) over h as change_1y,
            abs(mean - lag(mean, 52) over h) > 0.05 as is_change_1y_beyond_noise, null::double as change_5y, null::boolean as is_change_5y_beyond_noise, true as is_whole_window, chart_date
        from weekly cross join (select unnest([4, 12, 52])::int as window_weeks) window h as (partition by chart, feature, window_weeks order by chart_date)
        """
    )
    con.execute(
        "create table marts.genre_share as select e.chart, e.chart_date, f.genre, count(*) / 94.0 as share, count(*) as n_entries, 0.94 as coverage, false as is_low_coverage "
        "from core.chart_entries e join marts.track_features f on f.track_id = e.track_id group by all"
    )
    con.execute(
        f"create table marts.chart_turnover as select '{CHART}' as chart, chart_date, 100::bigint as n_entries, (date_no % 12)::bigint as n_new, 1::bigint as n_returning, date_no % 12 / 100.0 as share_new, "
        "5.0 + date_no % 3 as mean_rank_change, 9.0 as mean_weeks_on_chart, 8.0 as median_weeks_on_chart, 20.0 as median_age_weeks, 0.1 as share_older_than_2y, 0.9 as age_coverage from core.chart_dates"
    )
    con.execute(
        f"create table marts.chart_diversity as select '{CHART}' as chart, chart_date, 52 as window_weeks, 1 + date_no % 5 / 50.0 as sound_spread, 0.9 as coverage, 9.5 as effective_genres, 40.0 as effective_artists from core.chart_dates"
    )
    con.execute(
        f"""
        create table marts.popularity_alignment as
        with newest as (select max(chart_date) as as_of from core.chart_dates), now as (select track_id from core.chart_entries where chart_date = (select as_of from newest)),
        scored as (select track_id, popularity, (hash(track_id) % 100000) / 20000.0 - 3 as score from marts.track_features where feature_provider is not null)
        select track_id, '{CHART}' as chart, as_of, 100 * percent_rank() over (order by score) as alignment, 100 * percent_rank() over (order by score) as alignment_in_genre, 2.0 as distance,
            0.08 as chart_likelihood, 1.5 as artist_momentum, popularity, 100 * percent_rank() over (order by score) - popularity as popularity_gap, 150::bigint as n_reference, 0.6 as confidence,
            score, 0.9 as coverage, 'spotify' as popularity_source, null::varchar as likelihood_reason, coalesce(track_id in (select track_id from now), false) as is_charting, true as is_current
        from scored cross join newest
        """
    )
    con.execute(
        "create table marts.alignment_contributions as select a.track_id, a.chart, a.as_of, f.feature, 1.2 as z, (hash(a.track_id || f.feature) % 100) / 100.0 - 0.5 as contribution "
        "from marts.popularity_alignment a cross join (select unnest(['tempo', 'danceability', 'energy', 'valence', 'loudness', 'acousticness', 'instrumentalness', 'speechiness', 'liveness', 'duration_ms']) as feature) f where a.is_charting"
    )
    con.execute(
        f"create table marts.alignment_backtest as select '{CHART}' as chart, 'all' as quarter, 'all' as segment, 'alignment' as score, 0.58 as auc"
    )
    for table in ("track_features",):
        con.execute(f"alter table marts.{table} drop column i")
    con.execute("alter table core.tracks drop column i")
    con.execute("alter table core.tracks drop column g")


def _model_rows(settings: Settings, seed: int, now: datetime, release_id: str) -> dict[str, Any]:
    """Train on a thousand generated tracks; returns the rows of `ml`."""
    with duckdb.connect() as con:
        _fill(con, 700, 30, seed, now)
        return train(con, settings, release_id, now, None).rows


def _scores(con: duckdb.DuckDBPyConnection, rows: dict[str, Any], release_id: str, now: datetime) -> None:
    text = {"model_runs": "model_id varchar, trained_at timestamp, target varchar, algorithm varchar, is_champion boolean, verdict varchar, reason varchar, release_id varchar, n_train bigint, n_classes int, provider_mix varchar, artefact_sha256 varchar, seed bigint",
            "model_metrics": "model_id varchar, split varchar, metric varchar, class varchar, value double, ci_low double, ci_high double",
            "confusion": "model_id varchar, split varchar, true_genre varchar, predicted_genre varchar, n bigint"}  # fmt: skip
    for name, columns in text.items():
        con.execute(f"create table ml.{name} ({columns})")
        if name in rows:
            con.register("given", rows[name].reindex(columns=[part.split()[0] for part in columns.split(", ")]))
            con.execute(f"insert into ml.{name} select * from given")
            con.unregister("given")
    con.execute("alter table ml.model_runs add column judged_at timestamp")
    con.execute("update ml.model_runs set judged_at = trained_at")
    con.execute(
        "create table ml.predictions as select f.track_id, m.model_id, f.genre, 0.7 as probability, 1 as rank, ? as release_id, ?::timestamp as scored_at, 'x' as input_hash from marts.track_features f "
        "cross join (select model_id from ml.model_runs where is_champion) m where f.feature_provider is not null union all "
        "select f.track_id, m.model_id, 'folk and blues', 0.2, 2, ?, ?, 'x' from marts.track_features f cross join (select model_id from ml.model_runs where is_champion) m where f.feature_provider is not null",
        [release_id, now, release_id, now],
    )
    con.execute(
        "create table ml.drift as select m.model_id, feature, ?::timestamp as as_of, 0.04 as psi, 'steady' as level from ml.model_runs m cross join (select unnest(['tempo', 'energy']) as feature) where m.is_champion",
        [now],
    )
    con.execute(
        "create table ml.explanations (track_id varchar, model_id varchar, genre varchar, feature varchar, value double, contribution double)"
    )


def _ops(con: duckdb.DuckDBPyConnection, now: datetime) -> None:
    stamp = f"timestamp '{now:%Y-%m-%d %H:%M:%S}'"
    con.execute(
        f"create table ops.freshness as select '{CHART}' as subject, 'chart' as kind, date '{now:%Y-%m-%d}' as newest_date, {stamp} as fetched_at, 2::bigint as age_days, 100::bigint as n_rows, 0::bigint as n_waiting, false as is_stale"
    )
    con.execute(
        f"create table ops.quarantine as select 'audio_features' as table_name, 'tempo' as field, '<b>9e9</b>' as raw_value, 'outside 0..400' as reason, 'k' as row_key, 'reccobeats' as provider, {stamp} as fetched_at from range(3)"
    )
    con.execute(
        f"create table ops.check_results as select 'r' as run_id, 'unique_key' as \"check\", 'core.tracks' as table_name, 'pass' as status, 0::bigint as failures, '' as message, {stamp} as checked_at union all select 'r', 'odd', 'core.tracks', 'warn', 3, '<b>three</b>', {stamp}"
    )
    con.execute(
        "create table ops.request_budget as select 'spotify' as provider, 'abc' as account, 250::bigint as used, 1000::bigint as budget, 750::bigint as remaining, 24.0 as window_hours, null::timestamp as held_until, null::varchar as held_for"
    )
    con.execute(
        f"create table ops.runs as select 'r' as run_id, 'run' as command, 'completed' as status, {stamp} as started_at, {stamp} as ended_at"
    )


def _comment(con: duckdb.DuckDBPyConnection) -> None:
    """The comments that the models' descriptions give; the rest is said to be generated."""
    known: dict[str, tuple[str, dict[str, str]]] = {}
    for file in (PROJECT / "sql" / "models").rglob("*.yml"):
        for model in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("models", []):
            known[model["name"]] = (
                model.get("description", ""),
                {c["name"]: c.get("description", "") for c in model.get("columns", [])},
            )
    tables = con.execute(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' and table_schema <> 'temp'"
    ).fetchall()
    for schema, table in tables:
        about, columns = known.get(table, ("Generated.", {}))
        held = [
            name
            for (name,) in con.execute(
                "select column_name from information_schema.columns where table_schema = ? and table_name = ?", [schema, table]
            ).fetchall()
        ]
        comment_on(con, f"{schema}.{table}", about or "Generated.", {name: columns.get(name) or "Generated." for name in held})


def _text(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"
