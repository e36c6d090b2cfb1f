from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from genre_world import frame
from scipy import sparse

from soundscope.errors import BadInput, SoundScopeError
from soundscope.genre import candidates, evidence, registry, splits
from soundscope.genre.calibrate import Calibration, log_loss, log_probability, softmax
from soundscope.genre.context import CONTEXT, Catalogue, add_context
from soundscope.genre.evaluate import majority

pytestmark = pytest.mark.e2e  # every kind of model is fitted

ALL = (*candidates.ALGORITHMS, candidates.STRONGEST)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return add_context(frame(500))


def _fit(rows, name, label=None, **more):
    label = rows["genre"].to_numpy(dtype=object) if label is None else label
    fold = splits.folds_of(rows["recording_id"])
    train = np.flatnonzero(fold != 0)
    model = candidates.make(name, len(train), len(set(label)), threads=1, **more)
    model.fit(
        rows.iloc[train].reset_index(drop=True),
        label[train],
        rows["recording_id"].iloc[train].reset_index(drop=True),
        fold[train] == 1,
    )
    return model, rows[fold == 0].reset_index(drop=True), label[fold == 0], label[train]


@pytest.mark.parametrize("name", ALL)
def test_every_candidate_learns_calibrates_and_survives_storage(name, rows, tmp_path):
    holed = rows.copy()
    holed.loc[holed.index % 7 == 0, ["energy", "album", "release_date", "popularity"]] = None
    model, test, label, known = _fit(holed, name, inputs="context")
    proba = model.predict_proba(test)
    assert proba.shape == (len(test), 4)
    assert proba.sum(axis=1) == pytest.approx(1.0)
    floor, names = majority(known, len(test))
    assert names == list(model.classes_)
    index = np.searchsorted(names, label.astype(str))
    assert log_loss(proba, index) < 0.8 * log_loss(floor, index)
    assert np.isfinite(model.held_log_loss_)
    registry.save(tmp_path, "m-1", model, {"target": "genre"}, registry.keys(test["track_id"]))
    again = registry.load(tmp_path, "m-1")
    assert again.model.predict_proba(test) == pytest.approx(proba)
    assert registry.has_seen(tmp_path, "m-1", rows["track_id"]).sum() == test["track_id"].nunique()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lightgbm", "random_forest", "evidence_ensemble"])
def test_many_rare_classes_do_not_diverge(name):
    rows = frame(1000, seed=3, genres=tuple(f"style {i:03d}" for i in range(70)), noise=0.5)
    rows = add_context(rows[rows.groupby("genre")["genre"].transform("size") >= 3].reset_index(drop=True))
    model, test, label, known = _fit(rows, name, inputs="metadata")
    assert len(model.classes_) > 60
    floor, names = majority(known, len(test))
    on = np.isin(label, names)
    index = np.searchsorted(names, label[on].astype(str))
    assert log_loss(model.predict_proba(test)[on], index) < log_loss(floor[on], index)


def test_the_same_models_are_pooled_and_kept(monkeypatch, rows):
    from soundscope.genre import ensemble

    # All rows suffice for boosting, those without the held ones do not.
    monkeypatch.setattr(ensemble, "FEW_CLASSES", 2)
    monkeypatch.setattr(ensemble, "_BOOSTED_ROWS_PER_CLASS", 90)
    model, test, *_ = _fit(rows, "evidence_ensemble", inputs="audio")
    assert len(model.models_) == 2
    assert model.predict_proba(test).sum(axis=1) == pytest.approx(1.0)
    monkeypatch.setattr(ensemble, "_BOOSTED_ROWS_PER_CLASS", 1000)
    alone, *_ = _fit(rows, "evidence_ensemble", inputs="audio")
    assert len(alone.models_) == 1
    assert alone.predict_proba(test).sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ALL)
