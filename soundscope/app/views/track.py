"""One track: found while its name is typed, then everything known about it and from whom."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import streamlit as st

from soundscope.app import fit, frame, genres, look, predict, text
from soundscope.app.nearest import nearest
from soundscope.app.reasons import fit_in_words, show_contributions
from soundscope.app.search import find
from soundscope.app.source import Source, plain
from soundscope.app.views import track_history, track_sound
from soundscope.genre.explain import BASE

_SPOTIFY_ID = re.compile(r"[0-9A-Za-z]{22}")
_TRACK = """
select f.*, t.spotify_id, t.isrc, t.artists, t.album, t.release_date, t.release_precision, t.explicit, t.first_release_date, t.n_sources
from marts.track_features f join core.tracks t on t.track_id = f.track_id where f.track_id = ?
"""


def show(source: Source) -> None:
    """Draw the page."""
    frame.heading(source, "A track", "Type a few letters of a title or an artist.")
    _search(source)
    track_id = st.query_params.get("id")
    if not track_id:
        _suggest(source)
        return
    # A link from a track to another one changes what is asked for, not what stands in the browser's address; this does.
    st.query_params["id"] = track_id
    track = source.one(_TRACK, [track_id])
    if track is None:
        frame.nothing("This release has no track of that id; it may have been another release's. Search for it by name above.")
        return
    _head(source, track)
    left, right = st.columns([3, 2], gap="large")
    with left:
        track_sound.show(source, track)
        track_history.charts(source, track)
        track_history.popularity(source, track)
    with right:
        _alignment(source, track)
        _genre(source, track)
    _nearest(source, track)
    frame.more("Where each value came from", "sources", _provenance, source, track)


@st.fragment
def _search(source: Source) -> None:
    # Not bound to the address: that would take the track's id out of it.
    typed = st.text_input(
        "Search by title or artist", st.query_params.get("q", ""), key="typed", type="search", live="200ms", placeholder="for example: love", max_chars=120,
    )  # fmt: skip
    shown = st.query_params.get("id")
    if typed != st.session_state.get("typed_before"):
        st.session_state["typed_before"], st.session_state["typed_at"] = typed, shown
    # Once a track was opened from the list, the list has done its work; the next letter brings it back.
    if not typed or st.session_state.get("typed_at") != shown:
        return
    found: Any = find(source, typed)
    if found.empty:
        st.caption("No title and artist hold these letters." if len(typed.strip()) > 1 else "Two letters at least.")
        return
    with st.container(border=True, gap=None, key="found"):
        for row in found.itertuples():
            year = f" ({row.release_date.year})" if plain(row.release_date) else ""
            genre = f" · {text.escape(row.genre)}" if isinstance(row.genre, str) else ""
            frame.track_link(f"{text.song(row.title, row.artist)}{year}{genre}", str(row.track_id))


def _suggest(source: Source) -> None:
    rows = source.ask(
        "select distinct on (e.track_id) e.track_id, e.title, e.artist, e.rank from core.chart_entries e "
        "where e.track_id is not null and e.chart_date = (select max(chart_date) from core.chart_dates d where d.chart = e.chart) order by e.rank limit 8"
    )
    if rows.empty:
        return
    st.markdown("Or start with what charts now:")
    for row in rows.sort_values("rank").itertuples():
        frame.track_link(text.song(row.title, row.artist), str(row.track_id))


def _head(source: Source, track: dict[str, Any]) -> None:
    st.header(text.escape(track["title"] or "(no title)"), anchor=False)
    released = track["release_date"]
    form = {"year": "{0:%Y}", "month": "{0:%B %Y}"}.get(track["release_precision"] or "", "{0.day} {0:%B %Y}")
    facts = [
        f"by **{text.escape(track['artists'] or track['artist'])}**",
        *([f"on {text.escape(track['album'])}"] if track["album"] else []),
        *([f"released {form.format(released)}"] if released else []),
        *([f"{track['duration_ms'] // 60_000}:{track['duration_ms'] // 1000 % 60:02d} minutes"] if track["duration_ms"] else []),
        *([f"genre **{text.escape(track['genre'])}**"] if track["genre"] else []),
        *([f"mood {text.escape(track['mood'])}"] if track["mood"] else []),
    ]
    st.markdown(", ".join(facts))
    spotify_id = track["spotify_id"]
    if spotify_id and _SPOTIFY_ID.fullmatch(spotify_id) and not source.release.is_synthetic:
        listen = st.toggle("Listen on Spotify (loads a player from open.spotify.com, which sees your address)", key="listen")
        if listen:
            st.iframe(f"https://open.spotify.com/embed/track/{spotify_id}", height=152, alt="Spotify player")


def _alignment(source: Source, track: dict[str, Any]) -> None:
    st.subheader("How it fits what charts now", anchor=False)
    if not source.has("marts.popularity_alignment"):
        frame.nothing(
            "This release has no alignment yet; the next `soundscope run` makes it once a chart with known sound is there."
        )
        return
    rows = source.ask(
        "select * from marts.popularity_alignment where track_id = ? and is_current order by chart", [track["track_id"]]
    )
    if rows.empty:
        frame.nothing("It could not be compared: too little of its sound is known, or it came out after the newest chart.")
        return
    charts = [str(c) for c in rows["chart"]]
    chart = (
        charts[0]
        if len(charts) == 1
        else str(st.selectbox("Chart", charts, format_func=text.chart_name, key="fit_chart", bind="query-params"))
    )
    row = {str(k): plain(v) for k, v in rows[rows["chart"] == chart].iloc[0].items()}
    parts = source.ask(
        "select feature, z, contribution from marts.alignment_contributions where track_id = ? and chart = ? and as_of = ? order by abs(contribution) desc",
        [track["track_id"], chart, row["as_of"]],
    )
    made = fit.fit_of(source, chart) if parts.empty else None
    sound = source.ask("select * from marts.track_features where track_id = ?", [track["track_id"]])
    if parts.empty and made is not None:
        parts = made.contributions(sound)
    fit_in_words(source, chart, row, parts)
    show_contributions(parts, "contribution to the fit (right: speaks for it)")


def _genre(source: Source, track: dict[str, Any]) -> None:
    st.subheader("Which genre the model hears", anchor=False)
    chosen = predict.champion(source)
    rows = source.ask(
        "select p.genre, p.probability, p.rank from ml.predictions p join ml.model_runs m on m.model_id = p.model_id and m.is_champion "
        "where p.track_id = ? order by m.trained_at desc, p.rank limit 3",
        [track["track_id"]],
    )
    if chosen is None or rows.empty:
        reason = (
            "no model has been trained yet"
            if chosen is None
            else "its sound is not known, or its provider does not allow models to use it"
        )
        frame.nothing(f"There is no prediction: {reason}.")
        return
    look.probabilities(rows, genres.genres_of(source))
    unsure = "It is not sure: the likeliest is less likely than not. " if rows["probability"].iloc[0] < 0.5 else ""
    label = f"Its label is {text.escape(track['genre'])}." if track["genre"] else ""
    if unsure or label:
        st.caption(unsure + label)
    kept = (
        source.ask(
            "select e.feature, e.value, e.contribution from ml.explanations e where e.track_id = ? and e.model_id = ? order by abs(e.contribution) desc",
            [track["track_id"], chosen["model_id"]],
        )
        if source.has("ml.explanations")
        else pd.DataFrame()
    )
    if kept.empty and not st.toggle("Why this genre?", key="why", bind="query-params"):
        return
    parts = kept if len(kept) else predict.predict_track(source, str(track["track_id"]))
    if parts is None or parts.empty:
        frame.nothing("It may not be explained: its provider does not allow models to use these values.")
        return
    parts = parts[parts["feature"] != BASE]
    show_contributions(parts, f"contribution to {rows['genre'].iloc[0]} (share of the probability)")


def _nearest(source: Source, track: dict[str, Any]) -> None:
    st.subheader("Tracks that sound most like it", anchor=False)
    rows = nearest(source, {n: track[n] for n in text.SOUND}, without=str(track["track_id"]))
    if rows.empty:
        frame.nothing("Too little of its sound is known to look for others like it.")
        return
    cells = st.columns(2)
    for place, row in enumerate(rows.itertuples()):
        with cells[place % 2]:
            genre = f" · {text.escape(row.genre)}" if isinstance(row.genre, str) else ""
            frame.track_link(f"{text.song(row.title, row.artist)}{genre} (apart {row.distance:.2f})", str(row.track_id))
    st.caption("Apart: mean difference over the sound features, in the spread between all tracks; 0 would be the same sound.")


def _provenance(source: Source, track: dict[str, Any]) -> None:
    whose = track["feature_track_id"]
    sound = source.ask(
        "select provider, licence, train_ok, fetched_at from core.audio_features where track_id = ? order by provider",
        [whose],
    )
    labels = source.ask(
        "select genre, source, raw_label, provider from core.track_genres where track_id = ? order by genre, source",
        [track["track_id"]],
    )
    ids = {"Our id": track["track_id"], "Spotify id": track["spotify_id"], "ISRC": track["isrc"]}
    st.markdown("\n".join(f"- {name}: {text.escape(value)}" for name, value in ids.items() if value))
    if whose and whose != track["track_id"]:
        st.markdown(f"- Its sound was measured on another release of the same recording: {text.escape(whose)}")
    st.markdown(
        f"- Popularity: {text.escape(text.provider_name(track['popularity_provider'])) if track['popularity_provider'] else 'unknown'}; mood: {text.escape(track['mood_source'])}"
    )
    if len(sound):
        frame.table(
            sound,
            source,
            "core.audio_features",
            {"provider": "Sound from", "licence": "Licence", "train_ok": "Models may use it", "fetched_at": "Fetched (UTC)"},
            "Who measured the sound",
            key="from_sound",
        )
    if len(labels):
        frame.table(
            labels,
            source,
            "core.track_genres",
            {"genre": "Genre", "source": "Said by", "raw_label": "As spelt there", "provider": "Provider"},
            "Who gave which genre",
            key="from_genre",
        )
