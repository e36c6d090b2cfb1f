"""Every line of cases.csv, matched against the right tracks of all lines plus the traps in catalogue.csv."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from soundscope.match import match_keys

FOLDER = Path(__file__).parent
CASES = pd.read_csv(FOLDER / "cases.csv", dtype="str", keep_default_na=False)


def catalogue() -> pd.DataFrame:
    right = CASES.loc[CASES["expected_title"] != "absent", ["expected_title", "expected_artists"]].drop_duplicates()
    right = right.rename(columns={"expected_title": "title", "expected_artists": "artists"})
    traps = pd.read_csv(FOLDER / "catalogue.csv", dtype={"title": "str", "artists": "str", "album": "str", "release_date": "str"})
    tracks = pd.concat([right, traps], ignore_index=True)
    tracks["track_id"] = [f"test:{i}" for i in range(len(tracks))]
    tracks["artist"] = tracks["artists"].str.split("; ").str[0]
    tracks["duration_ms"] = tracks["seconds"] * 1000.0
    return tracks


@pytest.fixture(scope="module")
def answers() -> pd.DataFrame:
    keys = CASES.rename(columns={"chart_title": "title", "chart_artist": "artist"})[["title", "artist"]].assign(run_no=1)
    tracks = catalogue()
    links = match_keys(keys, tracks)
    found = tracks.set_index("track_id").reindex(links["track_id"])
    return links.assign(found_title=found["title"].to_numpy(), found_artists=found["artists"].to_numpy())


def test_cases_are_well_formed() -> None:
    assert not CASES.duplicated(["chart_title", "chart_artist"]).any()
    assert (CASES[["chart_title", "chart_artist", "expected_title", "why"]] != "").all().all()
    named = CASES["expected_title"] != "absent"
    assert (CASES.loc[named, "expected_artists"] != "").all()
    assert set(CASES["version_note"]) <= {"", "other version"}


@pytest.mark.parametrize("row", range(len(CASES)), ids=[f"{c.chart_title} - {c.chart_artist}" for c in CASES.itertuples()])
def test_case(row: int, answers: pd.DataFrame) -> None:
    case, answer = CASES.iloc[row], answers.iloc[row]
    told = f"{answer['status']} {answer['score']:.2f}: {answer['found_title']} by {answer['found_artists']} ({answer['reason']})"
    if case["expected_title"] == "absent":
        assert answer["status"] != "matched", told
        return
    assert (answer["found_title"], answer["found_artists"]) == (case["expected_title"], case["expected_artists"]), told
    if case["version_note"]:
        assert answer["is_other_version"], told
    else:
        assert answer["status"] == "matched", told
        assert not answer["is_other_version"], told
