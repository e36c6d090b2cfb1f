"""Why a model says what it says of one track: contributions of its inputs that add up to the score of the label.

Exact for linear models (weight times standardised value), TreeSHAP for boosted trees, and term by term for the pool of many classes.
Contributions are on the logit scale, relative to the mean over all labels, before calibration, which keeps the order of labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.errors import BadInput
from soundscope.genre import evidence, registry
from soundscope.genre.boosting import BoostedTrees
from soundscope.genre.candidates import Candidate, Tabular, matrix
from soundscope.genre.context import add_context, read_catalogue
from soundscope.genre.data import TRACKS_SQL
from soundscope.genre.ensemble import EvidenceEnsemble
from soundscope.settings import Settings

BASE = "(all tracks)"


def explain(con: duckdb.DuckDBPyConnection, settings: Settings, model_id: str, track_ids: Sequence[str]) -> pd.DataFrame:
    """Explain the likeliest label of each track.

    Returns:
        Columns track_id, model_id, genre, feature, value (what the model saw, where it is one number), contribution. The feature
        '(all tracks)' is what the model says of the average track; the contributions of a track add up to its label's logit minus
        the mean logit. Strongest first.

    Raises:
        BadInput: there is no such model or track, or the model has no additive explanation.
        SoundScopeError: the model's file is damaged.
    """
    stored = registry.load(settings.paths.models, model_id)
    wanted = list(dict.fromkeys(track_ids))
    rows = con.execute(
        f"select * from ({TRACKS_SQL}) tracks where train_ok and list_contains($ids, track_id)", {"ids": wanted}
    ).df()
    missing = sorted(set(wanted) - set(rows["track_id"]))
    if missing:
        raise BadInput(
            f"No audio features that a model may use for {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}.",
            next_step='look tracks up with: soundscope sql "select track_id, title from marts.track_features where train_ok"',
        )
    frame = add_context(rows, read_catalogue(con, TRACKS_SQL))
    parts, values = contributions(stored.model, frame)
    best = stored.model.predict_proba(frame).argmax(axis=1)
    tables = []
    for row, label in enumerate(best):
        named = pd.DataFrame(
            {"feature": list(parts), "contribution": [float(part[row, label]) for part in parts.values()]}
        ).sort_values("contribution", key=np.abs, ascending=False, kind="stable")
        named["value"] = [values[name][row] if name in values else np.nan for name in named["feature"]]
        named["genre"] = str(stored.model.classes_[label])
        tables.append(named.assign(track_id=frame["track_id"].iloc[row], model_id=model_id))
    columns = ["track_id", "model_id", "genre", "feature", "value", "contribution"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def contributions(model: Candidate, frame: pd.DataFrame) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Contributions (n, K) to the centred logits by feature, `BASE` among them, and the values (n,) of features that are one number.

    Raises:
        BadInput: the model is neither linear nor boosted trees nor a pool.
    """
    if isinstance(model, EvidenceEnsemble):
        parts = (
            _pooled(model, frame)
            if model.pool_ is not None
            else _trees(model.models_[0], model.inputs_of(frame), model.input_names())
        )
    elif isinstance(model, Tabular) and isinstance(model.fitted_, BoostedTrees):
        X = matrix(frame, model.inputs, model.popularity)[model.columns_].to_numpy()
        parts = _trees(model.fitted_, X, model.columns_)
    elif isinstance(model, Tabular) and hasattr(model.fitted_, "coef_"):
        parts = _linear(model, frame)
    else:
        raise BadInput(
            f"A {type(getattr(model, 'fitted_', model)).__name__} has no additive explanation.",
            next_step="explain a model listed as evidence_ensemble, lightgbm, softmax_regression or logistic_regression.",
        )
    shown: pd.DataFrame = matrix(frame, model.inputs, model.popularity)
    values = {str(name): shown[name].to_numpy(dtype=np.float64) for name in shown if name in parts}
    return {name: part - part.mean(axis=1, keepdims=True) for name, part in parts.items()}, values


def _trees(trees: BoostedTrees, X: NDArray[np.float64], names: list[str]) -> dict[str, NDArray[np.float64]]:
    shap = trees.contributions(X)
    out: dict[str, NDArray[np.float64]] = {}
    for column, name in enumerate([*names, BASE]):
        out.setdefault(name, np.zeros(shap.shape[:2]))
        out[name] += shap[:, :, column]
    return out


def _linear(model: Tabular, frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    linear = model.fitted_
    Z = model.inputs_of(frame)
    if hasattr(linear, "mean_"):
        Z = (Z - linear.mean_) / linear.scale_
    weights, bias = linear.coef_, linear.intercept_
    if len(weights) == 1:
        weights, bias = np.vstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
    marked = [name for name, is_marked in zip(model.columns_, model.marked_, strict=True) if is_marked]
    out = {BASE: np.tile(bias, (len(Z), 1))}
    # A filled value and the mark that it was missing are one input.
    for column, name in enumerate([*model.columns_, *marked]):
        out.setdefault(name, np.zeros((len(Z), len(weights))))
        out[name] += Z[:, [column]] * weights[:, column]
    return out


def _pooled(model: EvidenceEnsemble, frame: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    keys = evidence.keys_of(frame)
    found = {name: model.sources_[name].transform(keys[name]) for name in keys}
    assert model.pool_ is not None
    named = model.pool_.parts(model.probas_of(frame), found)
    return {
        BASE: np.tile(model.pool_.bias_, (len(frame), 1)),
        **{("sound and metadata" if name.startswith("model ") else f"labels by {name}"): part for name, part in named.items()},
    }
