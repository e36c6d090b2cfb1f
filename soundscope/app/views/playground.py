"""Sounds of one's own: ten sliders with a live prediction, and a file of tracks that is read, answered and forgotten."""

from __future__ import annotations

from zlib import crc32

import pandas as pd
import streamlit as st

from soundscope.app import fit, frame, genres, look, predict, text, upload
from soundscope.app.nearest import nearest
from soundscope.app.reasons import fit_in_words, show_contributions
from soundscope.app.serve import UPLOAD_MB
from soundscope.app.source import Source
from soundscope.errors import SoundScopeError

_NO_COLUMN = "– not in the file –"
_MAPPED = ("title", "artist", *text.SOUND, "popularity", "duration_ms", "release_date")
_FIELD_NAMES = {"duration_ms": "length in milliseconds"}
_STEPS = {"tempo": 1.0, "loudness": 0.5, "popularity": 1.0}
_FORM = {"tempo": "%.0f", "loudness": "%.1f", "popularity": "%.0f"}
_RANGE = {"tempo": (40.0, 220.0), "loudness": (-40.0, 0.0), "popularity": (0.0, 100.0)}


def show(source: Source) -> None:
    """Draw the page."""
    frame.heading(source, "Playground", "Make up a sound, or bring a file of your own tracks. Nothing of it is kept.")
    view = st.segmented_control(
        "What",
        ["Sliders", "Your own file"],
        default="Sliders",
        required=True,
        key="mode",
        bind="query-params",
        label_visibility="collapsed",
    )
    if view == "Sliders":
        _sliders(source)
    else:
        _file(source)


@st.fragment
def _sliders(source: Source) -> None:
    middle = dict(
        source.ask("select feature, median from marts.feature_summary where median is not null").itertuples(index=False)
    )
    left, right = st.columns([2, 3], gap="large")
    values: dict[str, float] = {}
    starts: dict[str, float] = {}
    with left:
        for name in (*text.SOUND, "popularity"):
            low, high = _RANGE.get(name, (0.0, 1.0))
            step = _STEPS.get(name, 0.01)
            start = min(max(round(float(middle.get(name, (low + high) / 2)) / step) * step, low), high)
            starts[name] = start
            values[name] = float(
                st.slider(
                    text.FEATURES[name].axis, low, high, start, step, key=f"x_{name}", bind="query-params", format=_FORM.get(name, "%.2f"),
                    help=text.escape(source.about(f"marts.track_features.{name}")),
                )
            )  # fmt: skip
    with right:
        row = pd.DataFrame([{"track_id": "playground", "duration_ms": None, **values}])
        _prediction(source, row, starts)
        _fit(source, row)
        rows = nearest(source, values, limit=6)
        if len(rows):
            st.subheader(
                "Real tracks that sound most like it" if not source.release.is_synthetic else "Tracks that sound most like it",
                anchor=False,
            )
            for one in rows.itertuples():
                frame.track_link(f"{text.song(one.title, one.artist)} (apart {one.distance:.2f})", str(one.track_id))


def _prediction(source: Source, row: pd.DataFrame, middle: dict[str, float]) -> None:
    st.subheader("What the model hears", anchor=False)
    try:
        found = predict.predict(source, row, against=middle)
    except SoundScopeError as error:
        frame.nothing(f"The model cannot be used: {text.escape(error.message)}")
        return
    if found is None:
        frame.nothing("There is no champion model yet; `soundscope train` makes one.")
        return
    labels = found.labels
    look.probabilities(labels, genres.genres_of(source))
    st.caption(
        "From these ten values alone: artist, title, key and length are unknown to it, so it is less sure than of a real track."
    )
    best = str(labels["genre"].iloc[0])
    if found.why["contribution"].abs().max() < 0.005:
        st.caption("All sliders stand in the middle; move one to see what it does.")
    show_contributions(found.why, f"for {best}, against a middling value (right: speaks for it)")


def _fit(source: Source, row: pd.DataFrame) -> None:
    charts = frame.charts_of(source)
    made = fit.fit_of(source, charts[0]) if charts else None
    st.subheader("How it fits what charts now", anchor=False)
    if made is None:
        frame.nothing("This release has no profile of a chart to compare it with.")
        return
    found = made.alignment(row).iloc[0]
    if pd.isna(found["alignment"]):
        frame.nothing("There are too few tracks to rank it among.")
        return
    facts = {
        "alignment": float(found["alignment"]),
        "confidence": float(found["confidence"]),
        "n_reference": made.profile.n_reference,
    }
    fit_in_words(source, charts[0], facts, made.contributions(row))


def _file(source: Source) -> None:
    st.markdown(
        f"A CSV of up to {UPLOAD_MB} MB and {upload.MOST_ROWS:,} rows, with a title or an artist and any of the features. "
        "It is read in memory, answered, and forgotten when you leave; to keep tracks, use `soundscope import`."
    )
    st.download_button(
        "An example to fill in", text.to_csv(upload.example()), "example.csv", "text/csv", on_click="ignore", key="example"
    )
    given = st.file_uploader("Your tracks", type=["csv", "tsv", "txt"], max_upload_size=UPLOAD_MB, key="file")
    if given is None:
        return
    try:
        mapping = _mapping(upload.columns(given.getvalue(), given.name))
        read = upload.read(given.getvalue(), given.name, mapping)
    except SoundScopeError as error:
        st.error(f"{text.escape(error.message)} Next: {text.escape(error.next_step)}", icon=":material/error:")
        return
    _refused(read)
    _answers(source, read)


def _mapping(columns: list[str]) -> dict[str, str]:
    """Field -> column, as recognised and then as the person says."""
    found = upload.recognised(columns)
    # Another file with other columns begins anew.
    stem = f"{crc32(chr(0).join(columns).encode()):x}"
    with st.expander(f"{len(found)} of {len(columns)} columns are recognised; look or change it here", expanded=len(found) < 3):
        cells = st.columns(3)
        chosen = {
            field: cells[place % 3].selectbox(
                _FIELD_NAMES.get(field, text.feature_name(field)).capitalize(), [_NO_COLUMN, *columns],
                index=columns.index(found[field]) + 1 if field in found else 0, key=f"map_{stem}_{field}",
            )
            for place, field in enumerate(_MAPPED)
        }  # fmt: skip
    return {field: str(column) for field, column in chosen.items() if column != _NO_COLUMN}


def _refused(read: upload.Upload) -> None:
    if read.refused:
        with st.expander(
            f"{len(read.refused):,} value{'s' * (len(read.refused) > 1)} could not be used and count as unknown",
            icon=":material/warning:",
        ):
            st.dataframe(
                pd.DataFrame(read.refused, columns=["Row", "Column", "Value", "Why"]),
                hide_index=True,
                alt="Values that could not be used",
                key="refused",
            )


def _answers(source: Source, read: upload.Upload) -> None:
    charts = frame.charts_of(source)
    answered = upload.answer(source, read.rows, charts[0] if charts else None)
    unknown = int(answered["genre_1"].isna().sum()) if "genre_1" in answered else 0
    st.markdown(
        f"**{text.count(len(answered), 'track')}** answered."
        + (f" For {unknown:,} of them too little of the sound is given." if unknown else "")
    )
    st.dataframe(answered, hide_index=True, alt="Your tracks with predictions and fit", key="answers", lazy=False)
    st.download_button(
        "Download the answers (CSV)",
        lambda: text.to_csv(answered),
        "answers.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        key="answers_csv",
    )
