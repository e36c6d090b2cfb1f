"""A person's decisions on links: entered, taken back, written to a file and read from one. They are landed, so that every rebuild has them.

How a file of decisions looks is `soundscope.match.decisions`; how decisions win is there too, and in `staging.stg_track_links`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from soundscope.errors import BadInput
from soundscope.ingest.ledger import utcnow
from soundscope.ingest.typed import create_raw
from soundscope.match.decisions import DECISION_COLUMNS, check_decisions, read_decisions, write_decisions
from soundscope.match.explain import nearest, same_name
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.loading import load_step
from soundscope.pipeline.matching import DECISIONS, KEY
from soundscope.pipeline.run import Run

_LANDED_AS = "decision"
_SPOTIFY = re.compile(r"(?:spotify:track:|https?://open\.spotify\.com/(?:[\w-]+/)?track/|spotify:)?([0-9A-Za-z]{22})(?:[?#].*)?")


@dataclass(frozen=True)
class Imported:
    """What a file of decisions brought: decisions in it, how many differ from what was decided before, how many name what is not held."""

    read: int
    changed: int
    unknown: int


def set_decision(
    run: Run, title: str, artist: str, track_id: str | None, *, reason: str, by: str, run_no: int | None = None
) -> dict[str, object]:
    """Decide which track a chart key means; the next build has it.

    Args:
        run: a run that holds the writer lock.
        title, artist: as charted; case and accents do not matter.
        track_id: the track, also as a bare Spotify id, URI or address; None: it is not in the catalogue.
        reason: why; may be empty.
        by: who decides.
        run_no: which of several simultaneous runs; needed only where there are several.

    Returns:
        The decision as landed.

    Raises:
        BadInput: nothing is built yet, no chart has this name, the track is not held, or `by` is missing or SoundScope's own name.
    """
    with run.writer() as con:
        key = _key(con, title, artist, run_no)
        found = _track(con, track_id) if track_id is not None else None
    row = {**key, "track_id": found, "decided_by": _person(by), "decided_at": utcnow(), "reason": reason.strip() or None}
    _land(run, pd.DataFrame([row]), "overridden", "decision")
    return row


def unset_decision(run: Run, title: str, artist: str, *, reason: str, by: str, run_no: int | None = None) -> dict[str, object]:
    """Take a decision back; from the next build on the matcher's own answer counts again.

    Raises:
        BadInput: nobody has decided on this name.
    """
    with run.writer() as con:
        decisions = decided(con)
    held = decisions[same_name(decisions, title, artist)] if len(decisions) else decisions
    if run_no is not None:
        held = held[held["run_no"] == run_no]
    if held.empty:
        raise BadInput(
            f"Nobody has decided on {title!r} by {artist!r}" + (f", run {run_no}." if run_no is not None else "."),
            next_step="`soundscope match export FILE` writes all decisions that are in force.",
        )
    if len(held) > 1:
        raise BadInput(f"There are decisions on {len(held)} runs of {title!r} by {artist!r}.", next_step=_say_run(held))
    row: dict[str, object] = {
        **_plain_key(held.iloc[0]),
        "track_id": None,
        "decided_by": _person(by),
        "decided_at": utcnow(),
        "reason": reason.strip() or None,
    }
    _land(run, pd.DataFrame([row]), "unmatched", "withdrawn")
    return row


def export_decisions(run: Run, file: Path) -> int:
    """Write all decisions in force to a CSV file; returns how many.

    Raises:
        BadInput: the file cannot be written.
    """
    with run.writer() as con:
        decisions = decided(con)
    try:
        write_decisions(decisions, file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}.", next_step="give a path in a folder of yours.") from error
    return len(decisions)


def import_decisions(run: Run, file: Path, *, allow_unknown: bool = False) -> Imported:
    """Take over the decisions of a file; what it does not name stays as it is. The same file again changes nothing.

    Args:
        run: a run that holds the writer lock.
        file: CSV as `export_decisions` writes it.
        allow_unknown: take decisions on names or tracks that are not held, too; they count once those arrive.

    Raises:
        BadInput: the file is wrong, or names a chart key or track that is not held; nothing was changed.
    """
    given = read_decisions(file)
    for row in given.itertuples():
        _person(str(row.decided_by))
    with run.writer() as con:
        before = decided(con)
        unknown = _unknown(con, given)
    if unknown and not allow_unknown:
        shown = "\n".join(f"  - {problem}" for problem in unknown[:12]) + (
            f"\n  - and {len(unknown) - 12} more" if len(unknown) > 12 else ""
        )
        raise BadInput(
            f"{file} names {len(unknown)} thing(s) that are not held; nothing was changed:\n{shown}",
            next_step="correct them, or say --allow-unknown to keep such decisions until those charts and tracks arrive.",
        )
    merged = given.merge(
        before[[*KEY, "track_id", "decided_by", "reason"]], on=KEY, how="left", suffixes=("", "_before"), indicator=True
    )
    same = merged["_merge"].eq("both")
    for column in ("track_id", "decided_by", "reason"):
        same &= merged[column].fillna("") == merged[f"{column}_before"].fillna("")
    fresh = given[~same.to_numpy()]
    if len(fresh):
        _land(run, fresh.assign(decided_at=fresh["decided_at"].fillna(utcnow())), "overridden", "decision")
    return Imported(len(given), len(fresh), len(unknown))


def decided(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """All decisions in force, one row per key, with the columns of a file of decisions."""
    create_raw(con)
    return check_decisions(con.execute(DECISIONS).df()[DECISION_COLUMNS])


def _land(run: Run, decisions: pd.DataFrame, status: str, method: str) -> None:
    score = 1.0 if status == "overridden" else None
    rows = decisions.assign(status=status, method=method, score=score, is_other_version=False)
    rows["decided_at"] = pd.to_datetime(rows["decided_at"]).map(lambda at: at.isoformat())
    land_frames(run.settings, run.ledger, run.run_id, _LANDED_AS, [("track_links", rows)])
    load_step(run)


def _person(by: str) -> str:
    by = by.strip()
    if not by or by.lower().startswith("soundscope"):
        raise BadInput(
            f"{by!r} is no person's name.", next_step="say who decides with --by (names that begin with soundscope are its own)."
        )
    return by


def _key(con: duckdb.DuckDBPyConnection, title: str, artist: str, run_no: int | None) -> dict[str, object]:
    """The one chart key that is meant."""
    if not _is_built(con):
        raise BadInput("No chart has been built yet.", next_step="`soundscope run` (or import a chart, then build) first.")
    keys = con.execute("select title, artist, run_no from staging.chart_keys order by all").df()
    found = keys[keys["title"].eq(title) & keys["artist"].eq(artist)]
    if found.empty:
        found = keys[same_name(keys, title, artist)]
    if found.empty:
        raise BadInput(f"No chart holds {title!r} by {artist!r}.", next_step=nearest(keys, title, artist))
    if found[["title", "artist"]].drop_duplicates().shape[0] > 1:
        spelled = "; ".join(f"{row.title} by {row.artist}" for row in found.itertuples())
        raise BadInput(
            f"Charts spell {title!r} by {artist!r} in several ways.", next_step=f"write it exactly as one of: {spelled}."
        )
    if run_no is not None:
        found = found[found["run_no"] == run_no]
        if found.empty:
            raise BadInput(f"{title!r} by {artist!r} has no run {run_no}.", next_step="leave --run out.")
    if len(found) > 1:
        raise BadInput(f"{title!r} by {artist!r} held two ranks at once, so it has {len(found)} runs.", next_step=_say_run(found))
    return _plain_key(found.iloc[0])


def _plain_key(row: pd.Series) -> dict[str, object]:
    return {"title": str(row["title"]), "artist": str(row["artist"]), "run_no": int(row["run_no"])}


def _say_run(rows: pd.DataFrame) -> str:
    return f"say which with --run: {', '.join(str(n) for n in sorted(rows['run_no']))}."


def _track(con: duckdb.DuckDBPyConnection, track_id: str) -> str:
    """The track's id as the warehouse has it."""
    said = track_id.strip()
    bare = _SPOTIFY.fullmatch(said)
    wanted = [said, *([f"spotify:{bare.group(1)}"] if bare else [])]
    row = con.execute(
        "select track_id from staging.track_identity where track_id in (select unnest(?)) limit 1", [wanted]
    ).fetchone()
    if row is None:
        raise BadInput(
            f"There is no track {said!r} in the warehouse.",
            next_step="`soundscope match explain TITLE ARTIST` lists the candidates with their ids; a track that is missing can be imported "
            "(soundscope import FILE --as tracks), or say --absent.",
        )
    return str(row[0])


