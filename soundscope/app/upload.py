"""A person's own file of tracks: read within limits, its columns recognised, its values checked as any import's. Nothing is kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from soundscope.app import fit, predict
from soundscope.app.serve import UPLOAD_MB
from soundscope.app.source import Source
from soundscope.app.text import SOUND
from soundscope.errors import BadInput
from soundscope.genre import features
from soundscope.genre.score import TOP
from soundscope.ingest import fields
from soundscope.ingest.raw_schema import RAW

MOST_ROWS = 2_000
_MOST_COLUMNS = 200
_LEAST_KNOWN = 3
_NUMBERS = (*SOUND, "popularity", "key", "mode", "time_signature", "duration_ms")
_TEXTS = ("title", "artist", "artists", "album", "release_date")
FIELDS = (*_TEXTS, *_NUMBERS)
_LEGAL = {name: (spec.low, spec.high) for table in ("audio_features", "popularity") for name, spec in RAW[table].columns.items()}


@dataclass(frozen=True)
class Upload:
    """What was read: the rows as numbers and texts, field -> column, and (row, column, value, why) of what could not be used."""

    rows: pd.DataFrame
    mapping: dict[str, str]
    refused: list[tuple[int, str, str, str]]


def columns(content: bytes, name: str) -> list[str]:
    """Names of a file's columns, in order.

    Raises:
        BadInput: it is too large, no text, no table, or has no rows.
    """
    return [str(column) for column in _limited(content, name).columns]


def recognised(names: Sequence[str]) -> dict[str, str]:
    """Field -> column, for every field of `FIELDS` that one of the columns clearly means."""
    return {field: column for field, column in fields.guess(names).items() if field in FIELDS}


def read(content: bytes, name: str, mapping: Mapping[str, str] | None = None) -> Upload:
    """Read a file of tracks.

    Args:
        content: its bytes.
        name: its name, for messages.
        mapping: field -> column; what `recognised` finds if left out.

    Raises:
        BadInput: it is too large, no text, no table, has no rows, or no column that is known.
    """
    table = _limited(content, name)
    if mapping is None:
        mapping = recognised(list(table.columns))
    if not any(name in mapping for name in SOUND):
        raise BadInput(
            f"{name} has no column that is known as a sound feature; its columns are {', '.join(map(str, table.columns[:12]))}.",
            next_step="say below which column means what, or name the columns as in the example: tempo, danceability, energy and so on.",
        )
    refused: list[tuple[int, str, str, str]] = []
    rows = pd.DataFrame({"track_id": [f"row {n}" for n in range(1, len(table) + 1)]})
    for field, column in mapping.items():
        rows[field] = (
            _numbers(table[column], field, column, refused)
            if field in _NUMBERS
            else table[column].where(table[column].str.strip() != "", None)
        )
    return Upload(rows, dict(mapping), refused)


def _limited(content: bytes, name: str) -> pd.DataFrame:
    if len(content) > UPLOAD_MB * 1_048_576:
        raise BadInput(f"{name} is larger than {UPLOAD_MB} MB.", next_step="split it, or use soundscope import for large files.")
    table = _table(content, name)
    if len(table) > MOST_ROWS:
        raise BadInput(
            f"{name} has {len(table):,} rows; at most {MOST_ROWS:,} are read here.",
            next_step="split it, or use soundscope import.",
        )
    return table


def answer(source: Source, rows: pd.DataFrame, chart: str | None) -> pd.DataFrame:
    """Predictions and alignment of rows as `read` gives them, beside title and artist.

    Columns: title, artist (where given), genre_1, probability_1 .. genre_3, probability_3 (with a champion), fit and confidence (with a
    chart's profile); missing where fewer than three features are known.
    """
    out = rows[[name for name in ("title", "artist") if name in rows]].copy()
    if out.empty and not len(out.columns):
        out = pd.DataFrame({"row": rows["track_id"]})
    known = rows.reindex(columns=list(SOUND)).notna().sum(axis=1) >= _LEAST_KNOWN
    found = predict.predict(source, rows[known]) if known.any() else None
    for rank in range(1, TOP + 1) if found is not None else ():
        assert found is not None
        part = found.labels[found.labels["rank"] == rank].set_index("track_id")
        out[f"genre_{rank}"] = rows["track_id"].map(part["genre"])
        out[f"probability_{rank}"] = rows["track_id"].map(part["probability"]).round(3)
    made = fit.fit_of(source, chart) if chart else None
    if made is not None:
        aligned = made.alignment(rows.reindex(columns=[*rows.columns, *(n for n in features.AUDIO if n not in rows)]))
        out["fit"], out["confidence"] = aligned["alignment"].round(1), aligned["confidence"].round(2)
    return out


def example() -> pd.DataFrame:
    """A file as `read` expects it, with one invented track."""
    values = {"tempo": 118, "danceability": 0.7, "energy": 0.8, "valence": 0.6, "loudness": -6.5, "acousticness": 0.1, "instrumentalness": 0.0,
              "speechiness": 0.05, "liveness": 0.1, "popularity": 20}  # fmt: skip
    return pd.DataFrame([{"title": "My song", "artist": "My band", **values}])


def _table(content: bytes, name: str) -> pd.DataFrame:
    try:
        words = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not text in UTF-8.", next_step="save it as CSV in UTF-8 and try again.") from error
    if "\0" in words or not words.strip():
        raise BadInput(f"{name} is empty or no text.", next_step="save it as CSV in UTF-8 and try again.")
    first = words.lstrip().splitlines()[0]
    separator = max(",;\t", key=first.count)
    rows: list[list[str]] = []
    try:
        for number, row in enumerate(csv.reader(io.StringIO(words, newline=""), delimiter=separator, strict=True), start=1):
            if rows and row and len(row) != len(rows[0]):
                raise BadInput(
                    f"{name} is not a table: line {number} has {len(row)} fields, the first one {len(rows[0])}.",
                    next_step="each line needs as many fields as the first one; put texts that hold a separator in double quotes.",
                )
            if row:
                rows.append(row)
            if len(rows) > MOST_ROWS + 1:
                break
    except csv.Error as error:
        raise BadInput(f"{name} is not a table: {error}.", next_step="save it as CSV in UTF-8 and try again.") from error
    names = [column.strip() or f"column {place}" for place, column in enumerate(rows[0], start=1)]
    if len(set(names)) < len(names):
        raise BadInput(f"{name} has two columns of one name.", next_step="give each column a name of its own.")
    table = pd.DataFrame(rows[1:], columns=names, dtype=object)
    if table.empty:
        raise BadInput(
            f"{name} has no rows below its first line.",
            next_step="the first line names the columns, each further line is a track.",
        )
    if len(table.columns) > _MOST_COLUMNS:
        raise BadInput(
            f"{name} has {len(table.columns):,} columns; at most {_MOST_COLUMNS} are read.",
            next_step="keep the ones that are needed.",
        )
    return table


def _numbers(column: pd.Series, field: str, name: str, refused: list[tuple[int, str, str, str]]) -> pd.Series:
    said = column.astype(str).str.strip()
    values = pd.to_numeric(said, errors="coerce").astype("float64")
    values = values.where(np.isfinite(values))
    low, high = _LEGAL.get(field, (None, None))
    given = ~said.isin(["", "NA", "NaN", "nan", "null", "None"])
    outside = values.notna() & ((values < low if low is not None else False) | (values > high if high is not None else False))
    for place in np.flatnonzero((given & values.isna()) | outside):
        why = (
            f"outside {low:g} to {high:g}"
            if outside.iloc[place] and low is not None and high is not None
            else "outside its range"
            if outside.iloc[place]
            else "not a number"
        )
        refused.append((int(place) + 1, name, said.iloc[place][:80], why))
    return values.where(~outside)
