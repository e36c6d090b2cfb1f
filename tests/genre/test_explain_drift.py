from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from genre_world import frame, warehouse

from soundscope.errors import BadInput
from soundscope.genre import candidates, evidence, registry, splits
from soundscope.genre.calibrate import log_probability
from soundscope.genre.context import add_context
from soundscope.genre.drift import WATCHED, drift, psi, reference
from soundscope.genre.explain import BASE, contributions, explain

MANY = tuple(f"style {i:02d}" for i in range(45))


def _model(name, genres=None):
    rows = add_context(frame(250, **({"genres": genres} if genres else {})))
    held = splits.folds_of(rows["recording_id"]) == 1
    model = candidates.make(name, len(rows), 4, inputs="context", threads=1)
    return model.fit(rows, rows["genre"].to_numpy(dtype=object), rows["recording_id"], held), rows


@pytest.mark.parametrize(
    ("name", "genres"),
    [
        ("softmax_regression", None),
        ("logistic_regression", None),
        ("lightgbm", None),
        ("evidence_ensemble", None),
        pytest.param("evidence_ensemble", MANY, marks=pytest.mark.slow),
    ],
)
def test_contributions_add_up_to_the_logits(name, genres):
    model, rows = _model(name, genres)
    parts, values = contributions(model, rows)
    total = sum(parts.values())
    if name == "evidence_ensemble" and genres:
        found = {n: model.sources_[n].transform(k) for n, k in evidence.keys_of(rows).items()}
        want = model.pool_.logits(model.probas_of(rows), found)
    elif name == "evidence_ensemble":
        want = log_probability(model.probas_of(rows)[0])
    else:
        want = log_probability(model._raw(model.inputs_of(rows)))
    want = want - want.mean(axis=1, keepdims=True)
    # Logarithms are cut at a probability of 1e-6, so they tell the logits only above it.
    sure = np.ptp(want, axis=1) < (np.inf if genres else 12)
    assert sure.sum() > 30
    assert total[sure] == pytest.approx(want[sure], abs=2e-3)
    assert values["energy"] == pytest.approx(rows["energy"]) if "energy" in parts else genres
    assert BASE in parts


def test_forest_says_it_cannot():
    model, rows = _model("random_forest")
    with pytest.raises(BadInput, match="no additive explanation"):
        contributions(model, rows)


def test_a_track_is_explained_by_what_the_model_saw(con, settings):
    model, _ = _model("evidence_ensemble")
    registry.save(settings.paths.models, "m", model, {"target": "genre"})
    wanted = [row[0] for row in con.execute("select track_id from core.tracks order by 1 limit 3").fetchall()]
    rows = explain(con, settings, "m", [*wanted, wanted[0]])
    assert list(rows) == ["track_id", "model_id", "genre", "feature", "value", "contribution"]
    assert list(dict.fromkeys(rows["track_id"])) == wanted
    energy = con.execute("select energy from marts.track_features where track_id = ?", [wanted[1]]).fetchone()[0]
    one = rows[rows["track_id"] == wanted[1]].set_index("feature")
    assert one.loc["energy", "value"] == pytest.approx(energy)
    assert {"labels by artist", "labels by title words"} <= set(one.index)
    assert one["contribution"].abs().is_monotonic_decreasing
    with pytest.raises(BadInput, match="No audio features"):
        explain(con, settings, "m", ["spotify:nobody"])


def test_psi_by_hand():
    assert psi(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(0.25 * np.log(3))
    assert psi(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0.0


def test_drift_notices_a_moved_feature_alone(con, settings):
    model, _ = _model("softmax_regression")
    now = datetime(2026, 1, 1)
    registry.save(settings.paths.models, "m", model, {"reference": reference(frame(600, seed=6))})
    before = drift(con, settings, "m", now).set_index("feature")
    assert set(before.index) == set(WATCHED)
    assert before.loc["tempo", "level"] == "steady"
    con.execute("update marts.track_features set tempo = tempo + 40, liveness = null")
    after = drift(con, settings, "m", now).set_index("feature")
    assert after.loc[["tempo", "liveness"], "level"].tolist() == ["shifted", "shifted"]
    assert after.loc["energy", "psi"] == before.loc["energy", "psi"]
    with warehouse(10) as empty:
        empty.execute("delete from marts.track_features")
        assert drift(empty, settings, "m", now).empty
