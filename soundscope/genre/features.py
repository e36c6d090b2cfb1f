"""What a model may see of a track, as numbers: audio features, and what its own metadata says without looking at any other track.

Evidence from other tracks (the labels of the same artist, words of titles) is in `evidence.py`. Track, playlist and data set ids are
never features.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pandas as pd

AUDIO = (
    "tempo",
    "danceability",
    "energy",
    "valence",
    "loudness",
    "acousticness",
    "instrumentalness",
    "speechiness",
    "liveness",
    "key",
    "mode",
    "time_signature",
    "duration_ms",
)
TEXT = ("title", "artist", "artists", "album")
COLUMNS = (*AUDIO, "popularity", "explicit", "release_date", *TEXT)

# What a reader is told of: columns that are only another view of one thing are told of together, under its name.
_TOLD_AS = {
    "tempo_folded": "tempo",
    "duration_log": "duration_ms",
    "key_sin": "key",
    "key_cos": "key",
    "instrumentalness_log": "instrumentalness",
    "acousticness_log": "acousticness",
    "artist_count": "credits",
    "album_is_title": "album",
    "title_in_album": "album",
}
_TOLD_BY_START = {"release_": "release_year", "title_": "title", "says_": "title", "album_": "album"}
_NAME_SHAPE = ("length", "words", "upper", "digits", "unusual")

_VERSION_WORDS = ("remix", "live", "remaster", "acoustic", "edit", "version", "mix", "deluxe", "soundtrack")
_FEATURED = re.compile(r"[(\[ -](?:feat\.?|ft\.?|featuring|with)\s+([^)\]]+)", re.IGNORECASE)
_JOINERS = re.compile(r"\s*(?:;|,|&|\+| x | and | y | feat\.? | ft\.? | featuring | with )\s*", re.IGNORECASE)


def plain(words: str) -> str:
    """Lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", words)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower()


def told_as(column: str) -> str:
    """The feature a column of a model's input is told as: 'tempo_folded' as tempo, 'title_length' as title."""
    if column in _TOLD_AS:
        return _TOLD_AS[column]
    if column.startswith("artist_"):
        return "artist" if column.removeprefix("artist_") in _NAME_SHAPE else "other tracks of the artist"
    return next((name for start, name in _TOLD_BY_START.items() if column.startswith(start)), column)


def text(frame: pd.DataFrame, column: str) -> pd.Series:
    """The column as strings (n,), '' where it is missing or absent."""
    if column not in frame:
        return pd.Series("", index=frame.index, dtype=object)
    return frame[column].astype(object).where(frame[column].notna(), "").astype(str)


def numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    """The column as float64 (n,), NaN where it is missing or absent."""
    if column not in frame:
        return pd.Series(np.nan, index=frame.index)
    return pd.to_numeric(frame[column], errors="coerce").astype("float64")


def audio(frame: pd.DataFrame) -> pd.DataFrame:
    """The 13 audio features (n, 13) as float64; what is missing stays NaN."""
    return pd.DataFrame({name: numbers(frame, name) for name in AUDIO}, index=frame.index)


def credited(frame: pd.DataFrame) -> list[list[str]]:
    """Every artist credited with each row (n lists): the listed ones, and those featured in the title; lower case, first one first."""
    whole, listed, titles = text(frame, "artist"), text(frame, "artists"), text(frame, "title")
    rows = []
    for artist, several, title in zip(whole, listed, titles, strict=True):
        names = [artist, *several.split(";")] if several else [artist]
        found = _FEATURED.search(title)
        if found:
            names += _JOINERS.split(found.group(1))
        folded = [name.strip().casefold() for name in names]
        rows.append(list(dict.fromkeys(name for name in folded if name)))
    return rows


