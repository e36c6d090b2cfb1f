from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from soundscope.errors import BadInput
from soundscope.genre.softmax import SoftmaxRegression
from soundscope.settings import PROJECT


def _plain():
    spec = importlib.util.spec_from_file_location("baseline_softmax", PROJECT / "benchmarks" / "baseline_softmax.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.plain_softmax


def _data(n: int = 60, d: int = 5, k: int = 4):
    rng = np.random.default_rng(1)
    y = rng.integers(0, k, n)
    return rng.normal(size=(n, d)) * [1, 10, 100, 0.1, 1] + y[:, None] * 0.3 + 7, np.array(list("abcd"))[y]


def test_losses_are_those_of_the_plain_loop():
    X, y = _data()
    losses, weights = _plain()(X.tolist(), y.tolist(), 0.25, 120)
    model = SoftmaxRegression(epochs=120, report_at=(1, 60, 120, 500)).fit(X, y)
    assert model.loss_curve_ == pytest.approx(losses, abs=1e-9)
    assert pytest.approx(np.array(weights), abs=1e-9) == np.hstack([model.coef_, model.intercept_[:, None]]).T
    assert list(model.reported_losses_) == [1, 60, 120]
    assert model.reported_losses_[1] == pytest.approx(np.log(4))


def test_constant_column_is_harmless():
    X, y = _data()
    with_constant = SoftmaxRegression(epochs=50).fit(np.column_stack([X, np.full(len(X), 0.1)]), y)
    without = SoftmaxRegression(epochs=50).fit(X, y)
    assert with_constant.loss_curve_ == pytest.approx(without.loss_curve_)


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"epochs": 0}])
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(BadInput, match="must be positive"):
        SoftmaxRegression(**wrong).fit(*_data())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_is_a_scikit_learn_classifier():
    results = check_estimator(SoftmaxRegression(epochs=200), on_fail=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) > 40
