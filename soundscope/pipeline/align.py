"""Alignment and its back-test as steps of a run: read the built tables, land what is new or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from soundscope.errors import BadInput
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.typed import create_raw
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.loading import load_step
from soundscope.pipeline.run import Run
from soundscope.pipeline.unfinished import require_built

# The models to build after landing.
ALIGN_MODELS = ("tag:alignment",)

_KNOWN = """
select chart, kind, cast(as_of as varchar), coalesce(input_hash, '') from raw.alignment_batches
qualify row_number() over (partition by chart, kind, as_of order by fetched_at desc, landing_file desc, row_no desc) = 1
"""
# A current batch that was replaced by a newer date must be made again if its date should ever return.
_STALE = """
select chart, cast(as_of as varchar) from raw.alignment_batches where kind = 'current'
qualify row_number() over (partition by chart order by scored_at desc, fetched_at desc, as_of desc) > 1
"""


def align_step(run: Run, tell: Callable[[str], None] | None = None) -> int:
    """Score every track against each chart's newest profile, and charting tracks as of the weeks before; land what changed.

    Call it after `core` and `marts` are built; then build `ALIGN_MODELS`.

    Returns:
        Batches landed; 0 when nothing they depend on has changed.
    """
    from soundscope.trends.batches import Aligner, due
    from soundscope.trends.catalogue import read_catalogue

    landed = 0

    with run.writer() as con:
        known = {(chart, kind, as_of): tag for chart, kind, as_of, tag in con.execute(_KNOWN).fetchall()}
        newest = set(known) - {(chart, "current", as_of) for chart, as_of in con.execute(_STALE).fetchall()}
        catalogue = read_catalogue(con, for_models=True)
    # What is read is held here from now on: DuckDB need not keep its memory beside it.

    def frames() -> Any:
        nonlocal landed
        for table, frame in due(Aligner(catalogue, run.settings.train.seed), {key: known[key] for key in newest}, utcnow()):
            if table == "alignment_batches":
                landed += 1
                if tell:
                    tell(
                        f"aligned {frame['chart'].iloc[0]} as of {frame['as_of'].iloc[0]}: {int(frame['n_rows'].iloc[0]):,} tracks"
                    )
            yield table, frame

    with _one_thread():
        land_frames(run.settings, run.ledger, run.run_id, "align", frames())
    if landed:
        load_step(run)
    run.facts["aligned"] = landed
    return landed


def backtest_due(run: Run) -> str | None:
    """Why the scores should be tested now, or None. Figures over decades hardly move in a week, so they age like a model does."""
    with run.writer() as con:
        newest = con.execute("select max(tested_at) from raw.alignment_backtest").fetchone()
    if newest is None or newest[0] is None:
        return "it was never done"
    days = run.settings.train.every_days
    return f"the figures are older than {days:g} days" if utcnow() - newest[0] > timedelta(days=days) else None


def backtest_step(run: Run, chart: str | None = None, tell: Callable[[str], None] | None = None, *, force: bool = False) -> int:
    """Back-test the scores on one chart or all, unless nothing has changed since; land the figures.

    Returns:
        Charts tested.

    Raises:
        BadInput: there is no such chart.
    """
    from soundscope.trends import backtest as bt
    from soundscope.trends.catalogue import read_catalogue

    tested = 0

    with run.writer() as con:
        create_raw(con)
        require_built(con)
        done = dict(
            con.execute("select chart, max_by(input_hash, tested_at) from raw.alignment_backtest group by chart").fetchall()
        )
        catalogue = read_catalogue(con, for_models=True)

    def frames() -> Any:
        nonlocal tested
        if chart is not None and chart not in catalogue.charts:
            raise BadInput(f"There is no chart {chart!r}.", next_step=f"say one of {', '.join(catalogue.charts) or 'none yet'}.")
        tag = _catalogue_hash(catalogue, bt.tag())
        for name in [chart] if chart else catalogue.charts:
            if done.get(name) == tag and not force:
                continue
            found = bt.figures(bt.score_candidates(catalogue, name, tell, run.settings.train.seed))
            if len(found):
                tested += 1
                yield "alignment_backtest", found.assign(input_hash=tag, tested_at=utcnow())
            elif tell:
                tell(f"{name}: too few released songs that charted and did not; nothing to test")

    with _one_thread():
        land_frames(run.settings, run.ledger, run.run_id, "backtest", frames())
    if tested:
        load_step(run)
    return tested


def _one_thread() -> AbstractContextManager[object]:
    """No threads for matrix products: those of kernels are so small that on a busy machine waiting for a second core costs tenfold."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


def _catalogue_hash(catalogue: Any, version: str) -> str:
    import pandas as pd

    digest = hashlib.sha256(version.encode())
    for frame in (catalogue.tracks, catalogue.entries, catalogue.other_sound):
        digest.update(pd.util.hash_pandas_object(frame.astype("string").fillna("\0"), index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]
