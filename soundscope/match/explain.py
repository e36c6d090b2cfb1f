"""Why a chart key has the link it has: every candidate that was considered, each piece of evidence, and a few sentences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process

from soundscope.errors import BadInput
from soundscope.match import confidence as model
from soundscope.match.candidates import find
from soundscope.match.columns import date_column
from soundscope.match.evidence import parse_name
from soundscope.match.normalise import fold
from soundscope.match.ranking import rank
from soundscope.match.resolve import match_keys

CANDIDATE_COLUMNS = [
    "track_id", "track_title", "track_artists", "release_date", "duration_ms", "score", "recording", "is_chosen", "title_evidence",
    "artist_evidence", "version_evidence", "numbers_evidence", "date_evidence", *model.FEATURES,
]  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """The answers to one name.

    Attributes:
        links: rows of `match_keys` for this title and artist, one per run.
        candidates: `CANDIDATE_COLUMNS`, best first; the columns named like `model.FEATURES` hold what each piece of evidence takes from the
            logit of the score.
        words: the same in sentences.
    """

    links: pd.DataFrame
    candidates: pd.DataFrame
    words: str


def explain(
    title: str, artist: str, keys: pd.DataFrame, tracks: pd.DataFrame, decisions: pd.DataFrame | None = None
) -> Explanation:
    """Explain the link of a chart key; upper and lower case and accents do not matter.

    Args:
        title: title as charted.
        artist: credit as charted.
        keys: see `match_keys`; the others are not matched.
        tracks: see `match_keys`.
        decisions: see `match_keys`.

    Raises:
        BadInput: no chart has this title with this artist; the message names the nearest.
    """
    mine = keys[same_name(keys, title, artist)].reset_index(drop=True)
    if mine.empty:
        raise BadInput(f"No chart holds {title!r} by {artist!r}.", next_step=nearest(keys, title, artist))
    mine = mine[mine["title"].eq(mine["title"].iloc[0]) & mine["artist"].eq(mine["artist"].iloc[0])].reset_index(drop=True)
    links = match_keys(mine, tracks, decisions)
    candidates = candidates_of(mine, tracks, frozenset(links["track_id"].dropna()))[CANDIDATE_COLUMNS]
    return Explanation(links, candidates, _words(links, candidates))


def candidates_of(keys: pd.DataFrame, tracks: pd.DataFrame, chosen: frozenset[str] = frozenset()) -> pd.DataFrame:
    """Every track that was considered for some chart keys, with the evidence.

    Args:
        keys: see `match_keys`; several runs of one name count as one.
        tracks: see `match_keys`.
        chosen: track ids to mark as `is_chosen`.

    Returns:
        `title`, `artist` and `CANDIDATE_COLUMNS`; names in the order of `keys`, the best candidate of each first.
    """
    dated = keys[["title", "artist"]].assign(first_date=date_column(keys, "first_date"), last_date=date_column(keys, "last_date"))
    dates = (
        dated.groupby(["title", "artist"], sort=False)
        .agg(first_date=("first_date", "min"), last_date=("last_date", "max"))
        .reset_index()
    )
    names = [parse_name(title, artist) for title, artist in zip(dates["title"], dates["artist"], strict=True)]
    pairs = find(names, tracks)
    if not pairs.key:
        return pd.DataFrame(columns=["title", "artist", *CANDIDATE_COLUMNS])
    ranked = rank(pairs, names, tracks, dates)
    described = _describe(ranked, tracks, chosen, dates)
    whose = dates[["title", "artist"]].iloc[ranked["key"].to_numpy()].reset_index(drop=True)
    return pd.concat([whose, described], axis=1)


def same_name(keys: pd.DataFrame, title: str, artist: str) -> pd.Series:
    """Which keys have this title and artist but for case, accents and blanks around; shape (n,)."""
    return keys["title"].map(fold).eq(fold(title.strip())) & keys["artist"].map(fold).eq(fold(artist.strip()))


def nearest(keys: pd.DataFrame, title: str, artist: str) -> str:
    """The chart keys that are written most alike, as advice."""
    names = (keys["title"] + " by " + keys["artist"]).tolist()
    near = process.extract(f"{title} by {artist}", names, scorer=fuzz.token_sort_ratio, processor=fold, limit=3)
    return (
        "write it as the chart does; the nearest are " + "; ".join(name for name, _, _ in near) + "."
        if near
        else "ingest a chart first."
    )


def _describe(ranked: pd.DataFrame, tracks: pd.DataFrame, chosen: frozenset[str], dates: pd.DataFrame) -> pd.DataFrame:
    rows = tracks.iloc[ranked["track"].to_numpy()].reset_index(drop=True)
    words = [evidence.in_words() for evidence in ranked["evidence"]]
    artists = rows["artists"] if "artists" in rows else rows["artist"]
    last = dates["last_date"].iloc[ranked["key"].to_numpy()]
    frame = pd.DataFrame(
        {
            "track_id": ranked["track_id"],
            "track_title": rows["title"],
            "track_artists": artists.fillna(rows["artist"]),
            "release_date": pd.Series(ranked["release"]),
            "duration_ms": ranked["duration_ms"],
            "score": ranked["score"].round(4),
            "recording": ranked["recording"],
            "is_chosen": ranked["track_id"].isin(chosen),
            **{f"{about}_evidence": [said[about] for said in words] for about in ("title", "artist", "version", "numbers")},
            "date_evidence": [_date_words(*pair) for pair in zip(ranked["release"], last, strict=True)],
        }
    )
    effects = ranked[list(model.FEATURES)] * np.array([model.WEIGHTS[name] for name in model.FEATURES])
    return pd.concat([frame, effects.round(3)], axis=1)[CANDIDATE_COLUMNS]


def _date_words(release: pd.Timestamp, last: pd.Timestamp) -> str:
    if pd.isna(release) or pd.isna(last):
        return "release date unknown"
    return f"released {release:%Y-%m-%d}, " + (
        "after the chart run: a later edition at best" if release > last else "in time for the chart run"
    )


def _words(links: pd.DataFrame, candidates: pd.DataFrame) -> str:
    lines = []
    for link in links.itertuples():
        run = f" (run {link.run_no})" if len(links) > 1 else ""
        target = f" -> {link.track_id}" if isinstance(link.track_id, str) else ""
        other = ", another version than the chart means" if link.is_other_version else ""
        lines.append(
            f"{link.title} by {link.artist}{run}: {link.status}{target}{other}, confidence {link.score:.2f}, by {link.method} ({link.reason})."
        )
    if candidates.empty:
        lines.append("No track shares a title and an artist with it, nor comes close in spelling.")
        return "\n".join(lines)
    lines.append(
        f"{len(candidates)} candidate{'s' if len(candidates) > 1 else ''} of {candidates['recording'].nunique()} recording(s) considered:"
    )
    for row in candidates.head(10).to_dict("records"):
        mark = "*" if row["is_chosen"] else "-"
        length = (
            ""
            if row["duration_ms"] != row["duration_ms"]
            else f", {int(row['duration_ms']) // 60_000}:{int(row['duration_ms']) // 1000 % 60:02d}"
        )
        effects = ", ".join(f"{name} {row[name]:+.2f}" for name in model.FEATURES if row[name])
        lines.append(
            f" {mark} {row['score']:.2f} {row['track_title']} by {row['track_artists']}{length} [{row['track_id']}]: title {row['title_evidence']}; "
            f"artist {row['artist_evidence']}; version {row['version_evidence']}; {row['date_evidence']}"
            + (f"; against it: {effects}" if effects else "")
        )
    if len(candidates) > 10:
        lines.append(f"   and {len(candidates) - 10} more.")
    return "\n".join(lines)
