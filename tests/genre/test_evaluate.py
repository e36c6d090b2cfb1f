from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from soundscope.genre.evaluate import align, evaluate, majority
from soundscope.genre.gate import admissible, decide

CLASSES = ["a", "b", "c", "d"]


@pytest.fixture
def measured():
    rng = np.random.default_rng(2)
    label = rng.choice(CLASSES, 400, p=[0.4, 0.3, 0.2, 0.1]).astype(object)
    score = rng.normal(size=(400, 4)) + 1.5 * (label[:, None] == np.array(CLASSES))
    proba = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    return label, proba, rng.integers(0, 150, 400)


def test_figures_are_those_of_scikit_learn(measured):
    label, proba, groups = measured
    found = evaluate(label, proba, CLASSES, groups)
    said, truth = np.array(CLASSES)[proba.argmax(axis=1)], label.astype(str)
    assert found.value("accuracy") == pytest.approx(sk.accuracy_score(truth, said))
    assert found.value("balanced_accuracy") == pytest.approx(sk.balanced_accuracy_score(truth, said))
    assert found.value("macro_f1") == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert found.value("log_loss") == pytest.approx(sk.log_loss(truth, proba, labels=CLASSES))
    assert found.value("top3_accuracy") == pytest.approx(sk.top_k_accuracy_score(truth, proba, k=3, labels=CLASSES))
    precision, recall, f1, support = sk.precision_recall_fscore_support(truth, said, labels=CLASSES)
    for column, name in enumerate(CLASSES):
        values = [found.value(metric, name) for metric in ("precision", "recall", "f1", "support")]
        assert values == pytest.approx([precision[column], recall[column], f1[column], support[column]])
    table = found.confusion.pivot(index="true_genre", columns="predicted_genre", values="n").fillna(0)
    assert table.to_numpy().tolist() == sk.confusion_matrix(truth, said).tolist()


def test_calibration_error_by_hand():
    proba = np.array([[0.9, 0.1], [0.9, 0.1], [0.45, 0.55], [0.3, 0.7]])
    label = np.array(["a", "b", "b", "b"], dtype=object)
    # Bins of a fifteenth: (.9, .9) half right; .55 and .7 alone and right.
    want = (abs(1.8 - 1) + (1 - 0.55) + (1 - 0.7)) / 4
    assert evaluate(label, proba, ["a", "b"], np.arange(4), resamples=0).value("calibration_error") == pytest.approx(want)


def test_intervals_know_groups(measured):
    label, proba, _ = measured
    alone = evaluate(label, proba, CLASSES, np.arange(400)).metrics.set_index(["metric", "class"])
    # Every row ten times in one group: the same figures, and no more certainty than before.
    ten = np.tile(np.arange(400), 10)
    together = evaluate(label[ten], proba[ten], CLASSES, ten).metrics.set_index(["metric", "class"])
    naive = evaluate(label[ten], proba[ten], CLASSES, np.arange(4000)).metrics.set_index(["metric", "class"])
    key = ("accuracy", "all")
    width = {
        name: t.loc[key, "ci_high"] - t.loc[key, "ci_low"]
        for name, t in (("alone", alone), ("together", together), ("naive", naive))
    }
    assert together.loc[key, "value"] == pytest.approx(alone.loc[key, "value"])
    assert width["together"] == pytest.approx(width["alone"], rel=0.2)
    assert width["naive"] < width["alone"] / 2
    assert alone.loc[key, "ci_low"] < alone.loc[key, "value"] < alone.loc[key, "ci_high"]


def test_same_seed_same_intervals(measured):
    label, proba, groups = measured
    first, second, other = (evaluate(label, proba, CLASSES, groups, seed=seed).metrics for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert not first["ci_low"].equals(other["ci_low"])


def test_any_label_counts_every_label_of_the_track(measured):
    label, proba, groups = measured
    said = np.array(CLASSES)[proba.argmax(axis=1)]
    several = [frozenset({true, guess}) for true, guess in zip(label, said, strict=True)]
    assert evaluate(label, proba, CLASSES, groups, several).value("any_label_accuracy") == 1.0
    assert "any_label_accuracy" not in set(evaluate(label, proba, CLASSES, groups).metrics["metric"])


def test_label_the_model_never_met_is_wrong_not_an_error(measured):
    label, proba, groups = measured
    strange = label.copy()
    strange[:40] = "new"
    found = evaluate(strange, proba, CLASSES, groups)
    assert found.value("recall", "new") == 0.0
    assert np.isfinite(found.value("log_loss"))
    assert found.value("top3_accuracy") <= 0.9


def _gate(measured, better, worse, **more):
    label, proba, groups = measured
    truth = (label[:, None] == np.array(CLASSES)).astype(float)
    floor = align(*majority(label, len(label)), CLASSES)
    champion = (1 - worse) * proba + worse * 0.25
    challenger = (1 - better) * proba + better * truth
    return decide(label, challenger, floor, CLASSES, groups, champion, **more)


def test_gate_promotes_what_is_better_beyond_noise(measured):
    verdict = _gate(measured, better=0.2, worse=0.0)
    assert verdict.promoted
    assert verdict.gain_low > 0
    assert "better beyond noise" in verdict.reason
    assert _gate(measured, better=0.2, worse=0.0) == verdict


def test_gate_refuses_noise(measured):
    label, proba, groups = measured
    rng = np.random.default_rng(8)
    jitter = proba * np.exp(rng.normal(size=proba.shape) * 0.05)
    floor = align(*majority(label, len(label)), CLASSES)
    verdict = decide(label, jitter / jitter.sum(axis=1, keepdims=True), floor, CLASSES, groups, proba)
    assert not verdict.promoted
    assert "not better beyond noise" in verdict.reason


def test_gate_refuses_worse_probabilities_and_lost_classes(measured):
    label, proba, groups = measured
    floor = align(*majority(label, len(label)), CLASSES)
    truth = (label[:, None] == np.array(CLASSES)).astype(float)
    better = 0.7 * proba + 0.3 * truth
    rash = np.where(better == better.max(axis=1, keepdims=True), 1 - 3e-6, 1e-6)
    verdict = decide(label, rash, floor, CLASSES, groups, better * 0.99 + 0.0025)
    assert not verdict.promoted
    lost = better.copy()
    lost[label == "d"] = [0.97, 0.01, 0.01, 0.01]
    assert (lost.argmax(axis=1) == truth.argmax(axis=1)).mean() > (proba.argmax(axis=1) == truth.argmax(axis=1)).mean()
    verdict = decide(label, lost, floor, CLASSES, groups, proba)
    assert not verdict.promoted
    assert "recall falls" in verdict.reason or "probabilities are worse" in verdict.reason
    assert "d (" in verdict.reason or "log-loss" in verdict.reason


def test_gate_refuses_what_frequencies_beat(measured):
    label, proba, groups = measured
    floor = align(*majority(label, len(label)), CLASSES)
    diverged = np.where(np.arange(4) == (np.arange(400) % 4)[:, None], 1.0, 0.0)
    assert not admissible(label, diverged, floor, CLASSES).promoted
    assert not decide(label, diverged, floor, CLASSES, groups).promoted
    first = decide(label, proba, floor, CLASSES, groups)
    assert first.promoted
    assert first.gain is None
