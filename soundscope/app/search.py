"""Finding a track while its name is typed: an index of folded names beside the release, asked for every pause in typing."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from soundscope.app.source import Source, instance

SHOWN = 12
# Letters of any script and digits, without accents; everything else separates words.
_FOLD = "trim(regexp_replace(strip_accents(lower({0})), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"


@st.cache_resource(max_entries=3, show_spinner=False)
def _index(release_id: str, path: str) -> str:
    """Make the table of names in memory; returns its name. About 60 bytes per track."""
    name = f'memory.main."titles {release_id}"'
    cursor = instance(release_id, path).cursor()
    try:
        names = _FOLD.format("f.title || ' ' || coalesce(t.artists, f.artist, '')")
        cursor.execute(
            f"create or replace table {name} as with charted as (select distinct f.recording_id from release.core.chart_entries e "
            "join release.marts.track_features f on f.track_id = e.track_id) "
            "select f.track_id, f.title, f.artist, f.genre, t.release_date, f.popularity, f.recording_id in (select recording_id from charted) as has_charted, "
            f"f.feature_provider is not null as has_sound, {_FOLD.format('f.title')} as folded_title, {names} as names "
            "from release.marts.track_features f join release.core.tracks t on t.track_id = f.track_id where f.title is not null"
        )
    finally:
        cursor.close()
    return name


def prepare(source: Source) -> None:
    """Make the index of a release, if it is not there yet: about 2.5 s per million tracks."""
    _index(source.release_id, str(source.release.path))


def find(source: Source, typed: str, limit: int = SHOWN) -> pd.DataFrame:
    """Tracks whose title and artists hold every word typed, as parts of words.

    Whole titles first, then beginnings, then what has charted, then the popular.

    Returns:
        track_id, title, artist, genre, release_date, popularity; no rows for fewer than two letters.
    """
    cursor = instance(source.release_id, str(source.release.path)).cursor()
    try:
        folded = str(cursor.execute(f"select {_FOLD.format('?')}", [typed[:200]]).fetchone()[0])  # type: ignore[index]
        exact = (
            cursor.execute(
                "select track_id, title, artist, cast(null as varchar) as genre, release_date, null as popularity from release.core.tracks "
                "where track_id in (?, 'spotify:' || ?) or spotify_id = ? or isrc = ? limit ?",
                [typed, typed, typed, typed.upper(), limit],
            ).df()
            if len(typed.strip()) >= 12 and " " not in typed.strip()
            else pd.DataFrame()
        )
        if len(exact) or len(folded.replace(" ", "")) < 2:
            return exact
        table = _index(source.release_id, str(source.release.path))
        words = sorted(set(folded.split()), key=len, reverse=True)[:8]
        held = " and ".join("contains(names, ?)" for _ in words)
        return cursor.execute(
            f"select track_id, title, artist, genre, release_date, popularity from {table} where {held} "
            "order by folded_title = ? desc, starts_with(folded_title, ?) desc, has_sound desc, has_charted desc, popularity desc nulls last, "
            "length(folded_title), track_id limit ?",
            [*words, folded, folded, limit],
        ).df()
    finally:
        cursor.close()
