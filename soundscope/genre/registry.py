"""Trained models as files: `<models>/<model_id>/` with `model.skops` and `card.json`, complete or absent.

skops stores plain data and the names of types; loading builds only types of the list below, so a model file cannot run code (which
pickle could). Which model is champion is a row of the warehouse, not a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from soundscope.errors import BadInput, SoundScopeError

if TYPE_CHECKING:
    from soundscope.genre.candidates import Candidate

MODEL_FILE = "model.skops"
CARD_FILE = "card.json"
SEEN_FILE = "seen.npy"
# Our own estimators, and what scikit-learn's keep inside.
ALLOWED = (
    "soundscope.genre.boosting.BoostedTrees",
    "soundscope.genre.calibrate.Calibration",
    "soundscope.genre.candidates.Tabular",
    "soundscope.genre.ensemble.EvidenceEnsemble",
    "soundscope.genre.evidence.LabelEvidence",
    "soundscope.genre.forest.CompactForest",
    "soundscope.genre.pool.Pool",
    "soundscope.genre.softmax.SoftmaxRegression",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "numpy.dtype",
    "scipy.sparse._csr.csr_matrix",
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Stored:
    """A model that was loaded: its id, the candidate, its card, and the SHA-256 of its file."""

    model_id: str
    model: Candidate
    card: dict[str, Any]
    sha256: str


def keys(names: pd.Series) -> NDArray[np.uint64]:
    """64-bit hashes (n,) of names (n,), the same in every process."""
    return pd.util.hash_array(names.astype(str).to_numpy(dtype=object)).astype(np.uint64)


def save(models: Path, model_id: str, model: Candidate, card: dict[str, Any], seen: NDArray[np.uint64] | None = None) -> str:
    """Store a model and its card whole: written aside, then renamed.

    Args:
        models: the folder of models, `settings.paths.models`.
        model_id: name of the model; letters, digits, dot, dash, underscore.
        model: the fitted candidate.
        card: what a reader must know of it; JSON. `sha256` is added.
        seen: `keys` of the tracks and recordings it was trained on, so that it is never compared on one of them.

    Returns:
        The SHA-256 of the model file, in hex.

    Raises:
        BadInput: the id cannot name a folder.
        SoundScopeError: a model of that id exists, or the files cannot be written.
    """
    folder = _folder(models, model_id)
    if folder.exists():
        raise SoundScopeError(
            f"Model {model_id} exists already in {models}.", next_step="train again in a second; ids hold the time."
        )
    import skops.io  # two seconds, which a run with nothing new saves

    aside = models / f".{model_id}.{os.getpid()}"
    content = skops.io.dumps(model, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        (aside / MODEL_FILE).write_bytes(content)
        np.save(aside / SEEN_FILE, np.unique(np.array([], dtype=np.uint64) if seen is None else seen), allow_pickle=False)
        text = json.dumps({**card, "model_id": model_id, "sha256": sha256}, indent=2, sort_keys=True, default=str)
        (aside / CARD_FILE).write_text(text + "\n", encoding="utf-8")
        aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise SoundScopeError(
            f"Model {model_id} could not be stored in {models}: {error.strerror}.",
            next_step="free space or fix permissions, train again.",
        ) from error
    return sha256


def load(models: Path, model_id: str, sha256: str | None = None) -> Stored:
    """Load a model after checking its hash and every type in it.

    Args:
        models: the folder of models.
        model_id: name of the model.
        sha256: the hash the warehouse recorded; the card's is checked in any case.

    Raises:
        BadInput: there is no such model, or the id cannot name a folder.
        SoundScopeError: a file is damaged, was changed, or holds a type that is not allowed.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    folder = _folder(models, model_id)
    again = "train a new model (soundscope train), or restore the folder from a backup."
    if not (folder / MODEL_FILE).exists():
        raise BadInput(f"There is no model {model_id} in {models}.", next_step="list the models with: soundscope models")
    content = (folder / MODEL_FILE).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    card = read_card(models, model_id)
    for source, expected in (("its card", card.get("sha256")), ("the warehouse", sha256)):
        if expected is not None and expected != found:
            raise SoundScopeError(
                f"Model {model_id}: {MODEL_FILE} has SHA-256 {found[:12]}…, but {source} says {str(expected)[:12]}…; the file was changed.",
                next_step=again,
            )
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - set(ALLOWED))
        if foreign:
            raise SoundScopeError(
                f"Model {model_id}: {MODEL_FILE} holds types that are not allowed: {', '.join(foreign)}.", next_step=again
            )
        model = skops.io.loads(content, trusted=list(ALLOWED))
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, UntrustedTypesFoundException, EOFError) as error:
        raise SoundScopeError(f"Model {model_id}: {MODEL_FILE} is damaged ({error}).", next_step=again) from error
    return Stored(model_id, model, card, found)


