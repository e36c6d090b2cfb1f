from __future__ import annotations

import numpy as np
import pytest
from genre_world import frame

from soundscope.errors import BadInput
from soundscope.genre import candidates, evidence, registry, splits
from soundscope.genre.attribute import in_proportion, of_logits
from soundscope.genre.calibrate import FLOOR, log_probability, softmax
from soundscope.genre.context import add_context
from soundscope.genre.explain import BASE, CALIBRATION, attribution, contributions, explain
from soundscope.genre.tell import in_words, tell

pytestmark = pytest.mark.e2e  # every kind of model is fitted
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


@pytest.mark.parametrize(
    ("name", "genres"),
    [
        ("softmax_regression", None),
        ("logistic_regression", None),
        ("random_forest", None),
        ("hist_gradient_boosting", None),
        ("lightgbm", None),
        ("evidence_ensemble", None),
        ("evidence_ensemble", MANY),
    ],
)
def test_contributions_add_up_to_the_probability(name, genres):
    model, rows = _model(name, genres)
    some = rows.iloc[:40].reset_index(drop=True)
    parts, values, label, best = attribution(model, some, rows.iloc[100:140])
    proba = model.predict_proba(some)
    assert (label == proba.argmax(axis=1)).all()
    assert sum(parts.values()) == pytest.approx(proba.max(axis=1), abs=1e-12)
    assert best == pytest.approx(proba.max(axis=1))
    assert values["energy"] == pytest.approx(some["energy"])
    # Without calibration's own part they add up to what the model says before it.
    raw, is_bounded = _raw(model, some)
    before = sum(part for feature, part in parts.items() if feature != CALIBRATION)
    free = ~is_bounded
    assert free.sum() >= 8
    assert before[free] == pytest.approx(raw[np.arange(40), label][free], abs=2e-3)


def _raw(model, rows):
    """Probabilities before calibration of the first label, tempered where contributions are; and where one was raised to the floor."""
    if hasattr(model, "sources_"):
        keys = evidence.keys_of(rows) if model.pool_ is not None else {}
        raw = model._joined(model.probas_of(rows), {n: model.sources_[n].transform(k) for n, k in keys.items()})
    else:
        raw = model._raw(model.inputs_of(rows))
        if not (hasattr(model.fitted_, "coef_") or hasattr(model.fitted_, "booster_")):
            return raw, np.zeros(len(raw), dtype=bool)
    is_bounded = (raw < FLOOR).any(axis=1)
    return softmax(log_probability(raw) / model.calibration_.temperature_), is_bounded & (not hasattr(model, "sources_"))


def test_integrated_gradients_by_hand():
    # Two labels and one part: the whole way belongs to it.
    base, part = np.zeros((1, 2)), np.array([[2.0, 0.0]])
    divided, start, end = of_logits({"a": part / 2, "b": part / 2, "nothing": 0 * part}, base, np.array([0]))
    gain = 1 / (1 + np.exp(-2)) - 0.5
    assert (start[0], end[0]) == pytest.approx((0.5, 0.5 + gain))
    assert [divided[name][0] for name in ("a", "b", "nothing")] == pytest.approx([gain / 2, gain / 2, 0.0])


def test_totals_are_divided_in_proportion_even_where_moves_cancel():
    moves = np.array([[0.2, 0.1, 0.0], [0.3, -0.3, 0.0], [0.0, 0.0, 0.0]])
    divided = in_proportion(np.array([0.6, 0.1, 0.3]), moves)
    assert divided[0] == pytest.approx([0.4, 0.2, 0.0])
    assert divided.sum(axis=1) == pytest.approx([0.6, 0.1, 0.3])
    assert np.abs(divided).max() <= 0.6


def test_a_forest_is_divided_along_its_paths():
    model, rows = _model("random_forest")
    X = model.inputs_of(rows.iloc[:30])
    for label in range(4):
        moves = model.fitted_.contributions(X, label)
        assert moves.sum(axis=1) == pytest.approx(model.fitted_.predict_proba(X)[:, label], abs=1e-6)
        assert moves[:, -1] == pytest.approx(model.fitted_.prior()[label], abs=0.02)


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
    assert {BASE, CALIBRATION, "labels by artist", "labels by title words"} <= set(one.index)
    assert one["contribution"].abs().is_monotonic_decreasing
    with pytest.raises(BadInput, match="No audio features"):
        explain(con, settings, "m", ["spotify:nobody"])


def test_a_track_is_found_and_told_in_words(con, settings):
    model, _ = _model("lightgbm")
    registry.save(settings.paths.models, "m", model, {"target": "genre"})
    track_id, title, artist = con.execute(
        "select track_id, title, artist from core.tracks where recording_id = track_id order by 1 limit 1"
    ).fetchone()
    told = tell(con, settings, f"{title.upper()} {artist}", "m")
    assert told == tell(con, settings, track_id, "m") == tell(con, settings, track_id.removeprefix("spotify:"), "m")
    assert told.start + sum(reason.contribution for reason in told.reasons) == pytest.approx(told.likeliest[0][1])
    near = [
        con.execute("select genre from marts.track_features where track_id = ?", [n["track_id"]]).fetchone()[0]
        for n in told.nearest
    ]
    assert near == [told.likeliest[0][0]] * 3
    assert [n["distance"] for n in told.nearest] == sorted(n["distance"] for n in told.nearest)
    assert track_id not in {n["track_id"] for n in told.nearest}
    words = in_words(told)
    assert ("Not sure" if told.is_unsure else "Probably") in words
    assert f"labelled {told.likeliest[0][0]}" in words
    for wanted, says in (("no such song at all", "No track is called"), ("Act", "songs fit"), ("", "No track is called")):
        with pytest.raises(BadInput, match=says):
            tell(con, settings, wanted, "m")
    con.execute("create table ml.model_runs (model_id text, target text, is_champion boolean, trained_at timestamp)")
    with pytest.raises(BadInput, match="There is no model yet"):
        tell(con, settings, track_id)
