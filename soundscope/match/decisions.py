"""A person's decisions on links: they win over everything. Kept as a frame, and as a small CSV file that anyone can edit.

Columns: `title`, `artist`, `run_no` (empty means 1), `track_id` (empty means: not in the catalogue), `decided_by`, `decided_at` (UTC), `reason`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from soundscope.errors import BadInput

DECISION_COLUMNS = ["title", "artist", "run_no", "track_id", "decided_by", "decided_at", "reason"]
_KEY = ["title", "artist", "run_no"]


def read_decisions(file: Path) -> pd.DataFrame:
    """Read a file of decisions.

    Raises:
        BadInput: the file is missing, is not UTF-8 CSV, lacks a column, or a line is wrong; the message names file and line.
    """
    try:
        frame = pd.read_csv(file, dtype="str", keep_default_na=False, na_values=[""], encoding="utf-8-sig", skipinitialspace=True)
    except FileNotFoundError as error:
        raise BadInput(f"The file of decisions {file} does not exist.", next_step="check the path.") from error
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadInput(
            f"{file} is not a CSV file in UTF-8: {error}.", next_step=f"write a first line {','.join(DECISION_COLUMNS)}."
        ) from error
    return check_decisions(frame, source=str(file))


def write_decisions(decisions: pd.DataFrame, file: Path) -> None:
    """Write decisions so that `read_decisions` gives them back."""
    frame = check_decisions(decisions, source="decisions")
    frame["decided_at"] = frame["decided_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    temporary = file.with_name(file.name + ".part")
    frame.to_csv(temporary, index=False, encoding="utf-8")
    temporary.replace(file)


def check_decisions(decisions: pd.DataFrame, *, source: str = "decisions", track_ids: pd.Series | None = None) -> pd.DataFrame:
    """Decisions with their types; of several on one key the newest holds (the last, where times are equal).

    Args:
        decisions: rows with `title`, `artist`, `track_id`, and the other columns where known.
        source: what to call them in an error.
        track_ids: the catalogue; give it when a person enters decisions, so that a mistyped id is refused.

    Raises:
        BadInput: a column is missing, or a row has no title, artist or person, a wrong run number or time, or an unknown track.
    """
    missing = [column for column in ("title", "artist", "track_id") if column not in decisions]
    if missing:
        raise BadInput(
            f"{source} has no column {', '.join(missing)}.", next_step=f"the columns are {', '.join(DECISION_COLUMNS)}."
        )
    frame = decisions.reindex(columns=DECISION_COLUMNS).reset_index(drop=True)
    for column in ("title", "artist", "track_id", "decided_by", "reason"):
        text = frame[column].astype("str").str.strip()
        frame[column] = text.where(text.notna() & (text != ""), None).astype("str")
    run_no = pd.to_numeric(frame["run_no"].fillna(1), errors="coerce")
    decided_at = pd.to_datetime(
        frame["decided_at"], errors="coerce", utc=True, format="ISO8601" if frame["decided_at"].dtype == "str" else None
    )
    problems = {
        "has no title": frame["title"].isna(),
        "has no artist": frame["artist"].isna(),
        "has a run_no that is not 1, 2, ...": run_no.isna() | (run_no < 1) | (run_no % 1 != 0),
        "does not say who decided (decided_by)": frame["decided_by"].isna(),
        "has a decided_at that is not a time like 2026-01-31T12:00:00Z": decided_at.isna() & frame["decided_at"].notna(),
    }
    if track_ids is not None:
        problems["names a track_id that is not in the catalogue"] = frame["track_id"].notna() & ~frame["track_id"].isin(track_ids)
    for problem, rows in problems.items():
        if rows.any():
            line = int(np.flatnonzero(rows.to_numpy())[0])
            raise BadInput(
                f"{source}, row {line + 1} (line {line + 2} of a file) {problem}.",
                next_step="correct that row; nothing was changed.",
            )
    frame["run_no"] = run_no.astype("int64")
    frame["decided_at"] = decided_at.dt.tz_localize(None)
    order = frame.sort_values("decided_at", kind="stable", na_position="first")
    return order.drop_duplicates(_KEY, keep="last").sort_index().reset_index(drop=True)


def apply_decisions(result: pd.DataFrame, decisions: pd.DataFrame | None, tracks: pd.DataFrame) -> np.ndarray:
    """Write decisions into a result; give the positions of the keys nobody decided on.

    A track that has left the catalogue since cannot be linked: its key goes to review, saying so, and no rule overrides the person.
    """
    everything = np.arange(len(result))
    if decisions is None or decisions.empty or result.empty:
        return everything
    frame = check_decisions(decisions).set_index(_KEY)
    keys = pd.MultiIndex.from_frame(result[_KEY])
    at = everything[keys.isin(frame.index)]
    if not len(at):
        return everything
    decided = frame.loc[keys[at]]
    reasons = decided["reason"].fillna(decided["track_id"].notna().map({True: "decided", False: "decided: not in the catalogue"}))
    result.loc[at, "track_id"] = decided["track_id"].to_numpy()
    result.loc[at, "status"] = "overridden"
    result.loc[at, "method"] = "decision"
    result.loc[at, "score"] = 1.0
    result.loc[at, "decided_by"] = decided["decided_by"].to_numpy()
    result.loc[at, "reason"] = reasons.to_numpy()
    gone = at[(decided["track_id"].notna() & ~decided["track_id"].isin(tracks["track_id"])).to_numpy()]
    result.loc[gone, "reason"] = "decided, but not in the catalogue: " + result.loc[gone, "track_id"]
    result.loc[gone, "status"] = "review"
    result.loc[gone, "track_id"] = None
    result.loc[gone, "score"] = 0.0
    return everything[~keys.isin(frame.index)]
