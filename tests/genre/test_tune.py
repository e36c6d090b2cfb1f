"""Settings are chosen by trials in a fixed order, of which time only decides how many are made."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from genre_world import warehouse

from soundscope.genre import candidates, registry, splits
from soundscope.genre.data import load_training
from soundscope.genre.train import train
from soundscope.genre.tune import Trial, Tuning, plan, tune

NAMES = ("softmax_regression", "logistic_regression", "lightgbm")
NOW = datetime(2026, 1, 1)


@pytest.fixture(scope="module")
def data():
    with warehouse(300) as con:
        return load_training(con)


def _tune(data, trials=0, minutes=0.0, **more):
    return tune(data, NAMES, data.folds(), minutes=minutes, trials=trials, threads=1, seed=11, **more)


def _what(tuning):
    return [(trial.algorithm, trial.parameters, trial.log_loss) for trial in tuning.trials]


@pytest.mark.parametrize("n_classes", [6, 25, 146])
def test_every_setting_is_planned_once_after_the_defaults(n_classes):
    names = candidates.names_for(30_000, n_classes)
    order = plan(names, 30_000, n_classes, 1)
    tuned = set(names) - {candidates.BASELINE}
    assert {name for name, one in order[: len(tuned)] if not one} == tuned, "the defaults come first"
    told = [(name, str(sorted(one.items()))) for name, one in order]
    assert len(set(told)) == len(told) > 50
    assert order == plan(names[::-1], 30_000, n_classes, 1)
    assert order != plan(names, 30_000, n_classes, 2)
    for name, one in order:
        usual = candidates.settings_of(name, 30_000, n_classes)
        assert set(one) <= set(usual)
        assert not one or any(usual[key] != one[key] for key in one), "the default is not tried twice"
        made = candidates.make(name, 30_000, n_classes, parameters=one)
        kept = made.parameters if name == candidates.STRONGEST else made.estimator.get_params()
        assert one.items() <= kept.items()


def test_an_ensemble_without_boosting_is_not_tuned_for_it():
    few = [one for _, one in plan([candidates.STRONGEST], 3000, 100, 1)]
    assert {key for one in few for key in one} == {"forest__min_leaf"}


@pytest.mark.e2e
def test_time_only_cuts_the_trials_and_the_same_number_chooses_the_same(data):
    whole = _tune(data, trials=7)
    assert (len(whole.trials), whole.ended_by) == (7, "the limit of 7 trials")
    assert _what(_tune(data, trials=7)) == _what(whole)
    # A clock by which every reading is ten seconds after the last: each trial takes ten, and so does what lies between.
    ticks = iter(range(0, 100_000, 10))
    cut = _tune(data, minutes=1.5, clock=lambda: float(next(ticks)))
    assert 2 < len(cut.trials) < 7
    assert cut.ended_by == "the limit of 1.5 minutes"
    assert _what(cut) == _what(whole)[: len(cut.trials)]
    assert all(trial.seconds == 10 for trial in cut.trials)
    for name in NAMES[1:]:
        best = whole.best(name)
        assert best.log_loss == min(trial.log_loss for trial in whole.of(name))
        assert whole.parameters(name) == dict(best.parameters)
    assert whole.parameters("softmax_regression") == {}
    assert len({trial.log_loss for trial in whole.trials}) > 2, "settings make a difference"


@pytest.mark.e2e
def test_frozen_rows_have_no_say_in_the_choice(data):
    before = _what(_tune(data, trials=4))
    folds = data.folds()
    label = data.label.copy()
    label[folds == splits.FROZEN_FOLD] = "ska"
    spoilt = data.frame.copy()
    spoilt.loc[folds == splits.FROZEN_FOLD, "energy"] = 99.0
    other = type(data)(**{**data.__dict__, "label": label, "frame": spoilt})
    assert _what(_tune(other, trials=4)) == before
    label[folds == 2] = np.random.default_rng(1).permutation(label[folds == 2])
    assert _what(_tune(type(data)(**{**data.__dict__, "label": label}), trials=4)) != before


def test_too_few_recordings_leave_the_defaults():
    with warehouse(300) as con:
        data = load_training(con)
    none = tune(data, NAMES, np.zeros(len(data), dtype=np.int64), minutes=0, trials=3, threads=1, seed=1)
    assert (none.trials, none.ended_by) == ((), "too few recordings")
    assert none.card("lightgbm") == {}
    assert none.metrics("lightgbm").empty


def test_equal_trials_leave_the_default():
    trials = (
        Trial("lightgbm", {}, 1.0, 2.0),
        Trial("lightgbm", {"leaves": 7}, 1.0, 2.0),
        Trial("lightgbm", {"l2": 5.0}, 1.1, 2.0),
    )
    tuning = Tuning(trials, 9, "the limit of 3 trials", 1)
    assert tuning.parameters("lightgbm") == {}
    assert tuning.told()[1] == "  lightgbm: default, log-loss 1.000 (default 1.000)."


@pytest.mark.slow
def test_what_was_tried_and_chosen_is_recorded(settings, monkeypatch):
    monkeypatch.setattr("soundscope.genre.protocols.is_affordable", lambda *_: False)
    asked = settings.model_copy(update={"train": settings.train.model_copy(update={"tune_trials": 6})})
    names = (*NAMES[:2], candidates.STRONGEST)
    with warehouse(300) as con:
        outcome = train(con, asked, "r1", NOW, None, names=names)
    metrics = outcome.rows["model_metrics"]
    assert not metrics.duplicated(["model_id", "split", "metric", "class"]).any()
    assert set(metrics["split"]) == {"recording", "recording_unseen_artist"}
    cards = {name: registry.read_card(settings.paths.models, f"genre-{name}-20260101T000000") for name in names}
    assert cards["softmax_regression"]["tuning"] == {}
    for name in names[1:]:
        told = cards[name]["tuning"]
        assert (told["trials_of_all_candidates"], told["ended_by"]) == (6, "the limit of 6 trials")
        assert told["log_loss"] == min(one["log_loss"] for one in told["trials"])
        assert told["chosen"].items() <= cards[name]["settings"].items()
        of_model = metrics[metrics["model_id"] == cards[name]["model_id"]]
        tried = of_model[of_model["metric"] == "tuning_log_loss"]
        assert sorted(tried["value"]) == sorted(one["log_loss"] for one in told["trials"])
        chosen = of_model[of_model["metric"] == "tuning_chosen_log_loss"]
        assert chosen["value"].tolist() == [told["log_loss"]]
        model = registry.load(settings.paths.models, cards[name]["model_id"]).model
        used = model.parameters if name == candidates.STRONGEST else model.fitted_.get_params()
        assert told["chosen"].items() <= used.items()
    assert "Tuned: 6 of" in outcome.report


@pytest.mark.slow
def test_nothing_is_tuned_unasked(settings, monkeypatch):
    monkeypatch.setattr("soundscope.genre.protocols.is_affordable", lambda *_: False)
    with warehouse(200) as con:
        outcome = train(con, settings, "r1", NOW, None, names=NAMES[:2])
    assert "Tuned" not in outcome.report
    assert not outcome.rows["model_metrics"]["metric"].str.startswith("tuning").any()
