"""The build itself: order, results model by model, failures, and what it leaves behind."""

from __future__ import annotations

import os
from datetime import datetime

import duckdb
import pytest
from rawdb import add, connect
from sqlworld import Built

from soundscope.errors import BadInput, CheckFailed
from soundscope.settings import Settings
from soundscope.warehouse.build import BuildFailed, ModelResult, plan, run_build

pytestmark = pytest.mark.e2e


def test_plan_puts_every_model_after_what_it_reads(built: Built) -> None:
    models = plan(built.settings)
    place = {model.name: number for number, model in enumerate(models)}
    assert all(place[parent] < place[model.name] for model in models for parent in model.parents)
    assert "core.chart_entries" in models[place["marts.genre_share"]].parents


def test_plan_of_a_layer_holds_that_layer_and_its_seeds(built: Built) -> None:
    names = [model.name for model in plan(built.settings, select=["staging"])]
    assert {"staging.track_identity", "staging.chart_keys", "staging.charts"} <= set(names)
    assert all(name.startswith("staging.") for name in names)


def test_results_say_rows_and_tests(built: Built) -> None:
    by_name = {model.name: model for model in built.result.models}
    assert set(by_name) == {model.name for model in plan(built.settings)}
    assert all(model.status == "success" for model in by_name.values())
    tracks = by_name["core.tracks"]
    assert (tracks.rows, tracks.tests_failed) == (12, 0)
    assert tracks.tests_passed == len(tracks.checks) >= 4
    assert by_name["staging.stg_providers"].rows is None


def test_oddities_warn_and_are_counted(built: Built) -> None:
    check = next(check for check in built.result.checks if check.check == "chart_dates_step_regularly")
    assert (check.status, check.failures, check.model) == ("warn", 1, "core.chart_dates")


def test_scores_alone_build_alone_and_leave_nothing_open(copied: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    with connect(copied.paths.writer) as con:
        newer = [("jazz", 0.9, 1), ("pop", 0.05, 2)]
        add(
            con,
            "predictions",
            [
                {
                    "track_id": "spotify:s00",
                    "model_id": "m1",
                    "genre": g,
                    "probability": p,
                    "rank": r,
                    "scored_at": datetime(2024, 2, 1),
                }
                for g, p, r in newer
            ],
        )
    seen: list[ModelResult] = []
    result = run_build(copied, select=["ml"], on_model=seen.append)
    assert seen == list(result.models)
    tables = ("model_runs", "model_metrics", "confusion", "predictions", "explanations", "drift")
    assert {model.name for model in seen} == {f"ml.{table}" for table in tables}
    assert capfd.readouterr() == ("", "")
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    assert not [name for name in opened if name.endswith((".duckdb", ".wal"))]
    # A connection with other options would be refused if any were left.
    with duckdb.connect(str(copied.paths.writer), config={"threads": 1}) as con:
        assert con.execute("select genre, rank from ml.predictions order by rank").fetchall() == [("jazz", 1), ("pop", 2)]
        assert (
            con.execute("select tags from duckdb_databases() where not internal").fetchall()[0][0]["storage_version"] == "v1.5.0+"
        )


def test_failures_stop_what_depends_on_them_and_are_all_named(copied: Settings) -> None:
    with connect(copied.paths.writer) as con:
        add(
            con,
            "popularity",
            [{"spotify_id": "s00", "popularity": 140.0, "observed_at": datetime(2020, 8, 1)}],
            provider="spotify",
        )
        con.execute("drop table raw.confusion")
    seen: dict[str, ModelResult] = {}
    with pytest.raises(CheckFailed, match=r"core\.popularity_history: popularity_history_within: 1 row") as failed:
        run_build(
            copied,
            select=["stg_popularity", "popularity_history", "track_features", "confusion"],
            on_model=lambda model: seen.update({model.name: model}),
        )
    assert isinstance(failed.value, BuildFailed)
    assert seen["core.popularity_history"].status == "failed"
    assert seen["marts.track_features"].status == "skipped"
    assert {check.status for check in failed.value.result.checks} == {"pass", "fail"}
    assert "raw.confusion" in str(failed.value).replace('"', "").replace("writer.", "")
    assert set(seen) == {model.name for model in failed.value.result.models}


@pytest.mark.slow
def test_an_exception_of_the_caller_ends_the_build(copied: Settings) -> None:
    def stop(model: ModelResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_build(copied, select=["core"], on_model=stop)
    with duckdb.connect(str(copied.paths.writer), config={"threads": 1}) as con:
        assert con.execute("select count(*) from core.tracks").fetchall() == [(12,)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"select": ["no_such_model"]}, "No model fits --select no_such_model"),
        ({"variables": {"start_weak": "2020-01-04"}}, "no variable start_weak"),
        ({"variables": {"start_week": "4 January"}}, "is no date"),
    ],
)
def test_bad_requests_are_refused(built: Built, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        run_build(built.settings, **arguments)  # type: ignore[arg-type]


@pytest.mark.slow
def test_unit_tests_of_the_models_pass(copied: Settings) -> None:
    logic = [
        "stg_chart_runs",
        "stg_chart_entries",
        "stg_track_rows",
        "stg_tracks",
        "stg_shared_recordings",
        "stg_audio_features",
        "stg_track_links",
        "stg_popularity_percentiles",
        "track_match_history",
    ]
    logic += ["stg_chart_dates", "chart_entries", "popularity_history", "tracks", "track_genres"]
    logic += ["track_features", "track_sound", "track_genre", "chart_week_sound", "chart_window_dates", "chart_window_sound"]
    result = run_build(copied, select=logic, with_unit_tests=True)
    names = {check.check for check in result.checks}
    assert {
        "runs_follow_the_reported_rank",
        "windows_pool_weeks",
        "windows_stop_at_holes",
        "mood_is_imported_or_a_quadrant",
    } <= names
