"""The small world of the SQL tests with a row more for every table it leaves empty, and what reaches it later."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
from rawdb import add, columns
from sqlworld import AFTER_HOLE, CHART, FIRST, chart_rows, fill

NEW_WEEK = AFTER_HOLE + timedelta(days=21)
CORRECTED = date(2020, 11, 7)
_DAY = datetime(2024, 1, 2)


def fill_all(con: duckdb.DuckDBPyConnection) -> None:
    """Nothing of the contract is empty: a song charts at two ranks, a song has no id but its name, a batch of alignment."""
    fill(con)
    add(
        con,
        "tracks",
        [{"title": "It's\u00a0 odd\t\\ “name”", "artist": "Ärtist 99", "duration_ms": 180_500}],
        provider="import:mine",
    )
    twice = {"chart": CHART, "title": "Twins", "artist": "Artist 1"}
    weeks = [FIRST + timedelta(days=7 * week) for week in range(20, 26)]
    # Two recordings that change places twice.
    seen = list(zip(weeks, (6, 6, 6, 7, 7, 6), (None, 6, 6, 6, 7, 7), strict=True))
    seen += zip(weeks[2:], (7, 6, 6, 7), (None, 7, 6, 6), strict=True)
    rows = [{**twice, "chart_date": day, "rank": rank, "reported_last_week": last} for day, rank, last in seen]
    add(con, "chart_entries", rows, provider=CHART)
    held = ("spotify:s00", "spotify:s01", "spotify:s02")
    add(con, "recordings", [{"track_id": held[1], "recording_id": held[0]}], provider="soundscope")
    batch = {"batch_id": "b1", "chart": CHART, "as_of": AFTER_HOLE}
    add(con, "alignment_batches", [{**batch, "kind": "current", "n_rows": 3, "scored_at": _DAY}], provider="soundscope")
    known = {"distance": 1.5, "artist_momentum": 0.0, "n_reference": 9, "confidence": 0.5, "is_charting": True}
    add(
        con,
        "alignment",
        [{**batch, **known, "track_id": t, "alignment": 30.0 * n, "score": float(n)} for n, t in enumerate(held)],
    )
    sums = [c for c in columns("alignment_contributions") if c.startswith(("z_", "adds_"))]
    values = [
        {"batch_id": "b1", "track_id": t, **{c: 0.1 * n + 0.01 * m for m, c in enumerate(sums)}} for n, t in enumerate(held)
    ]
    add(con, "alignment_contributions", values)
    tested: dict[str, Any] = {"chart": CHART, "quarter": "all", "segment": "all", "score": "alignment", "is_rival": False}
    add(con, "alignment_backtest", [{**tested, "auc": 0.6, "n": 9, "n_positive": 3, "tested_at": _DAY}])
    con.execute("update raw.predictions set input_hash = 'h'")
    said = {"track_id": held[0], "model_id": "m1", "genre": "pop", "input_hash": "h", "explained_at": _DAY}
    add(con, "explanations", [{**said, "feature": "tempo", "value": 90.0, "contribution": 0.6}])
    point = {"model_id": "m1", "feature": "tempo", "as_of": date(2024, 1, 1), "psi": 0.01, "level": "none", "n": 9}
    add(con, "drift", [{**point, "is_held_back": False, "measured_at": _DAY}])


def add_later(con: duckdb.DuckDBPyConnection) -> None:
    """One new week of the chart, and an old week that the provider has turned around and shortened."""
    rows = chart_rows([CORRECTED])
    for row in rows:
        row["rank"] = len(rows) + 1 - int(str(row["rank"]))
    later = {"provider": CHART, "landing_file": "b.ndjson.zst", "fetched_at": datetime(2024, 4, 1)}
    add(con, "chart_entries", rows[1:] + chart_rows([NEW_WEEK]), **later)
