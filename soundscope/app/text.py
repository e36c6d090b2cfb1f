"""Words on the page: titles shown as they are, whatever they hold; names and units of features; files that no spreadsheet runs.

Titles, artists and labels are other people's text. In Markdown they pass through `escape`, in files through `to_csv`.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from soundscope.output import clean

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$&^=\"'/])")
# Joins two characters without a gap. Streamlit turns :names: into icons, addresses into links and -- into a dash after Markdown was read.
_JOINER = "\u2060"
# Longer than any name or sentence; a whole document in a name would push everything else off the page.
_LONGEST = 600
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Feature:
    """How a feature is spoken of: its name, unit, usual range (low, high), decimals, and words for more and for less of it."""

    label: str
    unit: str
    low: float
    high: float
    digits: int
    more: str
    less: str

    @property
    def axis(self) -> str:
        """Title of an axis that shows it."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


FEATURES = {
    "tempo": Feature("Tempo", "beats per minute", 50, 210, 0, "faster", "slower"),
    "danceability": Feature("Danceability", "0 to 1", 0, 1, 2, "more danceable", "less danceable"),
    "energy": Feature("Energy", "0 to 1", 0, 1, 2, "more energetic", "calmer"),
    "valence": Feature("Valence", "0 sad to 1 happy", 0, 1, 2, "happier", "sadder"),
    "loudness": Feature("Loudness", "decibels", -30, 0, 1, "louder", "quieter"),
    "acousticness": Feature("Acousticness", "0 to 1", 0, 1, 2, "more acoustic", "less acoustic"),
    "instrumentalness": Feature("Instrumentalness", "0 to 1", 0, 1, 2, "more instrumental", "more vocal"),
    "speechiness": Feature("Speechiness", "0 to 1", 0, 1, 2, "more spoken", "less spoken"),
    "liveness": Feature("Liveness", "0 to 1", 0, 1, 2, "more live", "less live"),
    "popularity": Feature("Popularity", "0 to 100", 0, 100, 0, "more popular", "less popular"),
    "duration_ms": Feature("Length", "minutes", 1, 8, 1, "longer", "shorter"),
}
SOUND = tuple(name for name in FEATURES if name not in ("popularity", "duration_ms"))


def escape(value: Any) -> str:
    """A text of the data for use inside Markdown: it looks as it is and does nothing. Missing becomes a dash, what is very long is cut."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "–"
    one_line = " ".join(clean(re.sub(r"[\r\n\t\u2028\u2029]+", " ", str(value))).split())
    if len(one_line) > _LONGEST:
        one_line = one_line[: _LONGEST - 1] + "…"
    marked = _MARKDOWN.sub(r"\\\1", one_line)
    marked = re.sub(r"(?<=[<>~=\-])(?=\\[<>=\-])", _JOINER, marked)
    marked = re.sub(r"([:@])", rf"\1{_JOINER}", marked)
    return re.sub(r"(?i)\b(www)(?=\\\.)", rf"\1{_JOINER}", marked)


def song(title: Any, artist: Any) -> str:
    """Title and artist for Markdown."""
    return f"{escape(title if isinstance(title, str) else '(no title)')} · {escape(artist)}"


def chart_name(chart: str) -> str:
    """A chart's id as a person writes it."""
    return chart.replace("_", " ").title().replace("Hot 100", "Hot 100") if re.fullmatch(r"[a-z0-9_]+", chart) else chart


def provider_name(provider: str) -> str:
    """Who gave something, as a person writes it: a provider's name, or the name of an import."""
    return f"your import {provider.removeprefix('import:')}" if provider.startswith("import:") else chart_name(provider)


def day(date: Any) -> str:
    """A date in words, for example 6 January 2017."""
    return f"{date.day} {date:%B %Y}"


def count(number: int, word: str) -> str:
    """A number with its word, for example 1 song, 2 songs."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def feature_name(feature: str) -> str:
    """A feature or model input as a person writes it."""
    if feature in FEATURES:
        return FEATURES[feature].label
    words = feature.strip("()").replace("_", " ")
    return words[:1].upper() + words[1:]


def figure(feature: str, value: float | None, *, signed: bool = False) -> str:
    """A feature's value with its unit, short."""
    if value is None or pd.isna(value):
        return "unknown"
    known = FEATURES.get(feature)
    digits = known.digits if known else 2
    if signed and known and digits == 0:
        digits = 1
    short = {"tempo": " bpm", "loudness": " dB", "duration_ms": " min"}.get(feature, "")
    shown = value / 60_000 if feature == "duration_ms" else value
    return f"{shown:{'+' if signed else ''}.{digits}f}{short}"


def to_csv(frame: pd.DataFrame) -> bytes:
    """CSV in UTF-8 with a mark for spreadsheets; texts that a spreadsheet would take for a formula begin with an apostrophe."""
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_safe_cell)
    safe.columns = [_safe_cell(str(name)) for name in safe.columns]
    # Quoted all, because a bare carriage return inside a text would begin a row.
    return safe.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode("utf-8-sig")


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Parquet; texts stay as they are, because nothing there is ever run."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _safe_cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
