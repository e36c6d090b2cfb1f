"""Drift by week, and what makes training due."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from genre_world import frame, tables

from soundscope.genre import registry
from soundscope.genre.candidates import make
from soundscope.genre.context import add_context
from soundscope.genre.data import count_labelled
from soundscope.genre.drift import COLUMNS, CONFIDENCE, PREDICTION, WATCHED, drift, effective, psi, reference, weekly
from soundscope.genre.due import retraining_due
from soundscope.genre.score import top
from soundscope.ingest.typed import create_raw
from soundscope.settings import TrainSettings

pytestmark = pytest.mark.e2e

FIRST = date(2025, 1, 6)


@pytest.fixture(scope="module")
def model():
    rows = add_context(frame(500))
    held = np.arange(len(rows)) % 4 == 0
    fitted = make("softmax_regression", len(rows), 4, inputs="audio", threads=1)
    return fitted.fit(rows, rows["genre"].to_numpy(dtype=object), rows["recording_id"], held), rows


def _year(fitted, n_weeks=52, per_week=40):
    """A year of new tracks of the same world, with what the model says of them."""
    rows = add_context(frame(n_weeks * per_week, seed=77))
    said = top(rows["track_id"], fitted.predict_proba(rows), fitted.classes_.astype(str))
    first = said[said["rank"] == 1].reset_index(drop=True)
    week = [FIRST + timedelta(weeks=int(i)) for i in np.random.default_rng(4).permutation(len(rows)) % n_weeks]
    return rows.assign(week=week, **{PREDICTION: first["genre"], CONFIDENCE: first["probability"]})


def test_psi_by_hand():
    assert psi(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(0.25 * np.log(3))
    assert psi(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0.0


def test_tracks_of_one_artist_count_less():
    assert effective(pd.Series([f"act {i}" for i in range(60)])) == 60
    assert effective(pd.Series(["one act"] * 60)) < 4


def test_a_calm_year_raises_no_alarm(model):
    fitted, rows = model
    points = weekly(_year(fitted), reference(rows, fitted))
    assert points["as_of"].nunique() == 52
    assert set(points["feature"]) == {*WATCHED, PREDICTION, CONFIDENCE}
    assert set(points["level"]) == {"none"}
    # Weeks of forty tracks are looked at together with those before them.
    assert points["n_weeks"].between(1, 13).all()
    assert points.groupby("as_of")["n_weeks"].first().iloc[20:].min() > 1


def test_planted_drift_is_found_where_it_is_and_only_there(model):
    fitted, rows = model
    year = _year(fitted)
    begins = FIRST + timedelta(weeks=30)
    year.loc[year["week"] >= begins, "tempo"] += 40
    points = weekly(year, reference(rows, fitted))
    found = points[points["level"] != "none"]
    assert set(found["feature"]) == {"tempo"}
    assert found["as_of"].min() >= begins
    assert found.loc[found["level"] == "alarm", "as_of"].min() <= begins + timedelta(weeks=6)
    late = points[(points["feature"] == "tempo") & (points["as_of"] >= begins + timedelta(weeks=8))]
    assert (late["level"] == "alarm").all()


def test_other_labels_than_before_are_drift_of_predictions(model):
    fitted, rows = model
    year = _year(fitted, n_weeks=4, per_week=150)
    last = year["week"] == year["week"].max()
    year.loc[last, PREDICTION] = "ska"
    points = weekly(year, reference(rows, fitted)).set_index(["feature", "as_of"])["level"]
    assert points[PREDICTION].tolist() == ["none"] * 3 + ["alarm"]


def test_few_tracks_are_held_back(model):
    fitted, rows = model
    few = _year(fitted, n_weeks=2, per_week=15)
    few["tempo"] += 60
    points = weekly(few, reference(rows, fitted))
    assert points["is_held_back"].all()
    assert set(points["level"]) == {"none"}
    assert points.loc[points["feature"] == "tempo", "psi"].min() > 0.25


def test_no_point_holds_what_the_model_was_trained_on(con, settings, model):
    fitted, rows = model
    now = datetime(2026, 1, 1)
    everything = con.execute("select track_id, recording_id from core.tracks order by 1").df()
    trained = everything.iloc[:400]
    seen = np.concatenate([registry.keys(trained["track_id"]), registry.keys(trained["recording_id"])])
    registry.save(settings.paths.models, "m", fitted, {"reference": reference(rows, fitted)}, seen)
    points = drift(con, settings, "m", now)
    assert list(points) == COLUMNS
    copies = everything.iloc[400:]["recording_id"].isin(trained["recording_id"]).sum()
    assert set(points["n"]) == {200 - copies}
    assert set(points["as_of"]) == {date(2025, 12, 29)}
    assert set(points["level"]) == {"none"}
    # Everything that was trained on may change: no point notices.
    con.execute(
        "update marts.track_features set tempo = tempo + 90 where list_contains(?, track_id)", [list(trained["track_id"])]
    )
    assert drift(con, settings, "m", now)["psi"].tolist() == points["psi"].tolist()
    con.execute("update marts.track_features set tempo = tempo + 90, liveness = null")
    moved = drift(con, settings, "m", now).set_index("feature")
    assert moved.loc[["tempo", "liveness"], "level"].tolist() == ["alarm", "alarm"]
    assert moved.loc["energy", "psi"] == points.set_index("feature").loc["energy", "psi"]


def test_points_that_are_known_are_not_measured_again(con, settings, model):
    fitted, rows = model
    registry.save(settings.paths.models, "m", fitted, {"reference": reference(rows, fitted)})
    create_raw(con)
    con.register("points", drift(con, settings, "m", datetime(2026, 1, 1)))
    con.execute("insert into raw.drift by name select *, 1 as row_no from points")
    assert drift(con, settings, "m", datetime(2026, 1, 2)).empty
    con.execute("delete from marts.track_features")
    assert drift(con, settings, "m", datetime(2026, 1, 3)).empty


def _verdict(con, model_id, trained_at, verdict="promoted", n_labelled=600):
    con.execute(
        "insert into raw.model_runs (model_id, trained_at, target, algorithm, is_champion, verdict, fetched_at, row_no) "
        "values (?, ?, 'genre', 'x', true, ?, ?, 1)",
        [model_id, trained_at, verdict, trained_at],
    )
    con.execute(
        "insert into raw.model_metrics (model_id, split, metric, class, value, fetched_at, row_no) "
        "values (?, 'recording', 'n_labelled', 'all', ?, ?, 1)",
        [model_id, n_labelled, trained_at],
    )


def test_training_is_due_by_age_new_labels_and_drift(con):
    create_raw(con)
    said, day = TrainSettings(), datetime(2026, 1, 1)
    assert "no model" in retraining_due(con, said, None, day)
    _verdict(con, "m", day)
    assert retraining_due(con, said, "m", day + timedelta(days=1)) is None
    assert "older than 7 days" in retraining_due(con, said, "m", day + timedelta(days=8))
    # A fifth more labels than at the last training.
    assert count_labelled(con, "genre") == 600
    tables(con, frame(700))
    assert retraining_due(con, said, "m", day) is None
    tables(con, frame(730))
    assert "130 labelled tracks" in retraining_due(con, said, "m", day)
    tables(con, frame(600))
    # An alarm asks once: the next training answers it, whatever its verdict.
    con.execute(
        "insert into raw.drift (model_id, feature, as_of, psi, level, measured_at, row_no) values "
        "('m', 'tempo', '2025-12-29', 0.41, 'alarm', ?, 1), ('m', 'energy', '2025-12-29', 0.15, 'watch', ?, 2)",
        [day + timedelta(hours=1)] * 2,
    )
    why = retraining_due(con, said, "m", day + timedelta(days=1))
    assert "tempo (PSI 0.41)" in why
    assert "energy" not in why
    _verdict(con, "m2", day + timedelta(hours=2), "refused")
    assert retraining_due(con, said, "m", day + timedelta(days=1)) is None
    # Measured again in the same week it is the same alarm; another week's is a new one.
    con.execute(
        "insert into raw.drift (model_id, feature, as_of, psi, level, measured_at, row_no) "
        "values ('m', 'tempo', '2025-12-29', 0.42, 'alarm', ?, 1)",
        [day + timedelta(hours=3)],
    )
    assert retraining_due(con, said, "m", day + timedelta(days=1)) is None
    con.execute(
        "insert into raw.drift (model_id, feature, as_of, psi, level, measured_at, row_no) "
        "values ('m', 'tempo', '2026-01-05', 0.42, 'alarm', ?, 1)",
        [day + timedelta(hours=3)],
    )
    assert "week of 2026-01-05" in retraining_due(con, said, "m", day + timedelta(days=5))


def test_too_little_before_is_tried_again(con):
    create_raw(con)
    _verdict(con, "genre-none-1", datetime(2026, 1, 1), "not_trained")
    con.execute("update raw.model_runs set is_champion = false")
    assert "too little" in retraining_due(con, TrainSettings(), None, datetime(2026, 1, 1, 1))
