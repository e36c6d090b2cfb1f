"""Models as a person looks at them: one with its verdict, card and figures, or two side by side. Reads a release only."""

from __future__ import annotations

from typing import Any

import duckdb

from soundscope.errors import BadInput, SoundScopeError
from soundscope.genre import registry
from soundscope.settings import Settings

_FIGURES = """
select split, metric, value, ci_low, ci_high from ml.model_metrics where model_id = ? and class = 'all' order by split, metric
"""
_PAIR = """
select a.split, a.metric, a.value as a, a.ci_low as a_low, a.ci_high as a_high, b.value as b, b.ci_low as b_low, b.ci_high as b_high,
    b.value - a.value as b_minus_a
from ml.model_metrics a
join ml.model_metrics b on b.split = a.split and b.metric = a.metric and b.class = a.class
where a.model_id = ? and b.model_id = ? and a.class = 'all' order by a.split, a.metric
"""
_LABELS = """
select a.class as label, s.value as support, a.value as f1_a, b.value as f1_b, b.value - a.value as b_minus_a
from ml.model_metrics a
join ml.model_metrics b on b.split = a.split and b.metric = a.metric and b.class = a.class
join ml.model_metrics s on s.model_id = a.model_id and s.split = a.split and s.metric = 'support' and s.class = a.class
where a.model_id = ? and b.model_id = ? and a.split = 'recording' and a.metric = 'f1' and s.value > 0
order by abs(b.value - a.value) desc, a.class limit 10
"""


def _rows(con: duckdb.DuckDBPyConnection, sql: str, values: list[str]) -> list[dict[str, Any]]:
    cursor = con.execute(sql, values)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _run(con: duckdb.DuckDBPyConnection, model_id: str) -> dict[str, Any]:
    found = _rows(con, "select * from ml.model_runs where model_id = ?", [model_id])
    if not found:
        raise BadInput(f"There is no model {model_id}.", next_step="list the models with: soundscope models")
    return found[0]


def show(con: duckdb.DuckDBPyConnection, settings: Settings, model_id: str) -> dict[str, Any]:
    """Verdict (run), card (without the baseline of drift) and figures of one model.

    Raises:
        BadInput: there is no such model.
    """
    run = _run(con, model_id)
    try:
        card = {k: v for k, v in registry.read_card(settings.paths.models, model_id).items() if k != "reference"}
    except SoundScopeError as error:
        card = {"missing": error.message}
    return {"run": run, "card": card, "figures": _rows(con, _FIGURES, [model_id]) or [{"split": "none measured"}]}


def side_by_side(con: duckdb.DuckDBPyConnection, a: str, b: str) -> dict[str, Any]:
    """Figures of two models by split and metric, the ten labels they differ in most (f1 on the frozen rows), and notes.

    Raises:
        BadInput: there is no such model, or they predict different things.
    """
    first, second = _run(con, a), _run(con, b)
    if first["target"] != second["target"]:
        raise BadInput(
            f"{a} predicts {first['target']}, {b} predicts {second['target']}.", next_step="compare models of one target."
        )
    notes = [f"a: {a}, {first['verdict']}: {first['reason']}", f"b: {b}, {second['verdict']}: {second['reason']}"]
    if first["release_id"] != second["release_id"]:
        notes.append(
            "They were measured on the frozen rows of different releases, so small differences mean nothing; the paired comparison on the "
            "same rows is in the reason of the later verdict."
        )
    return {"a": a, "b": b, "notes": notes, "figures": _rows(con, _PAIR, [a, b]), "labels": _rows(con, _LABELS, [a, b])}
