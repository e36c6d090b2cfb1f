"""`soundscope trends`, `align`, `sleepers` and `backtest`. Imports are inside the commands, as in `cli`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from soundscope.errors import BadInput

if TYPE_CHECKING:
    from soundscope.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Chart = Annotated[str | None, typer.Option(help="Name of the chart; every chart, if left out.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (trends, align, sleepers, backtest):
        app.command()(command)


def _settings() -> Settings:
    from soundscope.settings import load_settings

    return load_settings()


def trends(
    chart: Annotated[str | None, typer.Option(help="Name of the chart; the first, if left out.")] = None,
    feature: Annotated[list[str] | None, typer.Option(help="Feature, several times for several; all, if left out.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="First date, YYYY-MM-DD.")] = None,
    window: Annotated[int, typer.Option(help="Weeks of the trailing window: 4, 12 or 52.")] = 52,
    json: Json = False,
) -> None:
    """How the sound of a chart has moved, with a small plot for each feature."""
    from contextlib import closing
    from datetime import date

    from soundscope.output import clean, show_json
    from soundscope.trends.words import plot, read_trend
    from soundscope.warehouse.connect import open_release

    try:
        date.fromisoformat(since or "2000-01-01")
    except ValueError as error:
        raise BadInput(f"--from {since!r} is no date.", next_step="write it as YYYY-MM-DD.") from error
    with closing(open_release(_settings())) as con:
        named = chart or _first_chart(con)
        wanted = feature or [
            row[0]
            for row in con.execute(
                "select feature from marts.chart_trends where chart = ? and mean is not null group by 1 order by 1", [named]
            ).fetchall()
        ]
        found = {name: read_trend(con, named, name, window, since) for name in wanted or ["energy"]}
    if json:
        show_json({"chart": named, "window_weeks": window, "trends": {n: _records(f) for n, f in found.items()}})
        return
    print(clean(f"{named}, windows of {window} weeks, weighted by chart points"))
    for name, frame in found.items():
        print(f"\n{name}\n{plot(frame)}")


def align(
    track: Annotated[str, typer.Argument(help="Its id, its Spotify id, or words of its title and artist.")],
    chart: Chart = None,
    json: Json = False,
) -> None:
    """How well a track fits what charts now, why, and how sure that is."""
    from contextlib import closing

    from soundscope.output import clean, show_json
    from soundscope.trends import words
    from soundscope.trends.batches import Aligner
    from soundscope.trends.catalogue import read_catalogue
    from soundscope.warehouse.connect import open_release

    settings = _settings()
    with closing(open_release(settings)) as con:
        aligner = Aligner(read_catalogue(con), settings.train.seed)
        worth = dict(
            con.execute(
                "select chart, auc from marts.alignment_backtest where score = 'alignment' and quarter = 'all' and segment = 'all'"
            ).fetchall()
        )
        likelihood = {
            (track_id, one): (value, reason)
            for track_id, one, value, reason in con.execute(
                "select track_id, chart, chart_likelihood, likelihood_reason from marts.popularity_alignment where is_current"
            ).fetchall()
        }
    charts = [chart] if chart else aligner.catalogue.charts
    if chart and chart not in aligner.catalogue.charts:
        raise BadInput(
            f"There is no chart {chart!r}.", next_step=f"say one of {', '.join(aligner.catalogue.charts) or 'none yet'}."
        )
    row = words.find_track(aligner.catalogue, track)
    name = f"{aligner.catalogue.tracks['title'].iloc[row]} by {aligner.catalogue.tracks['artist'].iloc[row]}"
    if not aligner.catalogue.is_scorable[row]:
        raise BadInput(f"The sound of {clean(name)} is not known.", next_step="`soundscope ingest features`, or import it.")
    track_id = str(aligner.catalogue.tracks["track_id"].iloc[row])
    found = {one: words.explain(aligner, row, one, likelihood.get((track_id, one), (None, None))) for one in charts}
    if json:
        show_json({"track_id": track_id, "track": name, "alignment": [words.as_dict(a) for a in found.values() if a]})
        return
    for one, alignment in found.items():
        told = (
            words.in_words(name, alignment, worth.get(one)) if alignment else f"{one}: too little is known of it for a profile."
        )
        print("\n".join(clean(line) for line in told.splitlines()))
    if settings.profile == "sandbox":
        print("The catalogue is synthetic: this says nothing about real music.")


def sleepers(
    chart: Chart = None,
    misfits: Annotated[bool, typer.Option("--misfits", help="The other way round: charting songs that do not fit.")] = False,
    last: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 20,
    json: Json = False,
) -> None:
    """Songs that fit what charts now and are hardly known; with --misfits, hits that do not fit."""
    from contextlib import closing

    from soundscope.output import show_table
    from soundscope.trends.words import read_sleepers
    from soundscope.warehouse.connect import open_release

    with closing(open_release(_settings())) as con:
        found = read_sleepers(con, chart, misfits=misfits, limit=last)
    for name in ("as_of", "popularity_since"):
        found[name] = found[name].astype("string").str[:10]
    rows = list(found.astype(object).where(found.notna(), None).itertuples(index=False, name=None))
    show_table(list(found.columns), rows, json)
    if not rows and not json:
        print("No track has both an alignment and a popularity; see `soundscope doctor` for who gives popularity.")


def backtest(
    chart: Chart = None,
    force: Annotated[bool, typer.Option(help="Test again although nothing has changed.")] = False,
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="Publish a release with the figures.")] = True,
    json: Json = False,
) -> None:
    """What alignment was worth: songs that charted after their release against songs that did not, with rivals; from 1990 on."""
    from soundscope.output import show_table
    from soundscope.pipeline import steps
    from soundscope.pipeline.align import ALIGN_MODELS, backtest_step
    from soundscope.pipeline.run import open_run

    with open_run(_settings(), "backtest") as begun:
        tested = backtest_step(begun, chart, lambda line: print(line, file=sys.stderr, flush=True), force=force)
        if tested:
            steps.build_step(begun, ALIGN_MODELS)
            if publish:
                steps.publish_step(begun)
        begun.facts["message"] = f"back-tested {tested} chart(s)"
        with begun.writer() as con:
            cursor = con.execute(_FIGURES, [chart, chart])
            columns = [column[0] for column in cursor.description or []]
            rows = cursor.fetchall()
    show_table(columns, rows, json)
    if not json:
        print("margin: AUC above the timeless centroid. What the figures do not show: docs/alignment.md.")


_FIGURES = """
select chart, score, is_rival, round(auc, 3) as auc, round(ci_low, 3) as ci_low, round(ci_high, 3) as ci_high, round(lift_10, 2) as lift_10,
    round(margin, 3) as margin, round(margin_low, 3) as margin_low, round(margin_high, 3) as margin_high, n, n_positive
from marts.alignment_backtest where quarter = 'all' and segment = 'all' and (cast(? as varchar) is null or chart = ?)
order by chart, is_rival, auc desc
"""


def _first_chart(con: object) -> str:
    row = con.execute("select min(chart) from marts.chart_trends").fetchone()  # type: ignore[attr-defined]
    if not row or row[0] is None:
        raise BadInput("There is no chart yet.", next_step="run `soundscope run`, or import one with --as chart.")
    return str(row[0])


def _records(frame: object) -> list[dict[str, object]]:
    import json
    from typing import cast

    import pandas as pd

    shown = cast(pd.DataFrame, frame).assign(chart_date=lambda f: f["chart_date"].astype(str).str[:10])
    return json.loads(shown.to_json(orient="records"))
