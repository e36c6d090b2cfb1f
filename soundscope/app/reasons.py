"""Reasons in words and bars, shared by the pages: how a sound fits a chart, and what speaks for or against something."""

from __future__ import annotations

from typing import Any

import streamlit as st

from soundscope.app import look, text
from soundscope.app.source import Source, plain

_SHOWN = 10
_LEAST = 0.005
_WORTH_SAYING, _ALIKE = 0.02, 0.35


def fit_in_words(source: Source, chart: str, row: dict[str, Any], parts: Any) -> None:
    """Alignment in sentences.

    Args:
        source: for the back-test, if there is one.
        chart: which chart.
        row: alignment, and where known alignment_in_genre, confidence, n_reference, coverage, popularity_gap, chart_likelihood,
            likelihood_reason, artist_momentum, as_of.
        parts: feature, z, contribution.
    """
    fit = row.get("alignment")
    if fit is None:
        st.markdown("There are too few tracks to rank it among.")
        return
    st.metric(
        f"Fit with {text.chart_name(chart)}" + (f" of {text.day(row['as_of'])}" if row.get("as_of") is not None else ""),
        f"{fit:.0f} of 100",
        help=text.escape(source.about("marts.popularity_alignment.alignment")),
    )
    genre = row.get("alignment_in_genre")
    sentences = [
        f"Its sound is closer to what charts now than that of **{fit:.0f} %** of all tracks"
        + (f", and of {genre:.0f} % of its genre." if genre is not None else ".")
    ]
    for word, sign in (("For it", 1), ("Against it", -1)):
        told = [reason for r in parts.itertuples() if sign * r.contribution > _WORTH_SAYING and (reason := _reason(r, sign))][:3]
        if told:
            sentences.append(f"{word}: {', '.join(told)}.")
    gap = row.get("popularity_gap")
    if gap is not None and abs(gap) >= 25:
        sentences.append(
            "It fits far better than it is known: **a sleeper**."
            if gap > 0
            else "It is far better known than it fits: **a hit that defies the trend**."
        )
    chance = row.get("chart_likelihood")
    if chance is not None:
        sentences.append(f"Of songs that sound like this, **{chance:.1%}** charted within three months of their release.")
    elif row.get("likelihood_reason"):
        sentences.append(f"How likely such a song charts is not known: {text.escape(row['likelihood_reason'])}.")
    if row.get("artist_momentum") is not None:
        sentences.append(
            f"Not counted is the artist's fame: **{row['artist_momentum']:.0f}** points from earlier weeks in the chart."
        )
    st.markdown("\n".join(f"- {sentence}" for sentence in sentences))
    st.caption(_worth(source, chart, row))


def _worth(source: Source, chart: str, row: dict[str, Any]) -> str:
    sure = row.get("confidence") or 0.0
    word = "high" if sure >= 0.7 else "fair" if sure >= 0.4 else "weak"
    known = f", {row['n_reference']} charting songs known" if row.get("n_reference") else ""
    said = f"Confidence {word} ({sure:.2f}{known}). "
    tested = (
        source.one(
            "select auc from marts.alignment_backtest where chart = ? and score = 'alignment' and quarter = 'all' and segment = 'all'",
            [chart],
        )
        if source.has("marts.alignment_backtest")
        else None
    )
    if tested and tested["auc"] is not None:
        said += f"In the back-test the fit told later hits from other songs with an AUC of {tested['auc']:.2f} (0.5 is chance). "
    return said + "It says better what does not sound like the charts than which song will be a hit."


def _reason(part: Any, sign: int) -> str:
    """A feature in words. Empty where words would mislead: unknown, or against it though it is as in the charts."""
    z, known = plain(part.z), text.FEATURES.get(part.feature)
    if z is None or known is None:
        return ""
    if abs(z) < _ALIKE:
        return f"{known.label.lower()} as in the charts" if sign > 0 else ""
    # The fit weighs the charts against all other songs: what is off their mean can still be more usual there than elsewhere.
    return f"its {known.label.lower()}" if sign > 0 else f"{known.more if z > 0 else known.less} than the charts"


def show_contributions(parts: Any, axis: str) -> None:
    """Bars of contributions: blue to the right speak for it, orange-red to the left against it."""
    parts = parts[parts["contribution"].abs() >= _LEAST]
    if parts.empty:
        return
    most = parts.reindex(parts["contribution"].abs().sort_values(ascending=False).index).head(_SHOWN)
    look.bars(
        [
            look.Bar(
                text.feature_name(row["feature"]) + (f" ({words})" if (words := _value(row)) else ""),
                float(row["contribution"]),
                f"{row['contribution']:+.2f}",
                look.FOR if row["contribution"] > 0 else look.AGAINST,
            )
            for row in most.to_dict("records")
        ],
        axis,
    )


def _value(part: dict[str, Any]) -> str:
    """A feature's value, or how far it is from the usual one."""
    value, z = plain(part.get("value")), plain(part.get("z"))
    return text.figure(part["feature"], value) if value is not None else f"{z:+.1f} sd" if z is not None else ""
