"""Why a model says what it says of one track: what each of its inputs adds to the probability of the likeliest label.

Contributions are in probability (0.1 is ten points) and add up to the calibrated probability exactly. Boosted trees are divided by
TreeSHAP and linear models by weight times standardised value, on the logits, and from there to the probability as in `attribute.py`;
a forest by its paths; evidence term by term; what has none of these by sampling. What calibration changes is a part of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.errors import BadInput
from soundscope.genre import attribute, evidence, features, registry
from soundscope.genre.boosting import BoostedTrees
from soundscope.genre.calibrate import FLOOR
from soundscope.genre.candidates import Candidate, Tabular, matrix
from soundscope.genre.context import Catalogue, add_context, read_catalogue
from soundscope.genre.data import TRACKS_SQL
from soundscope.genre.ensemble import EvidenceEnsemble
from soundscope.genre.forest import CompactForest
from soundscope.settings import Settings

BASE = "(all tracks)"
CALIBRATION = "(calibration)"
FOREST = "(forest)"
COLUMNS = ["track_id", "model_id", "genre", "feature", "value", "contribution"]
# Tracks explained at once: a hundred labels and columns are then some 50 MB.
_BATCH = 512
_BACKGROUND = 64


def explain(con: duckdb.DuckDBPyConnection, settings: Settings, model_id: str, track_ids: Sequence[str]) -> pd.DataFrame:
    """Explain the likeliest label of each track.

    Returns:
        Columns track_id, model_id, genre, feature, value (what the model saw, where it is one number), contribution (to the
        probability, 0..1). The feature '(all tracks)' is what the model says where it knows nothing of the track, '(calibration)'
        what calibration changes; with them the contributions of a track add up to its label's probability. Strongest first.

    Raises:
        BadInput: there is no such model or track.
        SoundScopeError: the model's file is damaged.
    """
    stored = registry.load(settings.paths.models, model_id, registry.recorded_hash(con, model_id))
    tables = list(explain_batches(con, stored, track_ids))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def explain_batches(
    con: duckdb.DuckDBPyConnection, stored: registry.Stored, track_ids: Sequence[str], catalogue: Catalogue | None = None
) -> Iterator[pd.DataFrame]:
    """As `explain`, with a loaded model, some hundred tracks at a time.

    Raises:
        BadInput: there is no such track, or nothing that a model may use is known of it.
    """
    wanted = list(dict.fromkeys(track_ids))
    if not wanted:
        return
    catalogue = catalogue or read_catalogue(con, TRACKS_SQL)
    background = add_context(
        con.execute(f"select * from ({TRACKS_SQL}) tracks where train_ok order by md5(track_id) limit {_BACKGROUND}").df(),
        catalogue,
    )
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        rows = con.execute(
            f"select * from ({TRACKS_SQL}) tracks where train_ok and list_contains($ids, track_id) order by track_id",
            {"ids": some},
        ).df()
        missing = sorted(set(some) - set(rows["track_id"]))
        if missing:
            raise BadInput(
                f"No audio features that a model may use for {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}.",
                next_step='look tracks up with: soundscope sql "select track_id, title from marts.track_features where train_ok"',
            )
        rows = rows.set_index("track_id").reindex(some).reset_index()
        yield _told(stored, add_context(rows, catalogue), background)


def _told(stored: registry.Stored, frame: pd.DataFrame, background: pd.DataFrame) -> pd.DataFrame:
    parts, values, label, _ = attribution(stored.model, frame, background)
    n = len(frame)
    table = pd.DataFrame(
        {
            "track_id": np.tile(frame["track_id"].to_numpy(dtype=object), len(parts)),
            "model_id": stored.model_id,
            "genre": np.tile(stored.model.classes_.astype(str)[label], len(parts)),
            "feature": np.repeat(np.array(list(parts), dtype=object), n),
            "value": np.concatenate([values.get(name, np.full(n, np.nan)) for name in parts]),
            "contribution": np.concatenate(list(parts.values())),
            "place": np.tile(np.arange(n), len(parts)),
        }
    )
    table["size"] = -table["contribution"].abs()
    return table.sort_values(["place", "size"], kind="stable", ignore_index=True)[COLUMNS]


def attribution(
    model: Candidate, frame: pd.DataFrame, background: pd.DataFrame
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]], NDArray[np.intp], NDArray[np.float64]]:
    """Divide the calibrated probability of each row's likeliest label among features.

    Args:
        model: a fitted candidate.
        frame: rows (n) as for `predict_proba`.
        background: rows that stand for an unknown track, for models that are divided by sampling.

    Returns:
        {feature: contribution (n,)} that add up to the probability; {feature: value (n,)}, where it is one number; label (n,), column
        of the likeliest; its probability (n,).
    """
    proba = model.predict_proba(frame)
    label = proba.argmax(axis=1)
    best = proba[np.arange(len(frame)), label]
    if isinstance(model, Tabular) and isinstance(model.fitted_, CompactForest):
        named, start = _by_paths(model, model.inputs_of(frame), label)
    elif isinstance(model, Tabular) and not (isinstance(model.fitted_, BoostedTrees) or hasattr(model.fitted_, "coef_")):
        named, start = attribute.by_sampling(
            model._raw, model.inputs_of(frame), model.inputs_of(background), _columns(model.columns_), label
        )
    else:
        named, start = _by_logits(model, frame, label)
    parts: dict[str, NDArray[np.float64]] = {BASE: start}
    for name, values in named.items():
        told = features.told_as(name)
        parts[told] = parts.get(told, np.zeros(len(frame))) + values
    parts[CALIBRATION] = best - np.sum(list(parts.values()), axis=0)
    shown: pd.DataFrame = matrix(frame, model.inputs, model.popularity)  # type: ignore[attr-defined]
    return parts, {str(name): shown[name].to_numpy(dtype=np.float64) for name in shown if name in parts}, label, best


def _columns(names: Sequence[str]) -> dict[str, list[int]]:
    out: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        out.setdefault(features.told_as(name), []).append(column)
    return out


def _by_paths(
    model: Tabular, X: NDArray[np.float64], label: NDArray[np.intp]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    moves = _paths(model.fitted_, X, np.searchsorted(model.fitted_.classes_.astype(int), label))
    return _by_name(model.columns_, moves), moves[:, -1]


def _paths(forest: CompactForest, X: NDArray[np.float64], label: NDArray[np.intp]) -> NDArray[np.float64]:
    """Contributions (n, d + 1) to the forest's share of each row's own label."""
    out = np.zeros((len(X), X.shape[1] + 1))
    for one in np.unique(label):
        out[label == one] = forest.contributions(X[label == one], int(one))
    return out


def _by_name(names: Sequence[str], moves: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    out: dict[str, NDArray[np.float64]] = {}
    for column, name in enumerate(names):
        out[name] = out.get(name, np.zeros(len(moves))) + moves[:, column]
    return out


def _by_logits(
    model: Candidate, frame: pd.DataFrame, label: NDArray[np.intp]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    temperature = model.calibration_.temperature_  # type: ignore[attr-defined]
    parts = {name: part / temperature for name, part in contributions(model, frame)[0].items()}
    if isinstance(model, Tabular):
        # A class that came only with the held rows has no logit.
        label = np.searchsorted(model.fitted_.classes_.astype(int), label)
    named, start, _ = attribute.of_logits({n: p for n, p in parts.items() if n != BASE}, parts[BASE], label)
    if isinstance(model, EvidenceEnsemble) and FOREST in named:
        forest = next(one for one in model.models_ if isinstance(one, CompactForest))
        moves = _paths(forest, model.inputs_of(frame), label)[:, :-1]
        divided = attribute.in_proportion(named.pop(FOREST), moves)
        for name, values in _by_name([str(c) for c in model.columns_], divided).items():
            named[name] = named.get(name, np.zeros(len(frame))) + values
    return named, start


def contributions(model: Candidate, frame: pd.DataFrame) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Contributions (n, K) to the centred logits by feature, `BASE` among them, and the values (n,) of features that are one number.

    Raises:
        BadInput: the model is neither linear nor boosted trees nor an ensemble.
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
            f"The logits of a {type(getattr(model, 'fitted_', model)).__name__} are no sum over its inputs.",
            next_step="use `attribution`, which divides its probability.",
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
    out = {BASE: np.tile(model.pool_.bias_, (len(frame), 1))}
    for number, one in enumerate(model.models_):
        weight, whole = float(model.pool_.weights_[number]), named.pop(f"model {number}")
        if isinstance(one, BoostedTrees):
            for name, part in _trees(one, model.inputs_of(frame), [str(c) for c in model.columns_]).items():
                out[name] = out.get(name, np.zeros_like(whole)) + weight * part
        else:
            # What the forest says of the average row belongs to all tracks.
            prior = weight * np.log(np.maximum(one.prior(), FLOOR))
            out[BASE] = out[BASE] + prior
            out[FOREST] = whole - prior
    return out | {f"labels by {name}": part for name, part in named.items()}
