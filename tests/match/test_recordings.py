"""Which tracks are one recording, and which of them stands for it."""

from __future__ import annotations

import pandas as pd
import pytest

from soundscope.errors import BadInput
from soundscope.match import group_recordings


def groups(frame: pd.DataFrame) -> dict[str, str]:
    found = group_recordings(frame)
    assert found["track_id"].tolist() == frame["track_id"].tolist()
    return dict(zip(found["track_id"], found["recording_id"], strict=True))


def test_same_name_and_length(tracks) -> None:
    found = groups(
        tracks(
            {"track_id": "t:1", "title": "Song", "artists": "Act", "duration_ms": 200_000},
            {"track_id": "t:2", "title": "Song - 2011 Remaster", "artists": "Act; Guest", "duration_ms": 202_900},
            {"track_id": "t:3", "title": "Song", "artists": "Act", "duration_ms": 203_100},
            {"track_id": "t:4", "title": "Song", "artists": "Other Act", "duration_ms": 200_000},
            {"track_id": "t:5", "title": "Song", "artists": "Act", "duration_ms": None},
        )
    )
    assert found == {"t:1": "t:1", "t:2": "t:1", "t:3": "t:3", "t:4": "t:4", "t:5": "t:5"}


def test_chains_of_near_lengths_stay_bounded(tracks) -> None:
    frame = tracks(
        *[{"track_id": f"t:{i:02d}", "title": "Song", "artists": "Act", "duration_ms": 200_000 + 1_000 * i} for i in range(20)]
    )
    found = groups(frame)
    spans = (
        frame.assign(recording=frame["track_id"].map(found)).groupby("recording")["duration_ms"].agg(lambda x: x.max() - x.min())
    )
    assert (spans <= 3_000).all()
    assert len(spans) == 5


def test_versions_never_join_originals_even_with_one_isrc(tracks) -> None:
    found = groups(
        tracks(
            {"track_id": "t:1", "title": "Song", "artists": "Act", "duration_ms": 200_000, "isrc": "USABC1400001"},
            {"track_id": "t:2", "title": "Song - Live", "artists": "Act", "duration_ms": 200_000, "isrc": "USABC1400001"},
            {
                "track_id": "t:3",
                "title": "Song (Radio Edit)",
                "artists": "Act",
                "duration_ms": 180_000,
                "isrc": "us-abc-14-00001",
            },
            {"track_id": "t:4", "title": "Song - A Remix", "artists": "Act", "duration_ms": 200_000},
            {"track_id": "t:5", "title": "Song - B Remix", "artists": "Act", "duration_ms": 200_000},
        )
    )
    assert found == {"t:1": "t:1", "t:2": "t:2", "t:3": "t:1", "t:4": "t:4", "t:5": "t:5"}


def test_the_earliest_then_most_popular_then_smallest_stands_for_it(tracks) -> None:
    def recording(*rows: tuple[str, str | None, int | None]) -> str:
        frame = tracks(
            *[
                {"track_id": i, "title": "Song", "artists": "Act", "duration_ms": 1.0, "release_date": d, "popularity": p}
                for i, d, p in rows
            ]
        )
        for seed in range(3):
            assert set(groups(frame.sample(frac=1, random_state=seed)).values()) == set(groups(frame).values())
        return next(iter(groups(frame).values()))

    assert recording(("t:1", "2011-01-01", 90), ("t:2", "1975", 10), ("t:3", None, 99)) == "t:2"
    assert recording(("t:1", "1975-01-01", 10), ("t:2", "1975-01-01", 20)) == "t:2"
    assert recording(("t:2", None, None), ("t:1", None, None)) == "t:1"


def test_bad_tables_are_said(tracks) -> None:
    frame = tracks(("t:1", "Song", "Act"))
    with pytest.raises(BadInput, match="has no column title"):
        group_recordings(frame.drop(columns="title"))
    with pytest.raises(BadInput, match="'t:1' appears twice"):
        group_recordings(pd.concat([frame, frame]))
    assert group_recordings(frame.iloc[:0]).empty