def metadata(frame: pd.DataFrame, popularity: bool = True) -> pd.DataFrame:
    """Audio features, combinations of them, release date, and the shape of title, album and credits, (n, about 50) float64.

    Args:
        frame: rows with the columns of `COLUMNS`; absent ones count as missing.
        popularity: whether popularity may be seen. It changes from week to week and depends on how tracks were collected.
    """
    sound = audio(frame)
    columns: dict[str, pd.Series | np.ndarray] = {name: sound[name] for name in AUDIO}
    columns["duration_log"] = np.log(sound["duration_ms"].where(sound["duration_ms"] > 0))
    columns["tempo_folded"] = _folded(sound["tempo"])
    columns["key_sin"] = np.sin(sound["key"] * np.pi / 6)
    columns["key_cos"] = np.cos(sound["key"] * np.pi / 6)
    columns["energy_minus_acousticness"] = sound["energy"] - sound["acousticness"]
    columns["loudness_per_energy"] = sound["loudness"] / (sound["energy"] + 0.05)
    columns["dance_times_valence"] = sound["danceability"] * sound["valence"]
    columns["speech_to_dance"] = sound["speechiness"] / (sound["danceability"] + 0.05)
    columns["instrumentalness_log"] = np.log10(sound["instrumentalness"] + 1e-6)
    columns["acousticness_log"] = np.log10(sound["acousticness"] + 1e-6)
    if popularity:
        columns["popularity"] = numbers(frame, "popularity")
    columns["explicit"] = numbers(frame, "explicit")
    columns |= _release(frame) | _shape(frame)
    return pd.DataFrame(columns, index=frame.index).astype("float64")


def _folded(tempo: pd.Series) -> pd.Series:
    """Tempo moved by octaves into 80..160 beats per minute: detectors often report half or double."""
    known = tempo.where(tempo > 0)
    return known * 2.0 ** -np.floor(np.log2(known / 80.0))


def _dates(frame: pd.DataFrame) -> pd.Series:
    raw = frame["release_date"] if "release_date" in frame else pd.Series(pd.NaT, index=frame.index)
    return pd.to_datetime(raw, errors="coerce", format="ISO8601")


def release_year(frame: pd.DataFrame) -> pd.Series:
    """Release date as a year with its fraction (n,); NaN where it is missing or no date."""
    dates = _dates(frame)
    return dates.dt.year + (dates.dt.dayofyear - 1) / 366.0


def _release(frame: pd.DataFrame) -> dict[str, pd.Series]:
    dates = _dates(frame)
    return {
        "release_year": release_year(frame),
        "release_month": dates.dt.month.astype("float64"),
        "release_weekday": dates.dt.dayofweek.astype("float64"),
        # 1 January stands for an unknown day in most catalogues.
        "release_is_new_year": ((dates.dt.month == 1) & (dates.dt.day == 1)).where(dates.notna()).astype("float64"),
    }


def _shape(frame: pd.DataFrame) -> dict[str, pd.Series | np.ndarray]:
    title, album, artist = text(frame, "title"), text(frame, "album"), text(frame, "artist")
    lower_title, lower_album = title.str.lower(), album.str.lower()
    columns: dict[str, pd.Series | np.ndarray] = {
        "artist_count": np.array([float(len(names)) for names in credited(frame)]),
        "album_is_title": (lower_title == lower_album).astype("float64"),
        "title_in_album": np.array([float(bool(t) and t in a) for t, a in zip(lower_title, lower_album, strict=True)]),
        "title_has_dash": title.str.contains(" - ", regex=False).astype("float64"),
        "title_has_bracket": title.str.contains("(", regex=False).astype("float64"),
        "title_is_featuring": lower_title.str.contains("feat.", regex=False).astype("float64"),
    }
    for word in _VERSION_WORDS:
        columns[f"says_{word}"] = (lower_title + " " + lower_album).str.contains(word, regex=False).astype("float64")
    for name, values in (("title", title), ("album", album), ("artist", artist)):
        length = values.str.len().astype("float64")
        columns[f"{name}_length"] = length
        columns[f"{name}_words"] = values.str.count(" ").astype("float64") + 1.0
        columns[f"{name}_upper"] = values.str.count(r"[A-Z]") / length.clip(lower=1.0)
        columns[f"{name}_digits"] = values.str.count(r"[0-9]").astype("float64")
        columns[f"{name}_unusual"] = values.str.count(r"[^\x00-\x7f]") / length.clip(lower=1.0)
    return columns
