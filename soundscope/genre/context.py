"""What the other tracks of an artist sound like: means of their features, never of their labels.

An artist nobody has labelled still has a sound of their own, seen in the catalogue. The means leave the track's own recording out,
so another copy of the same track tells nothing new.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from soundscope.genre import features

_FROM = (*(name for name in features.AUDIO if name not in ("key", "time_signature")), "popularity", "release_year")
CONTEXT = (*(f"artist_{name}" for name in _FROM), "artist_other_tracks")


def _values(frame: pd.DataFrame) -> pd.DataFrame:
    known = pd.DataFrame({name: features.numbers(frame, name) for name in _FROM if name != "release_year"})
    return known.assign(release_year=features.release_year(frame))


def _artist(frame: pd.DataFrame) -> pd.Series:
    return features.text(frame, "artist").str.strip().str.casefold()


def add_context(frame: pd.DataFrame, catalogue: Catalogue | None = None) -> pd.DataFrame:
    """The frame with the columns `CONTEXT` added; NaN where the artist has no other recording.

    Args:
        frame: rows with artist, recording_id, track_id and features; the order is kept.
        catalogue: the tracks to take means over; the frame itself if not given. It holds every row of the frame.
    """
    return pd.concat([frame, (catalogue or Catalogue(frame)).context(frame)], axis=1)


class Catalogue:
    """Sums of features per artist, and per artist and recording, of a set of tracks.

    Args:
        frame: tracks; a track_id that occurs several times counts once.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        tracks = frame.drop_duplicates("track_id")
        values = _values(tracks)
        sums = pd.concat([values.fillna(0.0), values.notna().astype("float64").add_suffix("_n")], axis=1)
        sums["tracks"] = 1.0
        artist = _artist(tracks)
        self._columns = list(sums.columns)
        self._by_artist = sums.groupby(artist).sum()
        self._by_recording = sums.groupby([artist, tracks["recording_id"].astype(str)]).sum()

    def context(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns `CONTEXT` (n, 14) for rows whose artist or recording may or may not be in the catalogue."""
        artist = _artist(frame)
        whole = self._by_artist.reindex(artist).to_numpy()
        pairs = pd.MultiIndex.from_arrays([artist, frame["recording_id"].astype(str)])
        own = self._by_recording.reindex(pairs).fillna(0.0).to_numpy()
        rest = whole - own
        width = len(_FROM)
        counts = rest[:, width : 2 * width]
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(counts > 0, rest[:, :width] / counts, np.nan)
        unnamed = (artist == "").to_numpy()
        means[unnamed] = np.nan
        others = np.where(unnamed, 0.0, np.nan_to_num(rest[:, -1]))
        return pd.DataFrame(np.column_stack([means, others]), columns=list(CONTEXT), index=frame.index)


def read_catalogue(con: duckdb.DuckDBPyConnection, tracks_sql: str) -> Catalogue:
    """The catalogue of the trainable tracks that a query gives; memory grows with their number, about 200 bytes each."""
    wanted = ", ".join(name for name in _FROM if name != "release_year")
    rows = con.execute(f"select track_id, recording_id, artist, release_date, {wanted} from ({tracks_sql}) where train_ok").df()
    return Catalogue(rows)
