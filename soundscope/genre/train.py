"""One training run: fit the candidates, measure them on the frozen rows, let the gate decide on the best.

Returns rows for the caller to land; the only thing written is the model folders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.errors import SoundScopeError
from soundscope.genre import candidates, gate, protocols, record, registry, report, splits, tune
from soundscope.genre.data import TrainingSet, count_labelled, load_training
from soundscope.genre.evaluate import Evaluation, align, evaluate, majority
from soundscope.genre.importance import permutation_importance
from soundscope.genre.protocols import HELD_FOLD
from soundscope.settings import Settings
from soundscope.spread import IN_TURN, Spread


@dataclass(frozen=True)
class TrainOutcome:
    """What a training run gave.

    rows: raw table -> rows to land (model_runs, model_metrics, confusion). model_id: the champion after this run, None if there is
    none. verdict: promoted, refused or not_trained. report: the whole story in text.
    """

    rows: dict[str, pd.DataFrame]
    model_id: str | None
    verdict: str
    report: str


def train(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    release_id: str,
    now: datetime,
    champion: str | None,
    *,
    why: str | None = None,
    names: Sequence[str] | None = None,
    spread: Spread = IN_TURN,
) -> TrainOutcome:
    """Train on a built release and decide which model scores from now on.

    The candidates are fitted without the frozen fold; the one with the smallest log-loss on the held fold is the challenger, and only
    then is the frozen fold looked at. Before that their settings are tuned (`tune.py`), if that is asked for. The challenger and the baseline are also measured under the other splits (`protocols.py`).

    Args:
        con: a connection to the build; only read.
        settings: `settings.train` says what and how; models go to `settings.paths.models`.
        release_id: the release the rows come from.
        now: naive UTC; names the models.
        champion: the current champion of this target, or None.
        why: what made this training due, for verdict and report.
        names: the candidates, the baseline first; by default all that rows and labels allow (`candidates.names_for`).
        spread: where candidates are fitted, and folds of the other splits; the result is the same wherever.

    Too few trainable rows are no error: the outcome is `not_trained`, with counts, and the champion stays.

    Raises:
        BadInput: the target is unknown.
        SoundScopeError: a model cannot be stored.
    """
    data = load_training(con, settings.train.target, settings.train.min_class_rows)
    labelled = count_labelled(con, settings.train.target)
    run = record.Run(data, settings, release_id, now, record.licences(con, data), why, labelled)
    folds = data.folds("recording")
    problem = _too_little(data, folds, settings.train.min_rows)
    if problem:
        rows, told = run.not_trained(problem, champion)
        return TrainOutcome(rows, champion, "not_trained", told)
    n_classes = len(data.classes)
    names = names or candidates.names_for(len(data), n_classes)
    threads, seed = settings.engine.threads, settings.train.seed
    minutes, trials = settings.train.tune_minutes, settings.train.tune_trials
    tuned = (
        tune.tune(data, names, folds, minutes=minutes, trials=trials, threads=threads, seed=seed) if minutes or trials else None
    )
    fit = partial(_fit, data=data, folds=folds, tuned=tuned, threads=threads, seed=seed)
    trained = spread("fit", fit, {f"fit {name}": (name, run.model_id(name)) for name in names})
    challenger = min(trained, key=lambda one: one.model.held_log_loss_)
    # Only of the model that may come to be used: shuffling each input in turn costs more than fitting the small candidates.
    challenger.importance = _importance(challenger, data, settings.train.seed)
    for one in trained:
        _store(one, run)
    shown = [one for one in trained if one.algorithm in (candidates.BASELINE, challenger.algorithm)]
    if protocols.is_affordable(len(data), n_classes):
        _measure_elsewhere(shown, partial(_under_split, data=data, threads=threads, seed=seed), tuned, spread)
    reigning, note = _load(settings, champion, data.target)
    verdict = _judge(challenger, reigning, run, folds)
    rows = run.rows(trained, challenger, verdict, reigning)
    stays = challenger.model_id if verdict.promoted else champion
    return TrainOutcome(
        rows, stays, "promoted" if verdict.promoted else "refused", report.training(run, trained, challenger, verdict, note)
    )


def _too_little(data: TrainingSet, folds: NDArray[np.int64], min_rows: int) -> str | None:
    if len(data) < min_rows:
        return f"{len(data)} trainable rows, {min_rows} are needed"
    if len(data.classes) < 2:
        return f"only one {data.target}, {', '.join(data.classes)}"
    if len(set(data.label[folds > HELD_FOLD])) < 2 or not (folds == splits.FROZEN_FOLD).any():
        return f"{data.recording.nunique()} recordings are too few to keep some for measuring"
    return None


def _fit(
    which: tuple[str, str], *, data: TrainingSet, folds: NDArray[np.int64], tuned: tune.Tuning | None, threads: int, seed: int
) -> record.Trained:
    """Fit one candidate (name and id), with the settings that tuning chose, without the frozen fold and measure it there."""
    name, model_id = which
    rows, frozen = np.flatnonzero(folds != splits.FROZEN_FOLD), np.flatnonzero(folds == splits.FROZEN_FOLD)
    frame, label = data.frame.iloc[rows].reset_index(drop=True), data.label[rows]
    inputs = candidates.inputs_for(name)
    chosen = tuned.parameters(name) if tuned else {}
    model = candidates.make(
        name, len(rows), len(set(label)), inputs=inputs, threads=threads, seed=seed % 2**31, parameters=chosen
    )
    model.fit(frame, label, data.recording.iloc[rows].reset_index(drop=True), folds[rows] == HELD_FOLD)
    proba = model.predict_proba(data.frame.iloc[frozen].reset_index(drop=True))
    known = [str(c) for c in model.classes_]
    frequencies, frequent = majority(label, len(frozen))
    unmet = ~data.artist.iloc[frozen].isin(set(data.artist.iloc[rows])).to_numpy()
    splits_of = {"recording": np.ones(len(frozen), dtype=bool), "recording_unseen_artist": unmet}
    one = record.Trained(
        model_id=model_id,
        algorithm=name,
        inputs=inputs,
        model=model,
        frozen=frozen,
        proba=proba,
        majority=align(frequencies, frequent, known),
        n_train=len(rows),
        settings=candidates.settings_of(name, len(rows), len(set(label))) | chosen,
        tuning=tuned,
        evaluations={
            split: evaluate(
                data.label[frozen[on]],
                proba[on],
                known,
                data.recording.iloc[frozen[on]],
                [data.labels[row] for row in frozen[on]],
                seed=seed,
            )
            for split, on in splits_of.items()
            if on.any()
        },
    )
    return one


def _measure_elsewhere(
    shown: list[record.Trained],
    measure: Callable[[tuple[str, candidates.Inputs, splits.Scheme, dict[str, Any]]], Evaluation | None],
    tuned: tune.Tuning | None,
    spread: Spread,
) -> None:
    """Add the figures of models under the other splits: each a fit of its own."""
    pairs = [(one, scheme) for one in shown for scheme in protocols.OTHER_SCHEMES]
    parts = {
        f"{one.algorithm}, split {scheme}": (one.algorithm, one.inputs, scheme, tuned.parameters(one.algorithm) if tuned else {})
        for one, scheme in pairs
    }
    for (one, scheme), figures in zip(pairs, spread("cross-validate", measure, parts), strict=True):
        if figures is not None:
            one.evaluations[str(scheme)] = figures


def _under_split(
    which: tuple[str, candidates.Inputs, splits.Scheme, dict[str, Any]], *, data: TrainingSet, threads: int, seed: int
) -> Evaluation | None:
    name, inputs, scheme, chosen = which
    return protocols.under_split(scheme, data, name, inputs, threads=threads, seed=seed, parameters=chosen)


def _store(one: record.Trained, run: record.Run) -> None:
    """Write a model's folder; it says of which tracks and recordings the model has been trained."""
    trained_on = np.setdiff1d(np.arange(len(run.data)), one.frozen)
    seen = np.concatenate([registry.keys(names.iloc[trained_on]) for names in (run.data.track_id, run.data.recording)])
    one.sha256 = registry.save(run.settings.paths.models, one.model_id, one.model, run.card(one), seen)


