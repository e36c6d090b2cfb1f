"""Training and scoring on a real DuckDB with the tables of the contract."""

from __future__ import annotations

import json
import shutil
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pytest
from genre_world import GENRES, frame, tables, warehouse

from soundscope.errors import BadInput, SoundScopeError
from soundscope.genre import candidates, compare, registry, splits
from soundscope.genre.data import load_training
from soundscope.genre.score import score
from soundscope.genre.tell import tell
from soundscope.genre.train import train
from soundscope.ingest.raw_schema import RAW
from soundscope.settings import load_settings

pytestmark = pytest.mark.slow

# The other candidates are fitted in test_every_candidate_is_trained_compared_and_recorded.
TWO = ("softmax_regression", "evidence_ensemble")
NOW, LATER = datetime(2026, 1, 1), datetime(2026, 1, 2)


def _land(con: duckdb.DuckDBPyConnection, rows: dict[str, pd.DataFrame]) -> None:
    """What the pipeline does with the rows, in short: the newest of each key in ml."""
    for table, given in rows.items():
        assert set(given) <= set(RAW[table].columns)
        columns = ", ".join(f'"{name}" {column.type}' for name, column in RAW[table].columns.items())
        con.execute(f"create table if not exists raw.{table} ({columns})")
        con.register("given", given)
        con.execute(f"insert into raw.{table} by name select * from given")
        con.unregister("given")
        con.execute(f"create or replace view ml.{table} as select * from raw.{table}" if table == "model_metrics" else "select 1")
    if "model_runs" in rows:
        con.execute(
            "create or replace table ml.model_runs as select * from raw.model_runs "
            "qualify row_number() over (partition by model_id order by rowid desc) = 1"
        )


def _scores(con, settings, model_id, **more) -> pd.DataFrame:
    found = list(score(con, settings, model_id, "r1", NOW, **more))
    return pd.concat(found) if found else pd.DataFrame(columns=["track_id"])