def test_two_classes_and_a_class_that_only_held_rows_have(name, rows):
    label = np.where(rows["genre"] == "ska", "yes", "no").astype(object)
    assert _fit(rows, name, label)[0].predict_proba(rows).shape == (len(rows), 2)
    fold = splits.folds_of(rows["recording_id"])
    label[np.flatnonzero(fold == 1)[:3]] = "rare"
    model, *_ = _fit(rows, name, label)
    assert list(model.classes_) == ["no", "rare", "yes"]
    assert np.isfinite(model.predict_proba(rows)).all()


def test_popularity_is_seen_only_where_allowed(rows):
    without, *_ = _fit(rows, "lightgbm", inputs="context", popularity=False)
    changed = rows.assign(popularity=99.0, artist_popularity=1.0)
    assert without.predict_proba(changed) == pytest.approx(without.predict_proba(rows))
    assert not [name for name in without.columns_ if "popularity" in name]


def test_unknown_candidate_and_empty_features_are_refused(rows):
    with pytest.raises(BadInput, match="Unknown classifier"):
        candidates.make("oracle", 10, 2)
    empty = rows.drop(columns=[c for c in rows if c in candidates.features.AUDIO])
    with pytest.raises(BadInput, match="no input column"):
        _fit(empty, "random_forest", inputs="audio", popularity=False)


def test_evidence_of_a_row_ignores_its_own_group(rows):
    keys = evidence.keys_of(rows)
    label, groups = pd.factorize(rows["genre"], sort=True)[0], rows["recording_id"]
    before = evidence.out_of_fold(keys, label, 4, groups)
    fold = splits.folds_of(groups, "evidence", evidence.INNER_FOLDS)
    flipped = np.where(fold == 2, (label + 1) % 4, label)
    after = evidence.out_of_fold(keys, flipped, 4, groups)
    for name in evidence.SOURCES:
        assert after[name][fold == 2] == pytest.approx(before[name][fold == 2], abs=1e-6)
    assert not np.allclose(after["artist"][fold != 2], before["artist"][fold != 2])


def test_artist_evidence_by_hand():
    titles = pd.DataFrame({"artist": ["A", "A", "B", "C"], "artists": ["A", "A; B", "B", "C"], "title": "x", "album": ""})
    keys = evidence.keys_of(titles)["artist"]
    source = evidence.LabelEvidence("share").fit(keys, np.array([0, 0, 1, 1]), 2)
    found = source.transform(keys)
    # The second row meets A twice (label 0) and B twice (labels 0 and 1): three of label 0, one of label 1, prior a half each.
    assert np.exp(found[1]) == pytest.approx([3.5 / 5, 1.5 / 5, 5.0])
    unknown = source.transform(sparse.csr_matrix((1, keys.shape[1]), dtype=np.float32))
    assert np.exp(unknown[0]) == pytest.approx([0.5, 0.5, 1.0])


def test_context_is_the_mean_of_the_other_recordings():
    tracks = pd.DataFrame(
        {
            "track_id": list("abcde"),
            "recording_id": list("aacde"),
            "artist": ["X", "x ", "X", "Y", None],
            "energy": [0.1, 0.1, 0.4, 0.9, 0.5],
        }
    )
    found = add_context(tracks)
    assert found["artist_energy"].tolist() == pytest.approx([0.4, 0.4, 0.1, np.nan, np.nan], nan_ok=True)
    assert found["artist_other_tracks"].tolist() == [1, 1, 2, 0, 0]
    later = Catalogue(tracks).context(pd.DataFrame({"recording_id": ["new"], "artist": ["Y"]}))
    assert later["artist_energy"].tolist() == [0.9]
    assert list(later) == list(CONTEXT)


def _honest(n: int = 4000):
    rng = np.random.default_rng(4)
    proba = rng.dirichlet([0.7] * 3, n)
    return proba, np.array([rng.choice(3, p=p) for p in proba])


def test_calibration_mends_overconfidence():
    proba, index = _honest()
    rash = softmax(3 * log_probability(proba))
    found = Calibration().fit(rash, index)
    mended = found.apply(rash)
    assert found.temperature_ == pytest.approx(3.0, rel=0.12)
    assert log_loss(mended, index) < log_loss(rash, index)
    assert np.abs(mended - proba).mean() < 0.03
    assert (mended.argmax(axis=1) == rash.argmax(axis=1)).all()
    assert mended.sum(axis=1) == pytest.approx(1.0)