def _is_built(con: duckdb.DuckDBPyConnection) -> bool:
    create_raw(con)
    names = con.execute("select table_name from duckdb_tables() where schema_name = 'staging'").fetchall()
    return {("chart_keys",), ("track_identity",)} <= set(names)


def _unknown(con: duckdb.DuckDBPyConnection, decisions: pd.DataFrame) -> list[str]:
    """Chart keys and tracks of these decisions that are not held, in words."""
    if not _is_built(con):
        return ["any chart or track: nothing has been built yet"] if len(decisions) else []
    keys = pd.MultiIndex.from_frame(con.execute("select title, artist, run_no from staging.chart_keys").df())
    tracks = con.execute("select track_id from staging.track_identity").df()["track_id"]
    problems = []
    known_key = pd.MultiIndex.from_frame(decisions[KEY]).isin(keys)
    known_track = decisions["track_id"].isna() | decisions["track_id"].isin(tracks)
    names = zip(
        decisions["title"], decisions["artist"], decisions["run_no"], decisions["track_id"], known_key, known_track, strict=True
    )
    for number, (title, artist, run_no, track_id, has_key, has_track) in enumerate(names, 1):
        if not has_key:
            problems.append(f"row {number}: no chart holds {title!r} by {artist!r}" + (f", run {run_no}" if run_no != 1 else ""))
        if not has_track:
            problems.append(f"row {number}: there is no track {track_id!r}")
    return problems
