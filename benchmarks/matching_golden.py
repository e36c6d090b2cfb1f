"""Measures matching on the 620 read keys, raw and weighted to all keys of the chart. Reads the folder SOUNDSCOPE_REALDATA.

    python benchmarks/matching_golden.py              the figures, and every key that is not as read

The keys were drawn with `matching.py --sample-golden 420` from strata of decade, method and status under rules version 1, rare strata as often
as common ones; 200 more in the same order from the strata of exact matches and of keys without a candidate. `matching_strata.csv` holds for each key its stratum then, how many of all 28,672 keys were in it and how many were read.
A key's weight is the quotient of the two: it stands for that many. The weights never change with the rules, as the draw does not either.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import matching
import numpy as np
import pandas as pd

from soundscope.match import match_keys
from soundscope.settings import PROJECT

CASES = PROJECT / "tests" / "golden" / "read_cases.csv"
STRATA = Path(__file__).with_name("matching_strata.csv")
KEY = ["chart_title", "chart_artist"]


def weighted_cases() -> pd.DataFrame:
    """The read keys with `weight`, the number of chart keys that each stands for."""
    cases = pd.read_csv(CASES, dtype=str, keep_default_na=False)
    strata = pd.read_csv(STRATA, dtype={"chart_title": str, "chart_artist": str}, keep_default_na=False)
    strata["weight"] = strata["keys"] / strata["keys_read"]
    return cases.merge(strata, on=KEY, validate="one_to_one")


def compare(keys: pd.DataFrame, tracks: pd.DataFrame) -> pd.DataFrame:
    """What the readers said beside what the matcher says; one row per read key.

    A link is the right song if its title equals the expected one under the frozen normalisation and an act is common to both. It is the right
    recording if, besides, the readers noted no other version. Links that are marked as another version claim no recording.
    """
    cases = weighted_cases().rename(columns={"method": "drawn_as", "status": "drawn_status"})
    wanted = keys.merge(cases, left_on=["title", "artist"], right_on=KEY)
    if len(wanted) != len(cases):
        raise SystemExit("a read key is not among the chart's keys")
    links = match_keys(wanted[keys.columns], tracks).reset_index(drop=True)
    found = tracks.set_index("track_id")[["title", "artists"]].reindex(links["track_id"]).reset_index(drop=True)
    frame = pd.concat([wanted[["title", "artist", *cases.columns]], links.drop(columns=["title", "artist"])], axis=1)
    frame["title_found"], frame["artists_found"] = found["title"].fillna(""), found["artists"].fillna("")
    frame["linked"] = frame["status"].eq("matched")
    frame["absent"] = frame["expected_title"].eq("absent")
    frame["right_song"] = [not row.absent and _same_song(row) for row in frame.itertuples()]
    frame["claims"] = frame["linked"] & ~frame["is_other_version"]
    frame["right_recording"] = frame["right_song"] & frame["version_note"].eq("")
    return frame


def _same_song(row: tuple) -> bool:
    acts = [{matching.frozen_artist(act) for act in re.split("[;,]", text)} for text in (row.artists_found, row.expected_artists)]
    titles = [matching.frozen_title(text.replace("’", "'")) for text in (row.title_found, row.expected_title)]
    return titles[0] == titles[1] and bool(acts[0] & acts[1])


def shares(frame: pd.DataFrame, weight: np.ndarray) -> dict[str, float]:
    """Song precision, recall and recording precision under `weight` (shape (n,))."""

    def share(part: pd.Series, whole: pd.Series) -> float:
        return float((weight * (part & whole)).sum() / (weight * whole).sum())

    return {
        "song precision": share(frame["right_song"], frame["linked"]),
        "recall": share(frame["linked"] & frame["right_song"], ~frame["absent"]),
        "recording precision": share(frame["right_recording"], frame["claims"]),
    }


def interval(frame: pd.DataFrame, weight: np.ndarray, n: int = 1000) -> dict[str, tuple[float, float]]:
    """95 % of `shares` when keys are drawn again within their strata; strata with one read key add no spread, so it is too narrow."""
    rng = np.random.default_rng(3)
    rows = frame.groupby(["decade", "drawn_as", "drawn_status"]).indices
    draws = []
    for _ in range(n):
        at = np.concatenate([rng.choice(part, len(part)) for part in rows.values()])
        draws.append(shares(frame.iloc[at], weight[at]))
    table = pd.DataFrame(draws).quantile([0.025, 0.975])
    return {name: (float(table[name].iloc[0]), float(table[name].iloc[1])) for name in table}


def main() -> int:
    folder = Path(os.environ.get("SOUNDSCOPE_REALDATA", PROJECT.parent / "shared" / "data"))
    if not folder.exists():
        print(f"no real data in {folder}; set SOUNDSCOPE_REALDATA", file=sys.stderr)
        return 2
    keys, tracks, _ = matching.load(folder)
    frame = compare(keys, tracks)
    weight = frame["weight"].to_numpy(dtype=float)
    if not np.isclose(weight.sum(), len(keys)):
        raise SystemExit(f"the strata add up to {weight.sum():.0f} keys, the chart has {len(keys)}")
    print(f"{len(frame)} read keys stand for {weight.sum():,.0f}; linked {frame['linked'].sum()}, absent {frame['absent'].sum()}")
    for label, used in (("raw", np.ones(len(frame))), ("weighted", weight)):
        between = interval(frame, used)
        told = (
            f"{name} {value:.4f} ({between[name][0]:.4f} to {between[name][1]:.4f})"
            for name, value in shares(frame, used).items()
        )
        print(f"{label}: {', '.join(told)}; as many keys' worth {used.sum() ** 2 / (used**2).sum():.0f}")
    found = frame["linked"] & frame["right_song"]
    other, marked = frame["version_note"].ne(""), frame["is_other_version"]
    print(
        f"marks: {(found & other & marked).sum()} of {(found & other).sum()} links that the readers called another version are marked, "
        f"and {(found & ~other & marked).sum()} that they did not"
    )
    columns = ["weight", "title", "artist", "title_found", "artists_found", "expected_title", "version_note", "status", "score"]
    for label, mask in (
        ("linked to another song", frame["linked"] & ~frame["right_song"]),
        ("findable and not linked", ~frame["absent"] & ~frame["linked"]),
        ("another version, not marked", frame["claims"] & frame["right_song"] & ~frame["right_recording"]),
        ("marked, and not another version", found & ~other & marked),
    ):
        rows = frame.loc[mask, columns].sort_values("weight", ascending=False)
        print(f"\n{label}: {mask.sum()}\n{rows.to_string(index=False, max_colwidth=50)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
