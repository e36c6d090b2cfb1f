"""620 chart keys read by two independent readers (a third decided where they differed), against the real catalogue the names come from.

The sample is stratified by decade and by the way keys were matched, so that hard ones weigh far more than in a chart: its figures are for
finding faults and for seeing that none is added, not for quoting. `read_cases.csv` holds names and decisions alone. A link is the right song if its title equals the expected one under the benchmark's
frozen normalisation and an act is common to both; it is the right recording if, besides, a version that the chart did not mean is marked as such.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from soundscope.match import match_keys
from soundscope.settings import PROJECT

pytestmark = [pytest.mark.realdata, pytest.mark.slow]
CASES = Path(__file__).with_name("read_cases.csv")


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matching_benchmark", PROJECT / "benchmarks" / "matching.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def read(benchmark: ModuleType, realdata: Path) -> pd.DataFrame:
    """One row per case: what the readers said and what the matcher says now."""
    cases = pd.read_csv(CASES, dtype=str, keep_default_na=False)
    keys, tracks, _ = benchmark.load(realdata)
    wanted = keys.merge(cases, left_on=["title", "artist"], right_on=["chart_title", "chart_artist"])
    wanted = wanted[wanted["run_no"] == 1].drop_duplicates(["title", "artist"])
    assert len(wanted) == len(cases), "a case names a chart key that the archive does not have"
    links = match_keys(wanted[keys.columns], tracks)
    found = tracks[["track_id", "title", "artists"]].rename(columns={"title": "title_found", "artists": "artists_found"})
    frame = wanted.drop(columns="decided_by").merge(
        links.merge(found, on="track_id", how="left"), on=["title", "artist", "run_no"]
    )

    def same_song(row: pd.Series) -> bool:
        """Equal titles, and an act in common: a catalogue lists the acts of one recording in any order and number."""
        acts = [
            {benchmark.frozen_artist(act) for act in re.split("[;,]", str(row[name]))}
            for name in ("artists_found", "expected_artists")
        ]
        titles = [benchmark.frozen_title(str(row[name]).replace("’", "'")) for name in ("title_found", "expected_title")]
        return titles[0] == titles[1] and bool(acts[0] & acts[1])

    frame["linked"] = frame["status"].isin(["matched", "overridden"])
    frame["absent"] = frame["expected_title"] == "absent"
    frame["right_song"] = frame.apply(same_song, axis=1) & ~frame["absent"]
    frame["right_recording"] = frame["right_song"] & (frame["is_other_version"].astype(bool) | (frame["version_note"] == ""))
    return frame


def test_the_right_song_is_linked(read: pd.DataFrame) -> None:
    linked = read[read["linked"]]
    findable = read[~read["absent"]]
    song_precision = linked["right_song"].mean()
    recording_precision = linked.loc[~linked["is_other_version"].astype(bool), "right_recording"].mean()
    recall = (findable["linked"] & findable["right_song"]).mean()
    wrong = linked.loc[~linked["right_song"], ["title", "artist", "title_found", "artists_found", "expected_title", "score"]]
    missed = findable.loc[
        ~(findable["linked"] & findable["right_song"]), ["title", "artist", "status", "title_found", "expected_title", "score"]
    ]
    unmarked = linked.loc[linked["right_song"] & ~linked["right_recording"], ["title", "artist", "title_found", "score"]]
    print(
        f"song precision {song_precision:.4f}, recall {recall:.4f}, recording precision {recording_precision:.4f} of {len(read)} keys, {len(linked)} linked"
    )
    for name, rows in (("wrong", wrong), ("missed", missed), ("version not marked", unmarked)):
        print(f"{name}:\n{rows.to_string(index=False)}")
    # Floors a little below what rules 3 reach (0.985, 0.95, 0.947; rules 1, before the cases were known: 0.957, 0.778, 0.895): the sample
    # takes as many hard keys as easy ones. Weighted to all chart keys they are in docs/matching.md.
    assert song_precision >= 0.97
    assert recall >= 0.93
    assert recording_precision >= 0.93
