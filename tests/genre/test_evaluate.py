from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from soundscope.genre.evaluate import align, evaluate, majority
from soundscope.genre.gate import admissible, decide
from soundscope.genre.report import left_out_in_words

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


def _many(n_labels, per_label, right, seed=3):
    """Truth, and probabilities of a model that is right with a probability by label."""
    rng = np.random.default_rng(seed)
    names = [f"style {i:03d}" for i in range(n_labels)]
    truth = np.repeat(np.arange(n_labels), per_label)
    said = np.where(rng.random(len(truth)) < np.asarray(right)[truth], truth, rng.integers(n_labels, size=len(truth)))
    proba = np.full((len(truth), n_labels), 0.5 / n_labels)
    proba[np.arange(len(truth)), said] += 0.5
    return np.array(names, dtype=object)[truth], proba, names


def test_one_of_a_hundred_labels_falling_by_chance_does_not_refuse_a_better_model():
    label, old, names = _many(100, 60, np.full(100, 0.45))
    _, new, _ = _many(100, 60, np.full(100, 0.5), seed=4)
    floor, groups = np.full_like(old, 1 / len(names)), np.arange(len(label)) % 500
    fallen = [np.mean(old[label == x].argmax(1) == i) - np.mean(new[label == x].argmax(1) == i) for i, x in enumerate(names)]
    assert max(fallen) > 0.10, "chance alone moves a label beyond the margin"
    assert decide(label, new, floor, names, groups, old).promoted
    right = np.full(100, 0.55)
    right[[3, 7]] = 0.0
    _, worse, _ = _many(100, 60, right, seed=4)
    verdict = decide(label, worse, floor, names, groups, old)
    assert not verdict.promoted
    assert "recall falls" in verdict.reason
    assert re.search(r"in style 00[37] \(.*\), style 00[37] \(", verdict.reason)


def test_many_lost_labels_are_named_in_part():
    right = np.full(40, 0.4)
    label, old, names = _many(40, 60, right)
    right[:] = 0.9
    right[:12] = 0.0
    _, new, _ = _many(40, 60, right, seed=4)
    verdict = decide(label, new, np.full_like(old, 1 / 40), names, np.arange(len(label)) % 300, old)
    assert not verdict.promoted
    assert verdict.reason.count("style") == 8
    assert "and 4 more" in verdict.reason


def test_hundreds_of_labels_left_out_are_told_in_a_line():
    few = {"not trainable: spotify": 30, "no genre: import:demo": 10}
    assert left_out_in_words(few) == "not trainable: spotify 30; no genre: import:demo 10"
    many = few | {f"fewer than 5 tracks: odd {i}": 1 + i % 4 for i in range(300)}
    told = left_out_in_words(many)
    assert len(told) < 500
    assert told.endswith("fewer than 5 tracks: 292 more with 718 tracks")


def test_gate_refuses_what_frequencies_beat(measured):
    label, proba, groups = measured
    floor = align(*majority(label, len(label)), CLASSES)
    diverged = np.where(np.arange(4) == (np.arange(400) % 4)[:, None], 1.0, 0.0)
    assert not admissible(label, diverged, floor, CLASSES).promoted
    assert not decide(label, diverged, floor, CLASSES, groups).promoted
    first = decide(label, proba, floor, CLASSES, groups)
    assert first.promoted
    assert first.gain is None