def trouble(models: Path, model_id: str, sha256: str | None = None) -> str | None:
    """What is wrong with a stored model's file, told in words; None if its bytes are those that were stored.

    Args:
        models, model_id, sha256: as for `load`.
    """
    file = _folder(models, model_id) / MODEL_FILE
    try:
        with file.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError:
        return f"the file of model {model_id} is missing"
    except OSError as error:
        return f"the file of model {model_id} cannot be read ({error.strerror})"
    try:
        # A warehouse made anew has no record of the model yet; the card beside the file always has.
        promised = {sha256, read_card(models, model_id).get("sha256")} - {None}
    except SoundScopeError as error:
        return f"the card of model {model_id} cannot be used ({str(error).splitlines()[0]})"
    return f"the file of model {model_id} is damaged" if promised - {found} else None


def read_card(models: Path, model_id: str) -> dict[str, Any]:
    """The card of a model.

    Raises:
        BadInput: there is no such model.
        SoundScopeError: the card is no JSON object.
    """
    file = _folder(models, model_id) / CARD_FILE
    if not file.exists():
        raise BadInput(f"There is no card of model {model_id} in {models}.", next_step="list the models with: soundscope models")
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SoundScopeError(f"{file} is damaged: {error}.", next_step="train a new model: soundscope train") from error
    if not isinstance(card, dict):
        raise SoundScopeError(f"{file} is damaged: no JSON object.", next_step="train a new model: soundscope train")
    return card


def has_seen(models: Path, model_id: str, names: pd.Series) -> NDArray[np.bool_]:
    """Whether the model was trained on each of these tracks or recordings (n,); all False if it kept no list."""
    file = _folder(models, model_id) / SEEN_FILE
    if not file.exists():
        return np.zeros(len(names), dtype=bool)
    return np.isin(keys(names), np.load(file, allow_pickle=False))


def champion(con: duckdb.DuckDBPyConnection, target: str = "genre") -> str | None:
    """Id of the newest promoted model of a target by `ml.model_runs`, or None."""
    row = con.execute(
        "select model_id from ml.model_runs where target = ? and is_champion order by trained_at desc, model_id limit 1", [target]
    ).fetchone()
    return None if row is None else str(row[0])


def recorded_hash(con: duckdb.DuckDBPyConnection, model_id: str) -> str | None:
    """The hash the warehouse recorded of a model's file, or None if it does not know the model."""
    if not has_table(con, "ml", "model_runs"):
        return None
    row = con.execute("select artefact_sha256 from ml.model_runs where model_id = ?", [model_id]).fetchone()
    return None if row is None else row[0]


def has_table(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Whether the database of the connection holds a table."""
    found = con.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ? and table_catalog = current_database()",
        [schema, table],
    ).fetchone()
    return bool(found and found[0])


def _folder(models: Path, model_id: str) -> Path:
    if not _ID.fullmatch(model_id):
        raise BadInput(f"{model_id!r} is no model id.", next_step="list the models with: soundscope models")
    return models / model_id
