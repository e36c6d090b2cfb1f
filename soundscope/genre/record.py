"""How a training run is written down: rows for the warehouse and model cards. The text a person reads is in `report.py`.

Nothing is fitted or decided here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.genre import drift, gate, report, splits
from soundscope.genre.calibrate import log_loss
from soundscope.genre.candidates import Candidate, Inputs
from soundscope.genre.data import TrainingSet
from soundscope.genre.evaluate import SURE_FROM, Evaluation
from soundscope.genre.gate import Verdict
from soundscope.genre.registry import Stored
from soundscope.genre.tune import Tuning
from soundscope.settings import Settings

_LIBRARIES = ("scikit-learn", "lightgbm", "skops", "numpy", "pandas", "scipy")


@dataclass
class Trained:
    """One fitted candidate and what was found of it on the frozen rows.

    frozen (m,): their positions in the training set. proba, majority (m, K): the model's and the label frequencies' probabilities in
    the model's class order. evaluations: split -> figures. inputs: what it looks at. settings: of the classifier. sha256: of the stored file. tuning: how its settings
    were chosen, None if they were not. importance: what `permutation_importance` gave, empty for a model that is not the challenger.
    """

    model_id: str
    algorithm: str
    inputs: Inputs
    model: Candidate
    frozen: NDArray[np.intp]
    proba: NDArray[np.float64]
    majority: NDArray[np.float64]
    n_train: int
    evaluations: dict[str, Evaluation]
    settings: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    tuning: Tuning | None = None
    importance: pd.DataFrame = field(default_factory=pd.DataFrame)


def licences(con: duckdb.DuckDBPyConnection, data: TrainingSet) -> dict[str, str]:
    """Licences of the audio features per provider that trains."""
    rows = con.execute(
        "select provider, string_agg(distinct licence, ', ' order by licence) from core.audio_features where train_ok group by provider"
    ).fetchall()
    return {provider: licence for provider, licence in rows if provider in data.providers}


@dataclass(frozen=True)
class Run:
    """What all models of one training run share; why: what made it due; n_labelled: labelled tracks, rare labels among them."""

    data: TrainingSet
    settings: Settings
    release_id: str
    now: datetime
    licences: dict[str, str]
    why: str | None = None
    n_labelled: int = 0

    def model_id(self, algorithm: str) -> str:
        """'<target>-<algorithm>-<yyyymmddThhmmss>'."""
        return f"{self.data.target}-{algorithm}-{self.now:%Y%m%dT%H%M%S}"

    def card(self, one: Trained) -> dict[str, Any]:
        """What a reader of the model must know, as JSON values."""
        whole = one.evaluations["recording"].metrics
        return {
            "target": self.data.target,
            "algorithm": one.algorithm,
            "trained_at": self.now.isoformat(timespec="seconds") + "Z",
            "release_id": self.release_id,
            "profile": self.settings.profile,
            "n_train": one.n_train,
            "classes": [str(c) for c in one.model.classes_],
            "providers": self.data.providers,
            "licences": self.licences,
            "left_out": self.data.left_out,
            "inputs": one.inputs,
            "features": list(getattr(one.model, "columns_", [])),
            "split": {
                "scheme": "recording",
                "seed": splits.SPLIT_SEED,
                "folds": splits.FOLDS,
                "frozen": splits.FROZEN_FOLD,
                "measured_rows": len(one.frozen),
            },
            "figures": {
                row["metric"]: {name: _plain(row[name]) for name in ("value", "ci_low", "ci_high")}
                for row in whole[whole["class"] == "all"].to_dict("records")
            },
            "importance": {row["class"]: _plain(row["value"]) for row in one.importance.to_dict("records")},
            "settings": one.settings,
            "tuning": one.tuning.card(one.algorithm) if one.tuning else {},
            "not_sure_below": SURE_FROM,
            "reference": drift.reference(self.data.frame.drop(index=one.frozen.tolist()), one.model),
            "seed": self.settings.train.seed,
            "versions": {name: version(name) for name in _LIBRARIES},
            "meant_for": "suggesting labels for tracks of the same catalogue; not for judging artists, listeners or rights.",
        }

    def rows(
        self, trained: Sequence[Trained], challenger: Trained, verdict: Verdict, reigning: Stored | None
    ) -> dict[str, pd.DataFrame]:
        """The rows of model_runs, model_metrics and confusion, with the columns of the raw tables."""
        runs = []
        for one in trained:
            if one is challenger:
                reason = verdict.reason + (f"; trained because {self.why}" if self.why else "")
                runs.append(self._run(one, verdict.promoted, "promoted" if verdict.promoted else "refused", reason))
            elif problem := self._beaten(one):
                runs.append(self._run(one, False, "refused", problem))
            else:
                runs.append(self._run(one, False, "candidate", _set_aside(one, challenger)))
        if verdict.promoted and reigning is not None:
            runs.append(_retired(reigning, challenger.model_id))
        confusion = [
            found.confusion.assign(model_id=one.model_id, split=split)
            for one in trained
            for split, found in one.evaluations.items()
        ]
        return {
            "model_runs": pd.DataFrame(runs),
            "model_metrics": pd.concat([self._metrics(one) for one in trained], ignore_index=True),
            "confusion": pd.concat(confusion, ignore_index=True)[["model_id", "split", "true_genre", "predicted_genre", "n"]],
        }

    def _beaten(self, one: Trained) -> str | None:
        """Why a candidate is no use at all: label frequencies have the smaller log-loss on the frozen rows."""
        names = [str(c) for c in one.model.classes_]
        known = np.isin(self.data.label[one.frozen].astype(str), names)
        if not known.any():
            return None
        verdict = gate.admissible(self.data.label[one.frozen][known], one.proba[known], one.majority[known], names)
        return None if verdict.promoted else verdict.reason

    def not_trained(self, problem: str, champion: str | None) -> tuple[dict[str, pd.DataFrame], str]:
        """The single row, and the report, of a run that had too little to train on."""
        trainable = ", ".join(f"{name} {n:,}" for name, n in self.data.providers.items()) or "none"
        left_out = report.left_out_in_words(self.data.left_out) or "nothing"
        reason = f"Not trained: {problem}. Trainable: {trainable}. Left out: {left_out}."
        row = self._row(self.model_id("none"), "none", False, "not_trained", reason, len(self.data), len(self.data.classes), None)
        stays = f" The champion {champion} stays." if champion else ""
        return {"model_runs": pd.DataFrame([row])}, reason + stays

    def _run(self, one: Trained, is_champion: bool, verdict: str, reason: str) -> dict[str, Any]:
        return self._row(
            one.model_id, one.algorithm, is_champion, verdict, reason, one.n_train, len(one.model.classes_), one.sha256
        )

    def _row(
        self,
        model_id: str,
        algorithm: str,
        is_champion: bool,
        verdict: str,
        reason: str,
        n_train: int,
        n_classes: int,
        sha256: str | None,
    ) -> dict[str, Any]:
        return {
            "model_id": model_id,
            "trained_at": self.now,
            "target": self.data.target,
            "algorithm": algorithm,
            "is_champion": is_champion,
            "verdict": verdict,
            "reason": reason,
            "release_id": self.release_id,
            "n_train": n_train,
            "n_classes": n_classes,
            "provider_mix": json.dumps(self.data.providers, sort_keys=True),
            "artefact_sha256": sha256,
            "seed": self.settings.train.seed,
        }

    def _metrics(self, one: Trained) -> pd.DataFrame:
        tables = [found.metrics.assign(split=split) for split, found in one.evaluations.items()]
        names = [str(c) for c in one.model.classes_]
        truth = self.data.label[one.frozen].astype(str)
        # A label the model never met has no column; the baseline is measured on those it could have said.
        known = np.isin(truth, names)
        index = np.searchsorted(names, truth[known])
        baseline = {
            "majority_accuracy": float((truth == names[int(one.majority[0].argmax())]).mean()),
            "majority_log_loss": log_loss(one.majority[known], index),
            "n_labelled": float(self.n_labelled),
        }
        tables.append(
            pd.DataFrame({"metric": list(baseline), "class": "all", "value": list(baseline.values()), "split": "recording"})
        )
        tables.append(one.importance.assign(split="recording"))
        if one.tuning:
            tables.append(one.tuning.metrics(one.algorithm).assign(split="recording"))
        rows = pd.concat([table for table in tables if len(table)], ignore_index=True).assign(model_id=one.model_id)
        return rows[["model_id", "split", "metric", "class", "value", "ci_low", "ci_high"]]


def _set_aside(one: Trained, challenger: Trained) -> str:
    return (
        f"log-loss {one.model.held_log_loss_:.3f} on the held rows against {challenger.model.held_log_loss_:.3f} "
        f"of {challenger.model_id}, which was put forward instead"
    )


def _retired(old: Stored, successor: str) -> dict[str, Any]:
    card = old.card
    return {
        "model_id": old.model_id,
        "trained_at": datetime.fromisoformat(str(card["trained_at"]).removesuffix("Z")),
        "target": card["target"],
        "algorithm": card["algorithm"],
        "is_champion": False,
        "verdict": "retired",
        "reason": f"replaced by {successor}",
        "release_id": card["release_id"],
        "n_train": card["n_train"],
        "n_classes": len(card["classes"]),
        "provider_mix": json.dumps(card["providers"], sort_keys=True),
        "artefact_sha256": old.sha256,
        "seed": card["seed"],
    }


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
