"""Sounds of one's own: ten sliders with a live prediction, and a file of tracks that is read, answered and forgotten."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from soundscope.app import fit, frame, look, predict, text, upload
from soundscope.app.nearest import nearest
from soundscope.app.reasons import fit_in_words, show_contributions
from soundscope.app.serve import UPLOAD_MB
from soundscope.app.source import Source
from soundscope.errors import SoundScopeError

_STEPS = {"tempo": 1.0, "loudness": 0.5, "popularity": 1.0}
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
    with left:
        for name in (*text.SOUND, "popularity"):
            low, high = _RANGE.get(name, (0.0, 1.0))
            step = _STEPS.get(name, 0.01)
            start = min(max(round(float(middle.get(name, (low + high) / 2)) / step) * step, low), high)
            values[name] = float(
                st.slider(
                    text.FEATURES[name].axis, low, high, start, step, key=f"x_{name}", bind="query-params",
                    help=text.escape(source.about(f"marts.track_features.{name}")),
                )
            )  # fmt: skip
    with right:
        row = pd.DataFrame([{"track_id": "playground", "duration_ms": None, **values}])
        _prediction(source, row, middle)
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
    said = ", ".join(f"{r.genre} {r.probability:.0%}" for r in labels.itertuples())
    look.draw(look.probabilities(labels, look.genre_colours(source)), f"Likeliest genres: {said}", height=150)
    st.caption(
        "From these ten values alone: artist, title, key and length are unknown to it, so it is less sure than of a real track."
    )
    best = str(labels["genre"].iloc[0])
    if found.why["contribution"].abs().max() < 0.005:
        st.caption("All sliders stand in the middle; move one to see what it does.")
    show_contributions(found.why, f"What each slider does for {best}", f"for {best}, against a middling value (log odds)")


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
        read = upload.read(given.getvalue(), given.name)
    except SoundScopeError as error:
        st.error(f"{text.escape(error.message)} Next: {text.escape(error.next_step)}", icon=":material/error:")
        return
    st.markdown(
        "Read as: "
        + ", ".join(f"{text.escape(column)} = **{text.feature_name(field)}**" for field, column in read.mapping.items())
        + "."
    )
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
    charts = frame.charts_of(source)
    answered = upload.answer(source, read.rows, charts[0] if charts else None)
    unknown = int(answered["genre_1"].isna().sum()) if "genre_1" in answered else 0
    st.markdown(
        f"**{len(answered):,} tracks** answered."
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