def _importance(one: record.Trained, data: TrainingSet, seed: int) -> pd.DataFrame:
    rows = one.frozen
    return permutation_importance(
        one.model, data.frame.iloc[rows].reset_index(drop=True), data.label[rows], data.recording.iloc[rows], seed=seed
    )


def _load(settings: Settings, champion: str | None, target: str) -> tuple[registry.Stored | None, str]:
    """The champion, if it can be compared with; otherwise why not, in words."""
    if champion is None:
        return None, "There was no champion."
    try:
        stored = registry.load(settings.paths.models, champion)
    except SoundScopeError as error:
        return None, f"The champion {champion} could not be loaded, so there was nothing to compare with: {error.message}"
    if stored.card.get("target") != target:
        return None, f"The champion {champion} predicts {stored.card.get('target')}, not {target}: not compared."
    return stored, f"Champion so far: {champion}."


def _judge(
    challenger: record.Trained, reigning: registry.Stored | None, run: record.Run, folds: NDArray[np.int64]
) -> gate.Verdict:
    """The gate's verdict on the frozen rows that neither model was trained on."""
    data, rows, seed = run.data, challenger.frozen, run.settings.train.seed
    names = data.classes
    own, floor = (align(p, list(challenger.model.classes_), names) for p in (challenger.proba, challenger.majority))
    if reigning is None:
        return gate.decide(data.label[rows], own, floor, names, data.recording.iloc[rows], seed=seed)
    models = run.settings.paths.models
    met = registry.has_seen(models, reigning.model_id, data.track_id.iloc[rows])
    met |= registry.has_seen(models, reigning.model_id, data.recording.iloc[rows])
    fair = rows[~met]
    if len(fair) == 0:
        return gate.Verdict(False, f"the champion was trained on all {len(rows)} frozen rows; nothing is left to compare on")
    old = reigning.model.predict_proba(data.frame.iloc[fair].reset_index(drop=True))
    return gate.decide(
        data.label[fair],
        own[~met],
        floor[~met],
        names,
        data.recording.iloc[fair],
        align(old, [str(c) for c in reigning.model.classes_], names),
        seed=seed,
    )
