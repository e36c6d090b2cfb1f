"""Two pages with a history in the dashboard: the card of the model in use, and how good the data is. What one run did is in `report`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import duckdb
import sqlalchemy as sa

from soundscope.errors import SoundScopeError
from soundscope.ingest import tables as t
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.gates import newest_match_rates
from soundscope.pipeline.genre_steps import champion
from soundscope.pipeline.markdown import code, plain, table
from soundscope.pipeline.ops import freshness

if TYPE_CHECKING:
    from soundscope.pipeline.run import Run

_SAMPLES = 8
_FIGURES = ("accuracy", "any_label_accuracy", "macro_f1", "log_loss", "calibration_error")


def model_card(run: Run) -> str:
    """The model in use in Markdown: what it is for, what it was trained on, how good it is with intervals, what it cannot do."""
    from soundscope.genre import registry

    target = run.settings.train.target
    with run.writer() as con:
        create_raw(con)
        model_id = champion(con, target)
    if model_id is None:
        return f"# Model card\n\nNo model is in use for {target}; `soundscope models` says why.\n"
    try:
        card = registry.read_card(run.settings.paths.models, model_id)
    except SoundScopeError as error:
        return f"# Model card: {code(model_id)}\n\n{plain(error.message)} {plain(error.next_step)}\n"
    synthetic = "**Trained on synthetic data (profile sandbox): the figures say nothing about real music.**" * (
        card["profile"] == "sandbox"
    )
    figures = [
        (name, f"{found['value']:.3f}", _interval(found.get("ci_low"), found.get("ci_high")))
        for name in _FIGURES
        if (found := card["figures"].get(name)) and found["value"] is not None
    ]
    split = card["split"]
    parts = [
        f"# Model card: {code(model_id)}",
        synthetic,
        table(
            ["", ""],
            [
                ("suggests", f"{card['target']}, the three likeliest labels of a track with probabilities"),
                ("algorithm", card["algorithm"]),
                ("trained", f"{card['trained_at']} on {card['n_train']:,} tracks of release {code(card['release_id'])}"),
                ("labels", f"{len(card['classes'])}: " + ", ".join(code(label, 30) for label in card["classes"][:12])),
                ("values from", ", ".join(f"{code(name)} {n:,}" for name, n in sorted(card["providers"].items()))),
                ("licences", ", ".join(f"{code(name)} {plain(text)}" for name, text in sorted(card["licences"].items()))),
                ("left out", _left_out(card["left_out"])),
                ("unsure", f"labels below {card['not_sure_below']:g} are marked so"),
            ],
        ),
        f"## Measured on {split['measured_rows']:,} held tracks, all copies of a recording in one fold",
        table(["figure", "value", "95 % interval"], figures),
        "It is not for deciding about people, and no label is a fact: it repeats what its sources call things. More: docs/classifier.md.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _left_out(reasons: Mapping[str, int]) -> str:
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = "; ".join(f"{plain(reason, 60)}: {n:,}" for reason, n in most[:3])
    rest = sum(n for _, n in most[3:])
    return shown + (f"; {rest:,} for {len(most) - 3} other reasons" if rest else "")


def _interval(low: float | None, high: float | None) -> str:
    return f"{low:.3f} to {high:.3f}" if low is not None and high is not None else ""


def quality_report(run: Run) -> str:
    """How good the data is, in Markdown: age of the charts, match rate, missing features, quarantine by reason, checks that do not pass."""
    with run.writer() as con:
        create_raw(con)
        parts = ["# Data quality", *_charts(run, con), *_features(con), *quarantine(con), *_checks(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _charts(run: Run, con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    frame = freshness(run.ledger, con).frame
    rows = [
        (code(row.subject), row.newest_date, f"{row.age_days:.0f} days", f"{row.n_rows:,}", "stale" if row.is_stale else "")
        for row in frame[frame["kind"] == "chart"].itertuples()
    ]
    yield "## Charts"
    yield table(["chart", "newest week", "age", "entries", ""], rows) or "No chart is held."
    if not _has(con, "core", "chart_entries"):
        return
    rates = [
        (
            code(one.chart),
            one.chart_date,
            f"{one.rate:.1%}",
            f"{one.usual:.1%}",
            f"{one.n_unmatched:,}",
            "fallen" if one.has_fallen else "",
        )
        for one in newest_match_rates(con)
    ]
    yield "## Match rate of the newest weeks"
    yield table(["chart", "week", "matched", "usual", "without a track", ""], rates) or "Nothing is usual yet."


def _features(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    if not _has(con, "marts", "feature_summary"):
        return
    found = con.execute("select feature, n, missing from marts.feature_summary order by missing desc, feature").fetchall()
    yield "## Features"
    yield table(
        ["feature", "tracks", "missing"], [(name, f"{n:,}", f"{missing / max(1, n + missing):.1%}") for name, n, missing in found]
    )


def quarantine(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Quarantine by reason, each with one value as it came."""
    rows = con.execute(
        "select table_name, field, reason, count(*) as n, min(coalesce(raw_value, raw_line)), min(row_key) "
        f"from raw.quarantine group by all order by n desc, 1, 2, 3 limit {_SAMPLES + 1}"
    ).fetchall()
    yield "## Quarantine"
    shown = [(code(name), code(field or "the row"), plain(reason, 120), f"{n:,}", code(value or ""), code(key or ""))
             for name, field, reason, n, value, key in rows[:_SAMPLES]]  # fmt: skip
    yield table(["table", "field", "reason", "values or rows", "for instance", "of"], shown) or "Nothing is in quarantine."
    if len(rows) > _SAMPLES:
        yield "More: `select * from ops.quarantine`."


def _checks(run: Run) -> Iterator[str]:
    c = t.check_results.c
    query = sa.select(c.check, c.table_name, c.status, c.message).where(c.run_id == run.run_id, c.status != "pass")
    with run.ledger.read() as connection:
        rows = connection.execute(query.order_by(c.table_name, c.check)).all()
    yield "## Checks of this run that did not pass"
    yield (
        "\n".join(f"- {row.status}: {code(row.table_name)} {plain(row.check)}: {plain(row.message)}" for row in rows)
        or "All passed."
    )


def _has(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    query = "select count(*) from information_schema.tables where table_schema = ? and table_name = ?"
    return con.execute(query, [schema, name]).fetchone() != (0,)
