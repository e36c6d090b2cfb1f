"""What a build of the small world gives: the tables of the contract, their comments, and values worked out by hand."""

from __future__ import annotations

import duckdb
import pytest
from sqlworld import Built

from soundscope.warehouse.dbt_session import dbt_session

pytestmark = pytest.mark.e2e

CONTRACT = {
    "core.tracks": "track_id spotify_id isrc title artist artists album release_date release_precision era duration_ms explicit recording_id",
    "core.chart_entries": "chart chart_date rank title artist previous_rank peak_rank weeks_on_chart is_complete_history "
    "reported_last_week reported_peak reported_weeks track_id match_method match_score",
    "core.track_matches": "title artist run_no track_id status is_other_version method score runner_up_track_id runner_up_score "
    "decided_by decided_at",
    "core.audio_features": "track_id provider licence train_ok fetched_at tempo danceability energy valence loudness acousticness "
    "instrumentalness speechiness liveness key mode time_signature duration_ms",
    "core.track_genres": "track_id genre family source raw_label",
    "core.popularity_history": "track_id provider popularity valid_from valid_to",
    "marts.track_features": "track_id title artist tempo danceability energy valence loudness acousticness instrumentalness speechiness "
    "liveness popularity key mode time_signature duration_ms genre mood era feature_provider popularity_provider mood_source train_ok",
    "marts.feature_summary": "feature n missing mean median min max std",
    "marts.category_counts": "field value n",
    "marts.feature_correlation": "feature_x feature_y r n",
    "marts.genre_profile": "genre feature mean std n",
    "marts.era_profile": "era feature mean std n",
    "marts.chart_trends": "chart chart_date feature window_weeks mean std n_tracks coverage change_1y",
    "marts.genre_share": "chart chart_date genre share n_entries",
    "ml.model_runs": "model_id trained_at target algorithm is_champion verdict reason release_id n_train n_classes provider_mix artefact_sha256",
    "ml.model_metrics": "model_id split metric class value ci_low ci_high",
    "ml.confusion": "model_id split true_genre predicted_genre n",
    "ml.predictions": "track_id model_id genre probability rank release_id scored_at",
}


@pytest.mark.parametrize("table", CONTRACT)
def test_contract_table_has_its_columns_and_rows(db: duckdb.DuckDBPyConnection, table: str) -> None:
    columns = {row[0] for row in db.execute(f"describe {table}").fetchall()}
    assert set(CONTRACT[table].split()) <= columns
    assert db.execute(f"select count(*) from {table}").fetchall()[0][0] > 0


def test_every_table_view_and_column_has_a_comment(db: duckdb.DuckDBPyConnection) -> None:
    bare = db.execute(
        """
        select schema_name || '.' || table_name from duckdb_tables() where schema_name <> 'raw' and comment is null
        union all
        select schema_name || '.' || view_name from duckdb_views() where not internal and comment is null
        union all
        select schema_name || '.' || table_name || '.' || column_name from duckdb_columns()
        where not internal and schema_name <> 'raw' and comment is null
        """
    ).fetchall()
    assert bare == []


def test_described_columns_are_those_there_are(built: Built, db: duckdb.DuckDBPyConnection) -> None:
    with dbt_session(built.settings) as dbt:
        manifest = dbt.invoke(["parse"]).result
    for node in manifest.nodes.values():
        if node.resource_type in ("model", "seed"):
            there = {row[0] for row in db.execute(f"describe {node.schema}.{node.name}").fetchall()}
            assert set(node.columns) == there, node.name


def test_every_table_has_a_key_test(built: Built) -> None:
    tested = {check.model for check in built.result.checks if check.check.endswith("_unique")}
    published = {m.name for m in built.result.models if m.name.split(".")[0] in ("core", "marts", "ml")}
    assert published <= tested


def test_links_give_entries_their_track(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute("select distinct title, track_id, match_method from core.chart_entries order by title").fetchall()
    assert ("Song 3", "spotify:s03", "exact") in rows
    assert ("Song 11", None, None) in rows
    assert db.execute("select status from core.track_matches where title = 'Song 11'").fetchall() == [("unmatched",)]


def test_sound_and_its_licence_come_from_the_preferred_provider(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute(
        "select track_id, feature_provider, train_ok, tempo, key from marts.track_features order by track_id limit 4"
    ).fetchall()
    assert rows == [
        ("spotify:s00", "spotify", False, 90.0, 0),
        ("spotify:s01", "import:mine", True, 104.0, 2),
        ("spotify:s02", "spotify", False, 104.0, 2),
        ("spotify:s03", "spotify", False, None, None),
    ]


def test_genre_and_family(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute("select track_id, genre, family from marts.track_features order by track_id limit 3").fetchall()
    # Song 0 has one source for each of two labels; the alphabet decides. Two blanks became one.
    assert rows == [("spotify:s00", "pop", "pop"), ("spotify:s01", "hip hop", "hip hop"), ("spotify:s02", "odd wave", None)]


def test_popularity_prefers_the_native_scale(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute(
        "select track_id, popularity, popularity_provider from marts.track_features where track_id in ('spotify:s05', 'spotify:s06') order by 1"
    ).fetchall()
    assert rows[0] == ("spotify:s05", 48.0, "spotify")
    assert rows[1][2] == "deezer"
    # The seventh of twelve values: six lie below, its own counts half.
    assert rows[1][1] == pytest.approx(100 * 6.5 / 12)


def test_summary_and_correlation_agree_with_pandas(db: duckdb.DuckDBPyConnection) -> None:
    frame = db.execute("select * from marts.track_features").df()
    summary = db.execute("select * from marts.feature_summary").df().set_index("feature")
    ten = list(summary.index)
    assert len(ten) == 10
    for feature in ten:
        column, row = frame[feature].astype(float), summary.loc[feature]
        expected = [column.mean(), column.median(), column.min(), column.max(), column.std(ddof=0)]
        assert [row["mean"], row["median"], row["min"], row["max"], row["std"]] == pytest.approx(expected)
        assert (row["n"], row["missing"]) == (column.count(), column.isna().sum())
    expected_r = frame[ten].astype(float).corr()
    for x, y, r, n in db.execute("select feature_x, feature_y, r, n from marts.feature_correlation").fetchall():
        assert n == frame[[x, y]].dropna().shape[0]
        # A constant column has no correlation; on rounding noise pandas may give one.
        if r is not None and frame[x].nunique() > 1 and frame[y].nunique() > 1:
            assert r == pytest.approx(expected_r.loc[x, y])
        else:
            assert r is None


def test_shares_are_of_entries_with_a_known_genre(db: duckdb.DuckDBPyConnection) -> None:
    rows = db.execute("select chart_date, sum(share), sum(n_entries) from marts.genre_share group by 1 order by 1").fetchall()
    known = db.execute(
        "select chart_date, count(*) from core.chart_entries where title <> 'Song 11' group by 1 order by 1"
    ).fetchall()
    assert [(row[0], row[2]) for row in rows] == known
    assert all(row[1] == pytest.approx(1) for row in rows)
