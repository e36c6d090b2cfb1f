"""The genre model: champion and challengers, where it errs, whether its probabilities hold, drift, its card, and every verdict."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from soundscope.app import frame, look, text
from soundscope.app.calibration import calibration
from soundscope.app.source import Source, plain
from soundscope.errors import SoundScopeError
from soundscope.genre import registry

_FIGURES = {
    "accuracy": ("Accuracy", "share of tracks whose likeliest genre is their label"),
    "top3_accuracy": ("Among the first three", "share of tracks whose label is among the three likeliest"),
    "any_label_accuracy": ("Any label", "share of tracks whose likeliest genre is one of their labels"),
    "balanced_accuracy": ("Balanced accuracy", "mean over genres of the share that is recognised"),
    "macro_f1": ("Macro F1", "mean over genres of the harmonic mean of precision and recall"),
    "log_loss": ("Log-loss", "smaller is better: how surprised the model is by the labels"),
    "calibration_error": ("Calibration error", "smaller is better: how far its probabilities are from how often it is right"),
}
_SPLITS = {
    "recording": "tracks it has not seen",
    "recording_unseen_artist": "those of artists it has not seen",
    "artist": "unseen artists",
    "forward": "the newest fifth",
    "random_leaky": "random rows (flattering)",
}
_MOST = 18
_LEVELS = {
    "none": look.BLUE,
    "steady": look.BLUE,
    "watch": look.ORANGE,
    "moderate": look.ORANGE,
    "alarm": look.VERMILION,
    "shifted": look.VERMILION,
}
_STEADY = ("none", "steady")


def show(source: Source) -> None:
    """Draw the page."""
    frame.heading(source, "The genre model", "Which model names genres, how good it is, and why others were set aside.")
    if source.release.is_synthetic:
        st.caption("Its figures are of the synthetic catalogue and say nothing about real music.")
    models = (
        source.ask("select * from ml.model_runs order by is_champion desc, trained_at desc, model_id")
        if source.has("ml.model_runs")
        else pd.DataFrame()
    )
    if models.empty:
        frame.nothing(
            "No model has been trained yet. `soundscope train` tries; it needs tracks with known sound and a genre label."
        )
        return
    champion = models[models["is_champion"].astype(bool)]
    measured = [str(m) for m in source.ask("select distinct model_id from ml.model_metrics")["model_id"]]
    if champion.empty:
        frame.nothing(
            f"There is no champion. The newest verdict: {text.escape(models['verdict'].iloc[0])}. {text.escape(models['reason'].iloc[0])}"
        )
    if measured:
        _compare(source, models, measured)
        ids = [m for m in models["model_id"] if m in measured]
        chosen = str(
            st.selectbox("Look closer at", ids, format_func=lambda m: _named(models, m), key="model", bind="query-params")
        )
        split = _split(source, chosen)
        left, right = st.columns(2, gap="large")
        with left:
            _confusion(source, chosen, split)
        with right:
            _per_genre(source, chosen, split)
            _calibration(source, chosen, models)
        _listens(source, chosen)
        _drift(source, chosen)
        frame.more("Model card", "card", _card, source, chosen)
    _verdicts(source, models)


def _named(models: pd.DataFrame, model_id: str) -> str:
    row = models[models["model_id"] == model_id].iloc[0]
    # The date only where it is needed to tell two apart: long names leave a phone no room for the figures.
    when = (
        f", {row['trained_at'].day} {row['trained_at']:%b %Y %H:%M}" if sum(models["algorithm"] == row["algorithm"]) > 1 else ""
    )
    return f"{str(row['algorithm']).replace('_', ' ')}{when} ({'champion' if row['is_champion'] else row['verdict']})"


def _split(source: Source, model_id: str) -> str:
    known = source.ask("select distinct split from ml.model_metrics where model_id = ?", [model_id])["split"].tolist()
    ordered = [s for s in _SPLITS if s in known] + sorted(s for s in known if s not in _SPLITS)
    return str(
        st.segmented_control(
            "Measured on",
            ordered,
            default=ordered[0],
            required=True,
            format_func=lambda s: _SPLITS.get(s, text.escape(s)),
            key="split",
            bind="query-params",
        )
    )


def _compare(source: Source, models: pd.DataFrame, measured: list[str]) -> None:
    st.subheader("Champion and challengers", anchor=False)
    rows = source.ask(
        "select model_id, metric, value, ci_low, ci_high from ml.model_metrics where class = 'all' and split = 'recording'"
    )
    names = {m: _named(models, m) for m in models["model_id"] if m in measured}
    kept = list(names)[:6]
    rows = rows[rows["model_id"].isin(kept)].assign(who=lambda f: f["model_id"].map(names))
    metric = str(
        st.segmented_control(
            "Figure", [m for m in _FIGURES if m in set(rows["metric"])], default="accuracy", required=True, format_func=lambda m: _FIGURES[m][0], key="figure", bind="query-params",
        )
    )  # fmt: skip
    part = rows[rows["metric"] == metric]
    majority = rows[rows["metric"] == f"majority_{metric}"]["value"]
    champion = {names[m] for m in kept if bool(models.loc[models["model_id"] == m, "is_champion"].iloc[0])}
    part = part.assign(
        role=["champion" if w in champion else "other" for w in part["who"]], shown=[f"{v:.3f}" for v in part["value"]]
    )
    y = alt.Y("who:N", sort=[names[m] for m in kept], title=None, axis=alt.Axis(labelLimit=340))
    colour = alt.Color("role:N", legend=None, scale=alt.Scale(domain=["champion", "other"], range=[look.BLUE, look.GREY]))
    base = alt.Chart(part).encode(y, colour)
    layers = [
        base.mark_rule(strokeWidth=4, opacity=0.45).encode(alt.X("ci_low:Q", title=_FIGURES[metric][0]), alt.X2("ci_high:Q")),
        base.mark_point(filled=True, size=120, opacity=1).encode(
            alt.X("value:Q"),
            tooltip=[
                "who",
                alt.Tooltip("value:Q", format=".3f"),
                alt.Tooltip("ci_low:Q", format=".3f"),
                alt.Tooltip("ci_high:Q", format=".3f"),
            ],
        ),
        base.mark_text(dy=-14, fontWeight="bold").encode(alt.X("value:Q"), alt.Text("shown:N")),
    ]
    if len(majority):
        guess = pd.DataFrame({"value": [float(majority.iloc[0])]})
        layers.append(alt.Chart(guess).mark_rule(strokeDash=[4, 4], color=look.ORANGE).encode(alt.X("value:Q")))
    told = "; ".join(f"{r.who}: {r.shown}" for r in part.itertuples())
    look.draw(alt.layer(*layers), f"{_FIGURES[metric][0]} by model: {told}", height=60 * len(part) + 40)
    dashed = " The dashed line is always naming the most frequent genre." if len(majority) else ""
    st.caption(
        f"{_FIGURES[metric][0]}: {_FIGURES[metric][1]}. Bars are intervals that hold it in 19 of 20 cases; measured on tracks that no model saw.{dashed}"
    )


def _confusion(source: Source, model_id: str, split: str) -> None:
    st.subheader("What it takes for what", anchor=False)
    rows = source.ask(
        "select true_genre, predicted_genre, n from ml.confusion where model_id = ? and split = ?", [model_id, split]
    )
    if rows.empty:
        frame.nothing("It was not recorded for this choice.")
        return
    sizes = rows.groupby("true_genre")["n"].sum().sort_values(ascending=False)
    kept = list(sizes.index[:_MOST])
    rows = rows[rows["true_genre"].isin(kept)].assign(
        predicted=lambda f: f["predicted_genre"].where(f["predicted_genre"].isin(kept), "(other)")
    )
    rows = rows.groupby(["true_genre", "predicted"], as_index=False)["n"].sum()
    rows["share"] = rows["n"] / rows.groupby("true_genre")["n"].transform("sum")
    order = [*kept, "(other)"]
    cells = alt.Chart(rows).mark_rect().encode(
        alt.X("predicted:N", sort=order, title="what the model says", axis=alt.Axis(labelAngle=-60)), alt.Y("true_genre:N", sort=order, title="the label"),
        alt.Color("share:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=alt.Legend(format="%", title="share of the label", orient="bottom")),
        tooltip=[alt.Tooltip("true_genre:N"), alt.Tooltip("predicted:N"), alt.Tooltip("n:Q"), alt.Tooltip("share:Q", format=".0%")],
    )  # fmt: skip
    wrong = rows[(rows["true_genre"] != rows["predicted"]) & (rows["predicted"] != "(other)")].nlargest(1, "n")
    told = (
        f"Most often taken for another: {wrong['true_genre'].iloc[0]} for {wrong['predicted'].iloc[0]}."
        if len(wrong)
        else "No genre is taken for another."
    )
    look.draw(cells, f"Confusion matrix of {len(kept)} genres. {told}", height=max(24 * len(kept) + 230, 320))
    st.caption(
        text.escape(told)
        + (f" Shown are the {len(kept)} most frequent of {len(sizes)} genres." if len(sizes) > len(kept) else "")
    )


def _per_genre(source: Source, model_id: str, split: str) -> None:
    st.subheader("Genre by genre", anchor=False)
    rows = source.ask(
        "select class as genre, max(value) filter (metric = 'precision') as precision, max(value) filter (metric = 'recall') as recall, "
        "max(value) filter (metric = 'f1') as f1, max(ci_low) filter (metric = 'f1') as ci_low, max(ci_high) filter (metric = 'f1') as ci_high, "
        "max(value) filter (metric = 'support') as support from ml.model_metrics where model_id = ? and split = ? and class <> 'all' group by class order by support desc, class",
        [model_id, split],
    )
    rows = rows[rows["support"] > 0]
    if rows.empty:
        frame.nothing("It was not measured for this choice.")
        return
    config: dict[str, Any] = {
        "genre": "Genre",
        "precision": st.column_config.ProgressColumn(
            "Precision", min_value=0, max_value=1, format="%.2f", help="Of those it calls so, how many are."
        ),
        "recall": st.column_config.ProgressColumn(
            "Recall", min_value=0, max_value=1, format="%.2f", help="Of those that are, how many it calls so."
        ),
        "f1": st.column_config.NumberColumn("F1", format="%.2f", help="Harmonic mean of both."),
        "ci_low": st.column_config.NumberColumn("from", format="%.2f", help=text.escape(source.about("ml.model_metrics.ci_low"))),
        "ci_high": st.column_config.NumberColumn("to", format="%.2f", help=text.escape(source.about("ml.model_metrics.ci_high"))),
        "support": st.column_config.NumberColumn("Tracks", format="%d", help="Tracks of this genre that it was measured on."),
    }
    st.dataframe(
        rows, hide_index=True, column_config=config, height=320, alt="Precision, recall and F1 by genre", key="per_genre"
    )


def _calibration(source: Source, model_id: str, models: Any) -> None:
    st.subheader("Can its probabilities be believed?", anchor=False)
    found = calibration(source, model_id, str(models.loc[models["model_id"] == model_id, "target"].iloc[0]))
    if found.n < 20:
        frame.nothing("Too few labelled tracks that this model never saw have been scored with it to say.")
        return
    scale = alt.Scale(domain=[0, 1])
    ideal = (
        alt.Chart(pd.DataFrame({"v": [0, 1]})).mark_line(strokeDash=[4, 4], color=look.GREY).encode(alt.X("v:Q"), alt.Y("v:Q"))
    )
    base = alt.Chart(found.bins).encode(alt.X("said:Q", title="what the model says", scale=scale, axis=alt.Axis(format="%")))
    bars = base.mark_rule(color=look.BLUE, opacity=0.4, strokeWidth=3).encode(alt.Y("low:Q"), alt.Y2("high:Q"))
    dots = base.mark_circle(color=look.BLUE, opacity=1).encode(
        alt.Y("right:Q", title="how often it is right", scale=scale, axis=alt.Axis(format="%")), alt.Size("n:Q", legend=None, scale=alt.Scale(range=[30, 250])),
        tooltip=[alt.Tooltip("said:Q", format=".0%"), alt.Tooltip("right:Q", format=".0%"), alt.Tooltip("n:Q")],
    )  # fmt: skip
    look.draw(alt.layer(ideal, bars, dots), "How often the model is right against the probability it gives", height=260)
    others = (
        f" {found.n_nameless:,} more carry a label that it was not trained on, so it cannot be right about them."
        if found.n_nameless
        else ""
    )
    st.caption(f"On the dashed line its probabilities are what they say. {found.n:,} labelled tracks that it never saw.{others}")


def _listens(source: Source, model_id: str) -> None:
    rows = source.ask(
        "select class as feature, value, ci_low, ci_high from ml.model_metrics where model_id = ? and metric = 'permutation_importance' "
        "and split = (select min(split) from ml.model_metrics where model_id = ? and metric = 'permutation_importance') order by value desc limit 15",
        [model_id, model_id],
    )
    if rows.empty:
        return
    st.subheader("What it listens to", anchor=False)
    drawn = rows.assign(label=[text.feature_name(str(f)) for f in rows["feature"]])
    base = alt.Chart(drawn).encode(alt.Y("label:N", sort=None, title=None))
    bars = base.mark_bar(height=12, color=look.BLUE).encode(
        alt.X("value:Q", title="log-loss lost without it"), tooltip=[alt.Tooltip("label:N"), alt.Tooltip("value:Q", format=".3f")]
    )
    told = ", ".join(f"{r.label} {r.value:.2f}" for r in drawn.head(5).itertuples())
    look.draw(bars, f"What the model listens to most: {told}", height=look.rows_height(len(drawn)))
    st.caption("How much worse it gets when the values of one input are shuffled among the tracks.")


def _drift(source: Source, model_id: str) -> None:
    st.subheader("Do today's tracks look like those it was trained on?", anchor=False)
    rows: Any = (
        source.ask(
            "select feature, psi, level, as_of from ml.drift where model_id = ? qualify row_number() over (partition by feature order by as_of desc) = 1 order by psi desc",
            [model_id],
        )
        if source.has("ml.drift")
        else pd.DataFrame()
    )
    if rows.empty:
        frame.nothing("Drift has not been measured for this model in this release.")
        return
    moved = rows[~rows["level"].isin(_STEADY)]
    st.markdown(
        "All features are steady."
        if moved.empty
        else "Moved: "
        + ", ".join(f"{text.escape(text.feature_name(r.feature))} ({text.escape(r.level)})" for r in moved.itertuples())
        + "."
    )
    drawn = rows.assign(label=[text.feature_name(f) for f in rows["feature"]])
    levels = [level for level in _LEVELS if level in set(rows["level"])]
    bars = alt.Chart(drawn).mark_bar(height=12).encode(
        alt.Y("label:N", sort=None, title=None), alt.X("psi:Q", title="population stability index (below 0.1 steady, above 0.25 shifted)"),
        alt.Color("level:N", scale=alt.Scale(domain=levels, range=[_LEVELS[level] for level in levels])),
        tooltip=[alt.Tooltip("label:N"), alt.Tooltip("psi:Q", format=".3f"), alt.Tooltip("level:N")],
    )  # fmt: skip
    look.draw(
        bars,
        "Drift by feature: " + ", ".join(f"{r.label} {r.psi:.2f}" for r in drawn.itertuples()),
        height=look.rows_height(len(drawn)) + 20,
    )


def _card(source: Source, model_id: str) -> None:
    try:
        card: dict[str, Any] = registry.read_card(source.settings.paths.models, model_id)
    except SoundScopeError as error:
        frame.nothing(f"{text.escape(error.message)}")
        return
    facts = {
        "Names": f"{len(card.get('classes', []))} {card.get('target')} labels", "Trained": str(card.get("trained_at")), "On": f"{card.get('n_train', 0):,} tracks of release {card.get('release_id')}",
        "Providers": _pairs(card.get("providers")), "Licences": _pairs(card.get("licences")), "Left out": _pairs(card.get("left_out")), "Sees": str(card.get("inputs")),
        "Meant for": str(card.get("meant_for")), "File": f"SHA-256 {str(card.get('sha256'))[:16]}…", "Seed": str(card.get("seed")),
    }  # fmt: skip
    st.markdown("\n".join(f"- **{name}**: {text.escape(value)}" for name, value in facts.items() if value))
    st.download_button(
        "Download the card (JSON)",
        json.dumps(card, indent=2),
        f"{model_id}.json",
        "application/json",
        on_click="ignore",
        key="card_file",
    )


def _pairs(values: Any) -> str:
    return (
        ", ".join(f"{name} {number:,}" if isinstance(number, int) else f"{name} {number}" for name, number in values.items())
        if isinstance(values, dict)
        else ""
    )


def _verdicts(source: Source, models: Any) -> None:
    st.subheader("Verdicts so far", anchor=False)
    words = {
        "promoted": "was promoted",
        "refused": "was refused",
        "candidate": "was set aside",
        "retired": "was retired",
        "not_trained": "was not trained",
    }
    for row in models.sort_values("judged_at", ascending=False).head(12).itertuples():
        when = plain(row.judged_at) or plain(row.trained_at)
        st.markdown(
            f"- {text.day(when)}, {when:%H:%M}: {text.escape(str(row.algorithm).replace('_', ' '))} {words.get(row.verdict, text.escape(row.verdict))}: {text.escape(row.reason)}"
        )
    frame.more("All models", "every_model", _every_model, source, models)


def _every_model(source: Source, models: Any) -> None:
    columns = {
        "model_id": "Model",
        "trained_at": "Trained (UTC)",
        "target": "Target",
        "verdict": "Verdict",
        "is_champion": "Champion",
        "n_train": "Tracks",
        "n_classes": "Classes",
        "reason": "Why",
    }
    frame.table(models, source, "ml.model_runs", columns, "All models with their verdicts", key="all_models")
