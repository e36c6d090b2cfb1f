"""Matching as a step of a run: reads staging, lands links and recordings that changed. The rules are in `soundscope.match`.

What a person decided is landed by `match_decisions` and stays theirs: the matcher is told of it, and lands nothing for those keys.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pandas as pd

from soundscope.ingest.ledger import utcnow
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.loading import load_results, load_step
from soundscope.pipeline.run import Run
from soundscope.sources.internal import PROVIDER
from soundscope.spread import Spread

LINK_COLUMNS = ["track_id", "status", "is_other_version", "method", "score", "runner_up_track_id", "runner_up_score"]
KEY = ["title", "artist", "run_no"]

# A person's newest word on each key. `unmatched` takes a decision back; `review` only says that the decided track was gone.
DECISIONS = """
select * exclude (status) from (
    select title, artist, run_no, track_id, decided_by, coalesce(decided_at, fetched_at) as decided_at, reason, status
    from raw.track_links
    where decided_by not like 'soundscope%' and status <> 'review'
    qualify row_number() over (
        partition by title, artist, run_no order by fetched_at desc, decided_at desc nulls last, landing_file desc, row_no desc
    ) = 1
) where status = 'overridden' order by title, artist, run_no
"""
_LINKS = f"""
select title, artist, run_no, {", ".join(LINK_COLUMNS)} from raw.track_links
where provider = '{PROVIDER}' and decided_by like 'soundscope%'
qualify row_number() over (partition by title, artist, run_no order by fetched_at desc, landing_file desc, row_no desc) = 1
"""
_COUNTS = """
select coalesce(links.status, 'unmatched') as status, count(*) as n
from staging.chart_keys as chart_keys
left join staging.stg_track_links as links using (title, artist, run_no)
group by 1
"""


def match_step(run: Run) -> dict[str, int]:
    """Match chart keys to tracks and tracks to recordings, as far as something they depend on differs, and land what changed.

    Returns:
        Counts by status, and `changed`: links and recordings that differ from before.
    """
    from soundscope.match import group_recordings
    from soundscope.pipeline import rematching
    from soundscope.pipeline.match_tracks import recordings_before, recordings_to_land

    # What another machine has matched since this one loaded counts as done, so it is to be here.
    load_results(run, "match")
    with run.writer() as con:
        inputs = rematching.read_inputs(con, con.execute(DECISIONS).df())
        before = run.ledger.unit_etag(PROVIDER, "match", "inputs")
        if before == inputs.tag:
            return {**_count(run, con), "changed": 0}
        part = rematching.part_of(con, inputs, before) or rematching.everything(con, inputs)
        links = con.execute(_LINKS).df()
        new_links = _links_to_land(part.keys, part.answered, part.tracks, inputs.decisions, links, run.spread)
        changed = len(new_links)

        def frames() -> Iterator[tuple[str, pd.DataFrame]]:
            nonlocal changed
            yield "track_links", new_links
            for tracks in part.grouped:
                found = recordings_to_land(group_recordings(tracks), recordings_before(con, tracks))
                changed += len(found)
                yield "recordings", found

        land_frames(run.settings, run.ledger, run.run_id, "match", frames(), {"inputs": inputs.tag})
    load_step(run)
    with run.writer() as con:
        rematching.remember(con, inputs, part.changed)
        return {**_count(run, con), "changed": changed}


def _links_to_land(
    keys: pd.DataFrame,
    answered: np.ndarray,
    tracks: pd.DataFrame,
    decisions: pd.DataFrame | None,
    before: pd.DataFrame,
    spread: Spread,
) -> pd.DataFrame:
    """The matcher's own links that differ from those before."""
    from soundscope.match import match_keys

    links = match_keys(keys, tracks, decisions, spread)[answered]
    links["score"], links["runner_up_score"] = links["score"].round(4), links["runner_up_score"].round(4)
    own = links[links["decided_by"].str.startswith("soundscope")]
    return _changed(own, before, KEY, LINK_COLUMNS).assign(decided_at=utcnow().isoformat())


def _count(run: Run, con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    counts = {str(status): int(n) for status, n in con.execute(_COUNTS).fetchall()}
    run.facts["matched"] = counts
    return counts


def _changed(now: pd.DataFrame, before: pd.DataFrame, key: list[str], columns: list[str]) -> pd.DataFrame:
    """Rows of `now` that are new or differ from `before` in one of the columns."""
    merged = now.merge(before[[*key, *columns]], on=key, how="left", suffixes=("", "_before"), indicator=True)
    differs = merged["_merge"].eq("left_only")
    for column in columns:
        a, b = merged[column], merged[f"{column}_before"]
        differs |= ~((a.isna() & b.isna()) | (a.astype("object") == b.astype("object")))
    return now[differs.to_numpy()]