def _quickly(monkeypatch):
    """Leave the other splits out, which the first run measures."""
    monkeypatch.setattr("soundscope.genre.protocols.is_affordable", lambda *_: False)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """One training run for all tests of this file, each of which works on copies of its files and rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDSCOPE_HOME", str(tmp_path_factory.mktemp("first")))
        settings = load_settings()
    settings.paths.create()
    with warehouse() as con:
        return train(con, settings, "r1", NOW, None, names=TWO), settings.paths.models


@pytest.fixture
def trained(con, settings, first_run):
    outcome, models = first_run
    shutil.copytree(models, settings.paths.models, dirs_exist_ok=True)
    _land(con, outcome.rows)
    return outcome


def test_training_set_keeps_licences_and_counts(con):
    rows = frame(200)
    rows.loc[:29, ["feature_provider", "train_ok"]] = ["spotify", False]
    rows.loc[30:39, "genre"] = None
    rows.loc[40:54, "genre_train_ok"] = False
    rows.loc[55:57, "genre"] = "skiffle"
    rows.loc[60:, "popularity_train_ok"] = rows.index[60:] % 2 == 0
    rows.loc[199, "feature_provider"] = None
    tables(con, rows)
    data = load_training(con)
    assert data.left_out == {
        "not trainable: spotify": 30,
        "no genre: import:demo": 10,
        "genre not trainable: import:demo": 15,
        "fewer than 5 tracks: skiffle": 3,
    }
    assert len(data) == 200 - 30 - 10 - 15 - 3 - 1
    assert data.providers == {"import:demo": len(data)}
    odd = data.track_id.str[-1].astype(int) % 2 == 1
    late = data.track_id >= rows.loc[60, "track_id"]
    assert data.frame.loc[odd & late, "popularity"].isna().all()
    assert data.frame.loc[~odd & late, "popularity"].notna().any()
    assert all(label in several for label, several in zip(data.label, data.labels, strict=True))


def test_dirty_labels_are_one_label_and_blank_ones_none(con):
    rows = frame(200)
    rows.loc[:19, "genre"] = rows.loc[:19, "genre"].str.upper()
    rows.loc[20:39, "genre"] = "  " + rows.loc[20:39, "genre"] + " \t"
    rows.loc[40:44, "genre"] = ["", " ", "\t", "single one", "another"]
    tables(con, rows)
    data = load_training(con)
    assert data.classes == sorted(GENRES)
    assert data.left_out == {"no genre: import:demo": 3, "fewer than 5 tracks: another": 1, "fewer than 5 tracks: single one": 1}
    assert all(several == {label} for label, several in zip(data.label, data.labels, strict=True))


def test_targets(con):
    assert load_training(con, "family").classes == sorted({f"family {g[0]}" for g in GENRES})
    # Moods by rule are not learnt.
    assert len(load_training(con, "mood")) == 0
    con.execute("update marts.track_features set mood_source = 'imported', mood = if(energy > 0.5, 'Happy', 'Sad')")
    assert load_training(con, "mood").classes == ["Happy", "Sad"]
    con.execute("insert into core.track_genres select track_id, 'polka', 'family p', 'other', 'Polka' from core.tracks")
    assert all("polka" in several for several in load_training(con).labels)
    with pytest.raises(BadInput, match="Unknown training target"):
        load_training(con, "weather")


def test_first_run_promotes_the_stronger_model(con, settings, trained):
    runs = trained.rows["model_runs"].set_index("model_id")
    assert trained.verdict == "promoted"
    assert list(runs.index) == [f"genre-{a}-20260101T000000" for a in ("softmax_regression", "evidence_ensemble")]
    assert runs["verdict"].tolist() == ["candidate", "promoted"]
    assert runs.loc[trained.model_id, "is_champion"]
    assert registry.champion(con) == trained.model_id
    frozen = (load_training(con).folds() == splits.FROZEN_FOLD).sum()
    assert (runs["n_train"] == 600 - frozen).all()
    card = registry.read_card(settings.paths.models, trained.model_id)
    assert card["sha256"] == runs.loc[trained.model_id, "artefact_sha256"]
    assert (card["classes"], card["licences"]) == (sorted(GENRES), {"import:demo": "user-supplied"})
    metrics = trained.rows["model_metrics"]
    assert not metrics.duplicated(["model_id", "split", "metric", "class"]).any()
    assert set(metrics["split"]) == {"recording", "recording_unseen_artist", "artist", "forward", "random_leaky"}
    others = metrics[(metrics["class"] == "all") & (metrics["metric"].isin(["accuracy", "any_label_accuracy"]))]
    assert others.groupby(["split", "metric"])["model_id"].nunique().eq(2).all()
    assert (others["ci_low"] <= others["value"]).all()
    assert (others["value"] <= others["ci_high"]).all()
    needed = metrics[metrics["metric"] == "permutation_importance"].set_index(["model_id", "class"])["value"]
    assert needed[trained.model_id].index.isin(["tempo", "title", "artist", "other tracks of the artist"]).sum() == 4
    assert needed[trained.model_id]["artist"] > needed[trained.model_id]["mode"]
    assert set(needed.index.get_level_values("model_id")) == {trained.model_id}, "only the challenger's inputs are weighed"
    assert metrics.loc[metrics["metric"] == "n_labelled", "value"].eq(600).all()
    whole = metrics[(metrics["model_id"] == trained.model_id) & (metrics["split"] == "recording") & (metrics["class"] == "all")]
    value = whole.set_index("metric")["value"]
    assert value["accuracy"] > value["majority_accuracy"] + 0.2
    assert value["log_loss"] < value["majority_log_loss"]
    confusion = trained.rows["confusion"].query("split == 'recording'").groupby("model_id")["n"].sum()
    assert confusion.tolist() == [frozen, frozen]


def test_every_candidate_is_trained_compared_and_recorded(settings):
    with warehouse(250) as con:
        outcome = train(con, settings, "r1", NOW, None, why="it was asked for")
        runs = outcome.rows["model_runs"].set_index("algorithm")
        assert tuple(runs.index) == candidates.names_for(250, 4) == (*candidates.ALGORITHMS, candidates.STRONGEST)
        assert (runs["verdict"] == "promoted").sum() == 1
        assert "trained because it was asked for" in runs.loc[runs["is_champion"], "reason"].iloc[0]
        assert "trained because" in outcome.report.casefold()
        _land(con, outcome.rows)
        shown = compare.show(con, settings, outcome.model_id)
        assert shown["run"]["is_champion"]
        card = shown["card"]
        assert {"release_id", "providers", "licences", "features", "split", "figures", "versions", "seed", "left_out"} <= set(
            card
        )
        pair = compare.side_by_side(con, *(runs["model_id"].loc[list(TWO)]))
        assert {row["split"] for row in pair["figures"]} >= {"recording"}
        with pytest.raises(BadInput, match="There is no model"):
            compare.show(con, settings, "genre-none")


def test_what_label_frequencies_beat_is_refused(con, settings, monkeypatch):
    # A softmax that ran away: sure of one label whatever it sees.
    def rash(self, frame):
        return np.tile(np.eye(len(self.classes_))[0] * 0.999 + 0.00025, (len(frame), 1))

    _quickly(monkeypatch)
    monkeypatch.setattr(candidates.Tabular, "predict_proba", rash)
    runs = train(con, settings, "r1", NOW, None, names=TWO).rows["model_runs"].set_index("algorithm")
    assert runs["verdict"].to_dict() == {"softmax_regression": "refused", "evidence_ensemble": "promoted"}
    assert "does not beat" in runs.loc["softmax_regression", "reason"]


@pytest.mark.parametrize("target", ["family", "mood"])
def test_other_targets_train_score_and_explain_by_configuration(con, settings, target):
    con.execute("update marts.track_features set mood_source = 'imported', mood = if(energy > 0.5, 'Happy', 'Sad')")
    asked = settings.model_copy(update={"train": settings.train.model_copy(update={"target": target})})
    outcome = train(con, asked, "r1", NOW, None, names=("softmax_regression", "logistic_regression"))
    assert outcome.verdict == "promoted"
    _land(con, outcome.rows)
    assert registry.champion(con, target) == outcome.model_id
    assert registry.champion(con) is None
    wanted = con.execute("select track_id from core.tracks order by 1 limit 1").fetchone()[0]
    said = _scores(con, asked, outcome.model_id, only=[wanted])
    told = tell(con, asked, wanted)
    assert told.likeliest[0] == (said["genre"].iloc[0], pytest.approx(said["probability"].iloc[0]))
    assert set(said["genre"]) <= set(load_training(con, target).classes)


def test_same_data_again_is_refused_and_the_champion_stays(con, settings, trained, monkeypatch):
    _quickly(monkeypatch)
    again = train(con, settings, "r2", LATER, trained.model_id, names=TWO)
    assert (again.verdict, again.model_id) == ("refused", trained.model_id)
    _land(con, again.rows)
    assert registry.champion(con) == trained.model_id
    assert "not better beyond noise" in again.rows["model_runs"]["reason"].iloc[1]


def test_much_better_data_replaces_and_retires_the_champion(con, settings, monkeypatch):
    _quickly(monkeypatch)
    poor = frame()
    poor["genre"] = np.where(np.arange(600) % 3 > 0, np.random.default_rng(1).permutation(poor["genre"]), poor["genre"])
    tables(con, poor)
    first = train(con, settings, "r1", NOW, None, names=TWO)
    _land(con, first.rows)
    tables(con, frame())
    second = train(con, settings, "r2", LATER, first.model_id, names=TWO)
    assert second.verdict == "promoted"
    _land(con, second.rows)
    assert registry.champion(con) == second.model_id != first.model_id
    assert con.execute("select verdict, is_champion from ml.model_runs where model_id = ?", [first.model_id]).fetchall() == [
        ("retired", False)
    ]


def test_champion_is_never_compared_on_rows_it_was_trained_on(con, settings, trained, monkeypatch):
    _quickly(monkeypatch)
    folder = settings.paths.models / trained.model_id
    np.save(folder / registry.SEEN_FILE, registry.keys(load_training(con).track_id))
    outcome = train(con, settings, "r2", LATER, trained.model_id, names=TWO)
    assert outcome.verdict == "refused"
    assert "trained on all" in outcome.report


def test_lost_champion_is_said_and_replaced(con, settings, trained, monkeypatch):
    _quickly(monkeypatch)
    (settings.paths.models / trained.model_id / registry.MODEL_FILE).write_bytes(b"gone")
    outcome = train(con, settings, "r2", LATER, trained.model_id, names=TWO)
    assert outcome.verdict == "promoted"
    assert "could not be loaded" in outcome.report


def test_too_little_is_a_verdict_not_a_failure(con, settings):
    con.execute("update marts.track_features set train_ok = false, feature_provider = 'spotify'")
    outcome = train(con, settings, "r1", NOW, "genre-x-1")
    row = outcome.rows["model_runs"].iloc[0]
    assert (outcome.verdict, outcome.model_id, row["verdict"], row["is_champion"]) == (
        "not_trained",
        "genre-x-1",
        "not_trained",
        False,
    )
    assert json.loads(row["provider_mix"]) == {}
    assert "not trainable: spotify 600" in row["reason"]
    assert "genre-x-1 stays" in outcome.report
    assert list(settings.paths.models.iterdir()) == []
    _land(con, outcome.rows)


def test_one_label_and_empty_warehouse_are_not_trained(con, settings):
    con.execute("update marts.track_features set genre = 'ska'")
    assert "only one genre" in train(con, settings, "r1", NOW, None, names=TWO).report
    con.execute("delete from marts.track_features")
    outcome = train(con, settings, "r1", NOW, None, names=TWO)
    assert outcome.verdict == "not_trained"
    assert "0 trainable rows" in outcome.report


def test_training_twice_gives_the_same_model(settings, tmp_path, monkeypatch):
    _quickly(monkeypatch)
    found = []
    for part in ("a", "b"):
        again = settings.model_copy(update={"home": tmp_path / part})
        again.__dict__.pop("paths", None)
        with warehouse(300) as con:
            outcome = train(con, again, "r1", NOW, None, names=TWO)
            found.append((outcome.rows["model_metrics"], _scores(con, again, outcome.model_id)))
    pd.testing.assert_frame_equal(found[0][0], found[1][0])
    pd.testing.assert_frame_equal(found[0][1], found[1][1])


def test_scores_are_three_likeliest_of_every_trainable_track(con, settings, trained):
    con.execute("update marts.track_features set train_ok = false where track_id like '%7'")
    con.execute("update marts.track_features set feature_provider = null where track_id like '%8'")
    rows = _scores(con, settings, trained.model_id)
    assert list(rows) == [name for name in RAW["predictions"].columns]
    assert rows["track_id"].nunique() == 480
    assert (rows.groupby("track_id")["probability"].transform("max") < 0.5).equals(rows["is_unsure"])
    assert rows["is_unsure"].nunique() == 2
    assert not rows["track_id"].str.endswith(("7", "8")).any()
    per_track = rows.groupby("track_id")
    assert (per_track["rank"].agg(list).map(tuple) == (1, 2, 3)).all()
    assert per_track["probability"].agg(lambda p: p.is_monotonic_decreasing).all()
    assert rows["probability"].between(0, 1).all()
    assert (per_track["genre"].nunique() == 3).all()
    best = rows[rows["rank"] == 1].merge(con.execute("select track_id, genre as truth from marts.track_features").df())
    assert (best["genre"] == best["truth"]).mean() > 0.7


def test_only_changed_tracks_are_scored_again(con, settings, trained):
    first = _scores(con, settings, trained.model_id)
    _land(con, {"predictions": first})
    assert _scores(con, settings, trained.model_id).empty
    track, artist = con.execute("select track_id, artist from core.tracks order by track_id limit 1").fetchone()
    con.execute("update marts.track_features set energy = 0.123 where track_id = ?", [track])
    changed = _scores(con, settings, trained.model_id)
    # The track itself, and what is known of its artist's sound for the artist's other tracks.
    mates = {row[0] for row in con.execute("select track_id from core.tracks where artist = ?", [artist]).fetchall()}
    assert track in set(changed["track_id"])
    assert set(changed["track_id"]) <= mates
    # A change that no model sees changes nothing.
    _land(con, {"predictions": changed.assign(scored_at=LATER)})
    con.execute("update marts.track_features set genre = 'tango', mood = 'Sad'")
    assert _scores(con, settings, trained.model_id).empty


def test_scoring_part_of_the_tracks_gives_the_same_numbers(con, settings, trained):
    whole = _scores(con, settings, trained.model_id)
    some = sorted(whole["track_id"].unique())[:5]
    part = _scores(con, settings, trained.model_id, only=some)
    want = whole[whole["track_id"].isin(some)].sort_values(["track_id", "rank"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(part.sort_values(["track_id", "rank"]).reset_index(drop=True), want)


def test_scoring_comes_in_batches_and_leaves_the_connection_free(settings, monkeypatch):
    _quickly(monkeypatch)
    with warehouse(400) as con:
        model_id = train(con, settings, "r1", NOW, None, names=TWO).model_id
        copies = ", ".join(f"({i})" for i in range(9))
        con.execute(
            "insert into marts.track_features by name "
            f"select t.* replace (t.track_id || v.i as track_id) from marts.track_features t, (values {copies}) v(i)"
        )
        monkeypatch.setattr("soundscope.genre.score._VECTORS", 1)
        sizes = []
        for batch in score(con, settings, model_id, "r1", NOW):
            sizes.append(batch["track_id"].nunique())
            assert con.execute("select 1").fetchone() == (1,)
        assert sum(sizes) == 400 * 10
        assert max(sizes) <= 2048
        assert len(sizes) > 1


def test_changed_model_file_is_not_scored_with(con, settings, trained):
    con.execute("update ml.model_runs set artefact_sha256 = 'f00'")
    with pytest.raises(SoundScopeError, match="the warehouse says"):
        _scores(con, settings, trained.model_id)
    with pytest.raises(BadInput, match="no model"):
        _scores(con, settings, "genre-none-1")
