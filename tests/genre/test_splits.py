from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from genre_world import frame

from soundscope.errors import BadInput
from soundscope.genre import splits


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    made = frame(800)
    made["group"] = splits.artist_groups(made["artist"], made["recording_id"])
    return made


def _folds(rows, scheme):
    return splits.folds_for(scheme, rows["recording_id"], rows["group"], rows["release_date"])


def test_fold_is_the_documented_hash():
    for key in ("a", "spotify:1", "ü"):
        digest = hashlib.sha256(f"soundscope-1|{key}".encode()).hexdigest()
        assert splits.fold_of(key) == int(digest[:8], 16) % 5


def test_no_recording_and_no_artist_crosses(rows):
    for column in ("recording_id", "artist"):
        assert pd.Series(_folds(rows, "artist")).groupby(rows[column]).nunique().max() == 1
    assert pd.Series(_folds(rows, "recording")).groupby(rows["recording_id"]).nunique().max() == 1
    # Random rows do tear recordings apart, which is why that split is called leaky.
    assert pd.Series(_folds(rows, "random_leaky")).groupby(rows["recording_id"]).nunique().max() > 1


def test_frozen_rows_only_grow(rows):
    part = rows.sample(frac=0.5, random_state=3)
    before = set(part.loc[_folds(part, "recording") == splits.FROZEN_FOLD, "track_id"])
    after = set(rows.loc[_folds(rows, "recording") == splits.FROZEN_FOLD, "track_id"])
    assert before
    assert before < after


def test_forward_split_tests_the_newest_recordings(rows):
    fold = _folds(rows, "forward")
    first = rows["release_date"].groupby(rows["recording_id"]).transform("min")
    assert first[fold == 0].min() > first[fold > 0].max()
    assert first[fold == 1].min() > first[fold > 1].max()
    assert np.bincount(fold).min() > 100
    undated = rows.assign(release_date=pd.NaT)
    assert set(_folds(undated, "forward")) == {2}


def test_rows_connect_through_any_key():
    name = splits.connected(["d", "b", "c", "a"], ["x", "y", "x", None], [None, "p", "p", None])
    assert name.tolist() == ["b", "b", "b", "a"]
    with pytest.raises(BadInput, match="missing"):
        splits.connected(["a", None])


@pytest.mark.parametrize("seed", range(20))
def test_connected_is_the_transitive_closure(seed):
    rng = np.random.default_rng(seed)
    pairs = [(int(a), int(b) if b < 6 else None) for a, b in rng.integers(0, 10, size=(rng.integers(1, 25), 2))]
    ids, keys = [f"{a}" for a, _ in pairs], [b for _, b in pairs]
    found = splits.connected(ids, pd.Series(keys, dtype=object)).tolist()
    label = list(range(len(pairs)))
    for _ in pairs:
        for i in range(len(pairs)):
            for j in range(len(pairs)):
                if ids[i] == ids[j] or (keys[i] is not None and keys[i] == keys[j]):
                    label[i] = label[j] = min(label[i], label[j])
    want = [min(ids[j] for j in range(len(pairs)) if label[j] == label[i]) for i in range(len(pairs))]
    assert found == want


def test_unknown_scheme_is_refused(rows):
    with pytest.raises(BadInput, match="Unknown split"):
        _folds(rows, "lucky")
