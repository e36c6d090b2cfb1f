"""Whether the tracks a model meets still look like those it was trained on: population stability by week, of features and predictions.

PSI = sum over bins of (q - p) log(q / p), with training shares p and present shares q over the deciles of the training rows and one
bin for missing values (Siddiqi 2006, Credit Risk Scorecards; there below 0.1 counts as steady, above 0.25 as shifted). Without any
shift PSI is about (1/n + 1/m) times a chi-squared of bins - 1 degrees (Yurdakul 2018, "Statistical properties of population stability
index"), so a level other than 'none' needs a value beyond that noise too.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from soundscope.genre import features, registry
from soundscope.genre.candidates import Candidate
from soundscope.genre.data import TRACKS_SQL
from soundscope.settings import Settings

WATCHED = (*features.AUDIO, "popularity")
PREDICTION, CONFIDENCE = "prediction", "confidence"
WATCH, ALARM = 0.10, 0.25
# Two false levels in a hundred thousand points: some years of weeks times features.
_CHANCE = 2e-5
# Fewer tracks than this, counted as independent ones, say nothing; a point looks back over earlier weeks until it has them.
_LEAST, _ENOUGH, _MOST_WEEKS = 50, 150, 13
# Tracks of one artist are alike: the correlation of an audio feature within an artist, assumed.
_ALIKE = 0.3
# Labels rarer than this in the baseline are watched together.
_RARE = 0.02
_OTHER = "(others)"
COLUMNS = ["model_id", "feature", "as_of", "psi", "level", "n", "n_effective", "n_weeks", "noise", "is_held_back", "measured_at"]

# When the features in use were measured: a track is met then, and met again if it is measured anew.
_MET_SQL = f"""
select tracks.*, date_trunc('week', measured.fetched_at)::date as week
from ({TRACKS_SQL}) tracks
join marts.track_features f on f.track_id = tracks.track_id
join core.audio_features measured on measured.track_id = f.feature_track_id and measured.provider = f.feature_provider
where tracks.train_ok and measured.fetched_at >= $since
"""


def reference(frame: pd.DataFrame, model: Candidate | None = None) -> dict[str, Any]:
    """What a model's card keeps of its training rows to compare with, as JSON values.

    Args:
        frame: the training rows, with the columns of `features.COLUMNS`.
        model: the fitted candidate; its predictions of the held rows, before those trained it, are the baseline of its predictions.

    Returns:
        {feature: {'edges': inner decile edges, 'counts': rows per bin, missing last, 'n_effective'}}; for 'prediction'
        {'labels', 'counts', 'n_effective'}, the last count that of all rarer labels.
    """
    out: dict[str, Any] = {}
    weight = effective(features.text(frame, "artist")) / max(len(frame), 1)
    for name in WATCHED:
        values = features.numbers(frame, name).to_numpy()
        if (~np.isnan(values)).any():
            out[name] = _binned(values) | {"n_effective": weight * len(values)}
    said = getattr(model, "held_said_", None)
    if model is not None and said is not None and len(said):
        counts = np.bincount(said, minlength=len(model.classes_))
        kept = np.flatnonzero(counts >= _RARE * len(said))
        labels = [str(model.classes_[at]) for at in kept]
        rest = len(said) - counts[kept].sum()
        out[PREDICTION] = {"labels": labels, "counts": [*counts[kept].tolist(), int(rest)], "n_effective": weight * len(said)}
        sure = np.asarray(model.held_sure_, dtype=np.float64)
        out[CONFIDENCE] = _binned(sure) | {"n_effective": weight * len(said)}
    return out


def _binned(values: NDArray[np.float64]) -> dict[str, Any]:
    edges = np.unique(np.quantile(values[~np.isnan(values)], np.linspace(0.1, 0.9, 9)))
    return {"edges": edges.tolist(), "counts": _counts(values, edges).tolist()}


def _counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    missing = np.isnan(values)
    inside = np.bincount(np.searchsorted(edges, values[~missing], side="right"), minlength=len(edges) + 1)
    return np.append(inside, missing.sum())


def effective(artist: pd.Series) -> float:
    """How many independent tracks the tracks of these artists (n,) are worth: n / (1 + r (mean size of a track's artist - 1))."""
    n = len(artist)
    if n == 0:
        return 0.0
    sizes = artist.value_counts().to_numpy(dtype=np.float64)
    return float(n / (1 + _ALIKE * ((sizes**2).sum() / n - 1)))


def psi(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """Population stability index of shares (b,) against shares (b,); empty bins count as 1 in 10,000."""
    p, q = np.maximum(expected, 1e-4), np.maximum(actual, 1e-4)
    return float(((q - p) * np.log(q / p)).sum())


def level_of(value: float, noise: float, n_effective: float) -> str:
    """none, watch (0.1 or more) or alarm (0.25 or more); none where the value is within noise or tracks are too few."""
    if n_effective < _LEAST or value <= noise:
        return "none"
    return "alarm" if value >= ALARM else "watch" if value >= WATCH else "none"


def weekly(met: pd.DataFrame, kept: dict[str, Any], since: Any = None) -> pd.DataFrame:
    """Stability of every watched feature at the end of each week in which tracks were met.

    A point is made of the week's tracks, and of those of the weeks before it, up to 13 in all, until it has 150 (counted as
    independent ones); with fewer than 50 it is held back: its level is none.

    Args:
        met: tracks the model was not trained on: week (Monday), artist, the features, and prediction and confidence where known.
        kept: what `reference` kept.
        since: first week to give a point for; all if None.

    Returns:
        Columns feature, as_of (Monday of the week), psi, level, n, n_effective, n_weeks, noise (what chance alone reaches once in
        50,000 points), is_held_back.
    """
    rows = []
    weeks = sorted(met["week"].unique())
    by_week = dict(list(met.groupby("week")))
    for place, week in enumerate(weeks):
        if since is not None and week < since:
            continue
        earliest = week - timedelta(weeks=_MOST_WEEKS - 1)
        point, first = by_week[week], week
        for earlier in reversed(weeks[:place]):
            if earlier < earliest or effective(point["artist"]) >= _ENOUGH:
                break
            point, first = pd.concat([point, by_week[earlier]]), earlier
        n_weeks = (week - first).days // 7 + 1
        rows += [(*found, week, n_weeks) for found in _point(point, kept)]
    columns = ["feature", "psi", "level", "n", "n_effective", "noise", "is_held_back", "as_of", "n_weeks"]
    return pd.DataFrame(rows, columns=columns)


def _point(point: pd.DataFrame, kept: dict[str, Any]) -> list[tuple[str, float, str, int, float, float, bool]]:
    out = []
    for name, past in kept.items():
        if name not in point:
            continue
        here = point[point[name].notna()] if name in (PREDICTION, CONFIDENCE) else point
        if here.empty:
            continue
        if name == PREDICTION:
            at = {label: place for place, label in enumerate(past["labels"])}
            places = here[name].map(at).fillna(len(at)).astype(int)
            counts = np.bincount(places, minlength=len(at) + 1)
        else:
            counts = _counts(features.numbers(here, name).to_numpy(), np.array(past["edges"]))
        n_effective = effective(here["artist"])
        noise = _noise(np.array(past["counts"]), counts, past["n_effective"], n_effective)
        found = psi(_shares(np.array(past["counts"])), _shares(counts))
        held = n_effective < _LEAST
        out.append((name, found, level_of(found, noise, n_effective), len(here), n_effective, noise, held))
    return out


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Half a track in every bin: an empty one of few tracks is no proof that nothing falls there."""
    smoothed = counts + 0.5
    return smoothed / smoothed.sum()


def _noise(past: NDArray[Any], now: NDArray[Any], n_past: float, n_now: float) -> float:
    used = max(int(((past > 0) | (now > 0)).sum()) - 1, 1)
    return float(chi2.ppf(1 - _CHANCE, used) * (1 / max(n_past, 1.0) + 1 / max(n_now, 1.0)))


def drift(con: duckdb.DuckDBPyConnection, settings: Settings, model_id: str, now: datetime) -> pd.DataFrame:
    """Points of the current week and those missing so far, of the last year, for one model. Weeks that are over stay as they were found.

    Tracks (and recordings) that the model was trained on are left out, so no point is part of its own baseline.

    Returns:
        The columns `COLUMNS`, only rows that are new or differ from those in `raw.drift`; none if nothing was met.

    Raises:
        BadInput: there is no such model.
    """
    held = registry.read_card(settings.paths.models, model_id).get("reference", {})
    # Cards of an earlier version kept shares without counts; such a model has no drift until its successor comes.
    kept = {name: past for name, past in held.items() if "counts" in past}
    if not kept:
        return pd.DataFrame(columns=COLUMNS)
    known = _known(con, model_id)
    since = known["as_of"].max() if len(known) else None
    met = con.execute(_MET_SQL, {"since": now - timedelta(weeks=52 + _MOST_WEEKS)}).df()
    models = settings.paths.models
    seen = registry.has_seen(models, model_id, met["track_id"]) | registry.has_seen(models, model_id, met["recording_id"])
    met = met[~seen].merge(_said(con, model_id), on="track_id", how="left")
    met["week"] = pd.to_datetime(met["week"]).dt.date
    met["artist"] = features.text(met, "artist").str.strip().str.casefold()
    found = weekly(met, kept, since)
    found = found.merge(known, on=["feature", "as_of"], how="left", suffixes=("", "_known"))
    same = np.isclose(found["psi"].astype(float), found["psi_known"].astype(float)) & (found["n"] == found["n_known"])
    return found[~same].assign(model_id=model_id, measured_at=now)[COLUMNS].reset_index(drop=True)


def _known(con: duckdb.DuckDBPyConnection, model_id: str) -> pd.DataFrame:
    columns = ["feature", "as_of", "psi", "n"]
    if not registry.has_table(con, "raw", "drift"):
        return pd.DataFrame(columns=columns)
    rows = con.execute(
        "select feature, as_of, psi, n from raw.drift where model_id = ? "
        "qualify row_number() over (partition by feature, as_of order by measured_at desc, row_no desc) = 1",
        [model_id],
    ).fetchall()
    return pd.DataFrame(rows, columns=columns)


def _said(con: duckdb.DuckDBPyConnection, model_id: str) -> pd.DataFrame:
    """track_id, prediction and confidence: the model's newest likeliest label of each track."""
    schema = next((name for name in ("raw", "ml") if registry.has_table(con, name, "predictions")), None)
    if schema is None:
        return pd.DataFrame({"track_id": [], PREDICTION: [], CONFIDENCE: []}).astype({"track_id": object})
    return con.execute(
        f"select track_id, arg_max(genre, scored_at) as {PREDICTION}, arg_max(probability, scored_at) as {CONFIDENCE} "
        f"from {schema}.predictions where model_id = ? and rank = 1 group by track_id",
        [model_id],
    ).df()
