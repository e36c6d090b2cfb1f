"""What a model says of one track, told to a person: the likeliest labels, why, and the nearest examples. Reads a release, decides nothing."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from soundscope.errors import BadInput
from soundscope.genre import explain as ex
from soundscope.genre import features, registry
from soundscope.genre.context import add_context, read_catalogue
from soundscope.genre.data import TRACKS_SQL
from soundscope.genre.evaluate import SURE_FROM
from soundscope.genre.score import top
from soundscope.settings import Settings

_LINK = re.compile(r"(?:spotify:track:|open\.spotify\.com/(?:intl-\w+/)?track/)([0-9A-Za-z]{22})")
_SOUND = ("tempo", "danceability", "energy", "valence", "loudness", "acousticness", "instrumentalness", "speechiness", "liveness")
_SHOWN = 6
_NAMES = {
    "duration_ms": "its length",
    "release_year": "when it came out",
    "explicit": "whether it is marked explicit",
    "title": "the form of its title",
    "album": "the form of its album's title",
    "artist": "the form of the artist's name",
    "credits": "how many are credited",
    "time_signature": "beats per bar",
    "key": "its key",
    "mode": "major or minor",
    "energy_minus_acousticness": "energy against acousticness",
    "loudness_per_energy": "loudness for its energy",
    "dance_times_valence": "danceability and valence together",
    "speech_to_dance": "speechiness for its danceability",
    "other tracks of the artist": "how the artist's other tracks sound",
    "labels by artist": "labels of other tracks by the same artists",
    "labels by album": "labels of the album's other tracks",
    ex.CALIBRATION: "correction for how sure the model is on the whole",
}


@dataclass(frozen=True)
class Reason:
    """feature as in `ml.explanations`; value, where it is one number; contribution to the probability; the same in words."""

    feature: str
    value: float | None
    contribution: float
    words: str


@dataclass(frozen=True)
class Told:
    """What a model says of a track.

    likeliest: up to three (label, probability). is_unsure: the first is less likely than not. labels: what the data says, if anything.
    start: probability of the first label where nothing is known. reasons: all of them, strongest first; with start they add up to the
    first probability. nearest: labelled tracks of the first label that sound most like it: track_id, title, artist, distance.
    """

    track_id: str
    title: str
    artist: str
    model_id: str
    likeliest: list[tuple[str, float]]
    is_unsure: bool
    labels: list[str]
    start: float
    reasons: list[Reason]
    nearest: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"likeliest": [{"genre": genre, "probability": p} for genre, p in self.likeliest]}


def find_track(con: duckdb.DuckDBPyConnection, wanted: str) -> tuple[str, str, str]:
    """track_id, title and artist of the track that an id, a Spotify id or link, an ISRC, or words of title and artist mean.

    Raises:
        BadInput: nothing fits, or several songs do; the message lists some.
    """
    link = _LINK.search(wanted)
    given = link.group(1) if link else wanted.strip()
    query = "select track_id, coalesce(title, ''), coalesce(artist, '') from core.tracks"
    exact = con.execute(
        f"{query} where track_id in ($id, 'spotify:' || $id, 'isrc:' || upper($id)) or isrc = upper($id) order by track_id limit 1",
        {"id": given},
    ).fetchone()
    if exact:
        return exact
    words = [word for word in features.plain(given).split() if word]
    rows = []
    if words and not link:
        name = "lower(strip_accents(coalesce(t.title, '') || ' ' || coalesce(t.artist, '')))"
        rows = con.execute(
            f"select t.track_id, coalesce(t.title, ''), coalesce(t.artist, ''), coalesce(t.recording_id, t.track_id) "
            f"from core.tracks t left join marts.track_features f on f.track_id = t.track_id "
            f"where list_aggregate(list_transform($words, lambda w: contains({name}, w)), 'bool_and') "
            "order by f.feature_provider is null, length(t.title || t.artist), t.track_id limit 1000",
            {"words": words},
        ).fetchall()
    songs = list(dict.fromkeys(row[3] for row in rows))
    if len(songs) == 1:
        return rows[0][:3]
    if not songs:
        raise BadInput(
            f"No track is called {wanted!r}.", next_step="give its id, its Spotify id, or words of its title and artist."
        )
    spelled = [
        row for row in rows if features.plain(f"{row[1]} {row[2]}").split() == words or features.plain(row[1]).split() == words
    ]
    if len({row[3] for row in spelled}) == 1:
        return spelled[0][:3]
    shown = "; ".join(f"{title} by {artist} ({track_id})" for track_id, title, artist, _ in rows[:5])
    raise BadInput(
        f"{len(songs)} songs fit {wanted!r}: {shown}{' ...' if len(rows) > 5 else ''}.",
        next_step="give one of the ids, or more words.",
    )


def tell(con: duckdb.DuckDBPyConnection, settings: Settings, wanted: str, model_id: str | None = None) -> Told:
    """Find a track and say what a model thinks of it, why, and which tracks of that label sound like it.

    Args:
        con: a connection to a release; only read.
        settings: which target, and where models are.
        wanted: see `find_track`.
        model_id: the model; the champion of the configured target if None.

    Raises:
        BadInput: there is no model yet, or no such track, or nothing that a model may use is known of it.
        SoundScopeError: the model's file is damaged.
    """
    chosen = model_id or registry.champion(con, settings.train.target)
    if chosen is None:
        raise BadInput(
            "There is no model yet.", next_step="train one: soundscope run --retrain (why not so far: soundscope models)"
        )
    track_id, title, artist = find_track(con, wanted)
    stored = registry.load(settings.paths.models, chosen, registry.recorded_hash(con, chosen))
    catalogue = read_catalogue(con, TRACKS_SQL)
    table = pd.concat(ex.explain_batches(con, stored, [track_id], catalogue))
    row = con.execute(f"select * from ({TRACKS_SQL}) tracks where track_id = ?", [track_id]).df()
    proba = stored.model.predict_proba(add_context(row, catalogue))
    said = top(row["track_id"], proba, stored.model.classes_.astype(str))
    first = str(said["genre"].iloc[0])
    target = str(stored.card.get("target", settings.train.target))
    start = float(table.loc[table["feature"] == ex.BASE, "contribution"].sum())
    rank = _ranks(con, row)
    reasons = [
        Reason(str(feature), None if np.isnan(value) else value, part, _words(str(feature), value, rank))
        for feature, value, part in zip(
            table["feature"], table["value"].astype(float).tolist(), table["contribution"].tolist(), strict=True
        )
        if feature != ex.BASE
    ]
    return Told(
        track_id=track_id,
        title=title,
        artist=artist,
        model_id=chosen,
        likeliest=list(zip(said["genre"].astype(str), said["probability"].tolist(), strict=True)),
        is_unsure=bool(proba.max() < SURE_FROM),
        labels=_labels(con, target, track_id),
        start=start,
        reasons=reasons,
        nearest=_nearest(con, row.iloc[0], target, first),
    )


def in_words(told: Told) -> str:
    """The answer as a person reads it."""
    first, probability = told.likeliest[0]
    others = " or ".join(f"{genre} ({p:.0%})" for genre, p in told.likeliest[1:])
    head = f"{told.title} by {told.artist} ({told.track_id})"
    if told.is_unsure:
        verdict = f"Not sure. Likeliest is {first} ({probability:.0%})" + (f", then {others}." if others else ".")
    else:
        verdict = f"Probably {first} ({probability:.0%})" + (f", else {others}." if others else ".")
    lines = [head, verdict]
    if told.labels:
        lines.append(f"The data says: {', '.join(told.labels)}.")
    lines += ["", f"Why {first} (starting from {told.start:.0%}, where nothing is known of a track):"]
    shown = [r for r in told.reasons if r.feature != ex.CALIBRATION][:_SHOWN]
    lines += [f"  {100 * r.contribution:+6.1f} points  {r.words}" for r in shown]
    rest = probability - told.start - sum(r.contribution for r in shown)
    lines.append(f"  {100 * rest:+6.1f} points  everything else")
    if told.nearest:
        lines += ["", f"Tracks labelled {first} that sound most like it:"]
        lines += [f"  {n['title']} by {n['artist']} ({n['track_id']})" for n in told.nearest]
    lines += ["", f"Model {told.model_id}."]
    return "\n".join(lines)


def _ranks(con: duckdb.DuckDBPyConnection, row: pd.DataFrame) -> dict[str, float]:
    """Share of tracks with a smaller value, for every feature that is a quantity."""
    names = [n for n in (*_SOUND, "duration_ms", "popularity") if n in row and pd.notna(row[n].iloc[0])]
    if not names:
        return {}
    # Ties count half, so that a value everyone has is in the middle.
    shares = ", ".join(
        f"avg(case when {n} < ${n} then 1.0 when {n} = ${n} then 0.5 when {n} is not null then 0.0 end)" for n in names
    )
    found = con.execute(f"select {shares} from marts.track_features", {n: float(row[n].iloc[0]) for n in names}).fetchone()
    return dict(zip(names, found or (), strict=True))


def _words(feature: str, value: float, rank: dict[str, float]) -> str:
    if feature in _NAMES:
        name = _NAMES[feature]
    elif feature.startswith("labels by "):
        field, _, unit = feature.removeprefix("labels by ").partition(" ")
        name = f"labels of tracks with {'the same words' if unit == 'words' else 'similar spelling'} in the {field}"
    else:
        name = feature
    if feature in rank:
        shown = f"{value / 60000:.1f} min" if feature == "duration_ms" else f"{value:.3g}"
        share = rank[feature]
        side = f"more than {share:.0%} of tracks" if share >= 0.5 else f"less than {1 - share:.0%} of tracks"
        return f"{name} {shown}, {side}"
    if feature == "release_year" and pd.notna(value):
        return f"{name}, {int(value)}"
    return name if pd.notna(value) or feature not in features.AUDIO else f"{name} is not known"


def _labels(con: duckdb.DuckDBPyConnection, target: str, track_id: str) -> list[str]:
    if target == "mood":
        sql = "select mood from marts.track_features where track_id = ? and mood_source = 'imported'"
    else:
        sql = f"select distinct {target} from core.track_genres where track_id = ? and {target} is not null order by 1"
    return [str(row[0]) for row in con.execute(sql, [track_id]).fetchall() if row[0] is not None]


def _nearest(con: duckdb.DuckDBPyConnection, track: pd.Series, target: str, label: str, n: int = 3) -> list[dict[str, Any]]:
    """Labelled tracks of other recordings, by the mean square of differences in standard deviations over the features both have."""
    imported = "and f.mood_source = 'imported'" if target == "mood" else ""
    rows = con.execute(
        f"select f.track_id, f.title, f.artist, coalesce(t.recording_id, f.track_id) as recording_id, {', '.join(f'f.{s}' for s in _SOUND)} "
        "from marts.track_features f left join core.tracks t on t.track_id = f.track_id "
        f"where f.{target} = ? {imported} and f.feature_provider is not null order by f.track_id",
        [label],
    ).df()
    rows = rows[rows["recording_id"] != track["recording_id"]].drop_duplicates("recording_id").reset_index(drop=True)
    if rows.empty:
        return []
    spread = con.execute(f"select {', '.join(f'stddev_samp({s})' for s in _SOUND)} from marts.track_features").fetchone() or ()
    scale = np.array([s if s else np.nan for s in spread], dtype=np.float64)
    own = np.array([track[s] if pd.notna(track[s]) else np.nan for s in _SOUND], dtype=np.float64)
    apart = ((rows[list(_SOUND)].to_numpy(dtype=np.float64) - own) / scale) ** 2
    known = ~np.isnan(apart)
    distance = np.sqrt(np.where(known, apart, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    distance[known.sum(axis=1) < 3] = np.inf
    order = [int(at) for at in np.argsort(distance, kind="stable")[:n] if np.isfinite(distance[at])]
    return [
        {**rows.loc[at, ["track_id", "title", "artist"]].to_dict(), "distance": round(float(distance[at]), 3)} for at in order
    ]
