"""From candidates to one answer per chart key: decisions, then identifiers, then names. Landing and joining are elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd

from soundscope.errors import BadInput
from soundscope.match import confidence as model
from soundscope.match.candidates import find
from soundscope.match.columns import date_column
from soundscope.match.decisions import apply_decisions
from soundscope.match.evidence import ArtistRelation, Evidence, TitleRelation, parse_name
from soundscope.match.ranking import rank
from soundscope.spread import IN_TURN, Spread

RULES_VERSION = "5"
KEY = ["title", "artist", "run_no"]
COLUMNS = [
    *KEY, "track_id", "status", "is_other_version", "method", "score", "runner_up_track_id", "runner_up_score", "decided_by", "reason",
]  # fmt: skip
DECIDED_BY = f"soundscope:{RULES_VERSION}"
_KEY_COLUMNS = ("title", "artist", "run_no")
_TRACK_COLUMNS = ("track_id", "title", "artist")


def match_keys(
    keys: pd.DataFrame, tracks: pd.DataFrame, decisions: pd.DataFrame | None = None, spread: Spread = IN_TURN
) -> pd.DataFrame:
    """Link chart keys to tracks.

    Args:
        keys: one row per `title`, `artist`, `run_no`; further `first_date`, `last_date`, `spotify_id` where known.
        tracks: one row per `track_id`; `title`, `artist` (first credited), `artists` (all, joined by `; `), and where known `spotify_id`,
            `isrc`, `album`, `release_date`, `duration_ms`, `popularity`.
        decisions: a person's decisions, see `soundscope.match.decisions`; they win.
        spread: where blocks of the catalogue are gone through.

    Returns:
        One row per key, in the order of `keys`, with the columns `COLUMNS`. `track_id` is empty for `unmatched` and, under `review`, the
        proposal. `score` is the calibrated probability (0..1) that the link is right. The result does not depend on the order of `tracks`.

    Raises:
        BadInput: a column is missing, a key appears twice, or a decision is not valid.
    """
    _check(keys, tracks)
    keys = keys.assign(title=keys["title"].fillna(""), artist=keys["artist"].fillna("")).reset_index(drop=True)
    result = _empty_result(keys)
    open_keys = apply_decisions(result, decisions, tracks)
    open_keys = _by_identifier(result, keys, tracks, open_keys)
    if len(open_keys) and len(tracks):
        _by_name(result, keys, tracks, open_keys, spread)
    return result


def open_keys(keys: pd.DataFrame, tracks: pd.DataFrame, decisions: pd.DataFrame | None) -> np.ndarray:
    """Positions of the keys that are left to names: neither a person nor an identifier answers them. Arguments as for `match_keys`."""
    keys = keys.assign(title=keys["title"].fillna(""), artist=keys["artist"].fillna("")).reset_index(drop=True)
    result = _empty_result(keys)
    return _by_identifier(result, keys, tracks, apply_decisions(result, decisions, tracks))


def _check(keys: pd.DataFrame, tracks: pd.DataFrame) -> None:
    for frame, name, needed in ((keys, "keys", _KEY_COLUMNS), (tracks, "tracks", _TRACK_COLUMNS)):
        missing = [column for column in needed if column not in frame]
        if missing:
            raise BadInput(
                f"The table of {name} has no column {', '.join(missing)}.", next_step=f"give it the columns {', '.join(needed)}."
            )
    twice = keys.duplicated(KEY)
    if twice.any():
        first = keys.loc[twice, KEY].iloc[0].tolist()
        raise BadInput(f"The chart key {first} appears twice.", next_step="give simultaneous runs of one name different run_no.")


def _empty_result(keys: pd.DataFrame) -> pd.DataFrame:
    n = len(keys)
    return pd.DataFrame(
        {
            "title": keys["title"].astype("str"),
            "artist": keys["artist"].astype("str"),
            "run_no": keys["run_no"].astype("int64"),
            "track_id": pd.Series([None] * n, dtype="str"),
            "status": pd.Series(["unmatched"] * n, dtype="str"),
            "is_other_version": np.zeros(n, dtype=bool),
            "method": pd.Series(["none"] * n, dtype="str"),
            "score": np.zeros(n),
            "runner_up_track_id": pd.Series([None] * n, dtype="str"),
            "runner_up_score": np.full(n, np.nan),
            "decided_by": pd.Series([DECIDED_BY] * n, dtype="str"),
            "reason": pd.Series(["no track with this name and artist"] * n, dtype="str"),
        }
    )[COLUMNS]


def _by_identifier(result: pd.DataFrame, keys: pd.DataFrame, tracks: pd.DataFrame, open_keys: np.ndarray) -> np.ndarray:
    """Links by an id that the chart itself carries."""
    for column, words in (("spotify_id", "Spotify id"), ("isrc", "ISRC")):
        if column not in keys or column not in tracks or not keys[column].notna().any():
            continue
        known = tracks.loc[tracks[column].notna(), [column, "track_id"]].sort_values("track_id").drop_duplicates(column)
        linked = keys[column].iloc[open_keys].map(known.set_index(column)["track_id"])
        at = open_keys[linked.notna().to_numpy()]
        result.loc[at, "track_id"] = linked.dropna().to_numpy()
        result.loc[at, "status"] = "matched"
        result.loc[at, "method"] = column
        result.loc[at, "score"] = model.IDENTIFIER_CONFIDENCE
        result.loc[at, "reason"] = f"the chart carries this {words}"
        open_keys = open_keys[linked.isna().to_numpy()]
    return open_keys


def _by_name(result: pd.DataFrame, keys: pd.DataFrame, tracks: pd.DataFrame, open_keys: np.ndarray, spread: Spread) -> None:
    wanted = keys.iloc[open_keys]
    unique = wanted[["title", "artist"]].drop_duplicates()
    names = [parse_name(title, artist) for title, artist in unique.itertuples(index=False)]
    pairs = find(names, tracks, spread=spread)
    if not pairs.key:
        return
    position = pd.Series(range(len(unique)), index=pd.MultiIndex.from_frame(unique))
    of_key = position.loc[pd.MultiIndex.from_frame(wanted[["title", "artist"]])].to_numpy()
    ranked = rank(pairs, names, tracks, _dates(wanted, of_key, len(unique)))
    _choose(result, open_keys, of_key, ranked, wanted["run_no"].to_numpy())


def _dates(wanted: pd.DataFrame, of_key: np.ndarray, n: int) -> pd.DataFrame:
    """First and last chart date of each unique name."""
    dates = pd.DataFrame({"key": of_key})
    for column in ("first_date", "last_date"):
        dates[column] = date_column(wanted, column)
    return dates.groupby("key").agg(first_date=("first_date", "min"), last_date=("last_date", "max")).reindex(range(n))


def _choose(result: pd.DataFrame, open_keys: np.ndarray, of_key: np.ndarray, ranked: pd.DataFrame, run_no: np.ndarray) -> None:
    """Best recording for run 1, the next recording for run 2, and so on."""
    bounds = np.searchsorted(ranked["key"].to_numpy(), np.arange(of_key.max() + 2))
    recording, score, ids, evidence, other = (
        ranked[c].to_numpy() for c in ("recording", "score", "track_id", "evidence", "is_other_version")
    )
    taken: dict[int, tuple[set[int], set[str]]] = {}
    columns: dict[str, list] = {c: [] for c in COLUMNS if c not in KEY}
    at = []
    for i in np.lexsort((run_no, of_key)):
        key = of_key[i]
        span = range(bounds[key], bounds[key + 1])
        used, given = taken.setdefault(key, (set(), set()))
        free = [j for j in span if recording[j] not in used] or [j for j in span if ids[j] not in given] or list(span)
        if not free:
            continue
        best = free[0]
        runner = next((j for j in free if recording[j] != recording[best]), None)
        used.add(recording[best])
        given.add(ids[best])
        at.append(open_keys[i])
        _write(
            columns,
            evidence[best],
            score[best],
            ids[best],
            (ids[runner], score[runner]) if runner is not None else (None, np.nan),
            is_other_version=bool(other[best]),
        )
    for column, values in columns.items():
        result.loc[at, column] = pd.Series(values, index=at, dtype=result[column].dtype)


def _write(
    columns: dict[str, list],
    evidence: Evidence,
    score: float,
    track_id: str,
    runner_up: tuple[str | None, float],
    *,
    is_other_version: bool,
) -> None:
    status = "matched" if score >= model.MATCHED_AT else "review" if score >= model.REVIEW_AT else "unmatched"
    columns["track_id"].append(track_id if status != "unmatched" else None)
    columns["status"].append(status)
    columns["is_other_version"].append(is_other_version and status != "unmatched")
    columns["method"].append(method_of(evidence))
    columns["score"].append(round(float(score), 4))
    columns["runner_up_track_id"].append(runner_up[0])
    columns["runner_up_score"].append(round(float(runner_up[1]), 4))
    columns["decided_by"].append(DECIDED_BY)
    columns["reason"].append(reason_of(evidence))


def method_of(evidence: Evidence) -> str:
    """Name of the rule that found a candidate."""
    if evidence.title == TitleRelation.CLOSE:
        return "fuzzy_title"
    if evidence.artist in (ArtistRelation.CLOSE, ArtistRelation.LONGER_NAME):
        return "fuzzy_artist"
    if evidence.title in (TitleRelation.FIRST_SIDE, TitleRelation.SECOND_SIDE):
        return "part_of_title"
    if evidence.artist in (
        ArtistRelation.OTHER_GUESTS,
        ArtistRelation.NOT_FIRST,
        ArtistRelation.ONE_SHARED,
        ArtistRelation.LEAD_MISSING,
    ):
        return "artist_set"
    return "exact" if evidence.title == TitleRelation.SAME and evidence.artist == ArtistRelation.SAME else "key"


def reason_of(evidence: Evidence) -> str:
    """The evidence in words."""
    return "; ".join(f"{about} {words}" for about, words in evidence.in_words().items())