def test_calibration_mends_the_first_label_alone():
    proba, index = _honest()
    first = proba.argmax(axis=1)
    rows = np.arange(len(proba))
    # Too sure of the first, honest about the others among themselves: no temperature mends both.
    rash = proba * 0.4
    rash[rows, first] = 0
    rash[rows, first] = 1 - rash.sum(axis=1)
    mended = Calibration().fit(rash, index).apply(rash)
    gap = abs(mended[rows, first].mean() - (first == index).mean())
    assert gap < 0.01 < abs(rash[rows, first].mean() - (first == index).mean())
    assert (mended.argmax(axis=1) == first).all()
    few = Calibration().fit(rash[:50], index[:50])
    assert few.beta_ is None


def test_forest_is_the_mean_of_its_leaves():
    from sklearn.ensemble import RandomForestClassifier

    from soundscope.genre.forest import CompactForest

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6)).astype(np.float32)
    y = np.array(list("xyz"))[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
    X[rng.random(X.shape) < 0.05] = np.nan
    ours = CompactForest(10, seed=3, threads=1).fit(X, y)
    theirs = RandomForestClassifier(10, min_samples_leaf=2, random_state=3).fit(np.nan_to_num(X, nan=-1e9), y)
    fresh = rng.normal(size=(200, 6))
    assert ours.predict_proba(fresh) == pytest.approx(theirs.predict_proba(fresh), abs=1e-6)
    assert ours.predict_proba(fresh[:0]).shape == (0, 3)


@pytest.fixture
def stored(rows, tmp_path):
    model, *_ = _fit(rows, candidates.BASELINE)
    return tmp_path, registry.save(tmp_path, "m-1", model, {"target": "genre"})


def test_store_is_whole_and_checked(stored):
    models, sha256 = stored
    assert sorted(p.name for p in models.iterdir()) == ["m-1"]
    assert registry.load(models, "m-1", sha256).sha256 == sha256 == registry.read_card(models, "m-1")["sha256"]
    with pytest.raises(SoundScopeError, match="the warehouse says"):
        registry.load(models, "m-1", "0" * 64)
    file = models / "m-1" / registry.MODEL_FILE
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(SoundScopeError, match="the file was changed"):
        registry.load(models, "m-1")


def test_only_listed_types_are_built(stored):
    models, _ = stored
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline

    from soundscope.genre.pool import Pool

    class Stranger(GaussianNB):
        pass

    Stranger.__module__, Stranger.__qualname__ = "somewhere", "Stranger"
    registry.save(models, "m-2", make_pipeline(Pool(), Pool()), {})
    registry.load(models, "m-2")
    import sys
    import types

    sys.modules["somewhere"] = types.SimpleNamespace(Stranger=Stranger)
    try:
        registry.save(models, "m-3", Stranger(), {})
        with pytest.raises(SoundScopeError, match=r"not allowed: somewhere\.Stranger"):
            registry.load(models, "m-3")
    finally:
        del sys.modules["somewhere"]


def test_damaged_and_absent_models_are_named(stored):
    models, _ = stored
    with pytest.raises(BadInput, match="no model nobody"):
        registry.load(models, "nobody")
    with pytest.raises(BadInput, match="no model id"):
        registry.load(models, "../m-1")
    with pytest.raises(SoundScopeError, match="exists already"):
        registry.save(models, "m-1", object(), {})
    file = models / "m-1" / registry.MODEL_FILE
    file.write_bytes(b"not a model")
    card = models / "m-1" / registry.CARD_FILE
    import hashlib

    card.write_text(json.dumps({"sha256": hashlib.sha256(b"not a model").hexdigest()}))
    with pytest.raises(SoundScopeError, match="is damaged"):
        registry.load(models, "m-1")
    card.write_text("{")
    with pytest.raises(SoundScopeError, match="is damaged"):
        registry.load(models, "m-1")
