"""Matching only what news reach gives what matching everything gives, whatever came, went or changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from soundscope.match import group_recordings, match_keys
from soundscope.pipeline import match_tracks, rematching
from soundscope.sources.internal import PROVIDER

pytestmark = pytest.mark.e2e

ACTS = (
    "Act",
    "The Act",
    "ACT!",
    "Béla",
    "Bela",
    "Bella",
    "Duo & Act",
    "Duo",
    "Trio",
    "Trío",
    "R.E.M.",
    "REM",
    "P!nk",
    "Pink",
    "Various",
)
SONGS = (
    "Song",
    "Songs",
    "The Song",
    "Song Part 2",
    "Love",
    "Lovely",
    "Mañana",
    "Manana",
    "2 Hearts",
    "Two Hearts",
    "Moon / Sun",
    "Sun",
)
NOTES = ("", "", "", " - Live", " (Remastered 2011)", " (feat. Duo)", " feat. Béla", " (with Trio)", " - Act Remix", " (Sun)")
TRACK_TYPES = (
    "track_id varchar, spotify_id varchar, title varchar, artist varchar, artists varchar, album varchar, isrc varchar, release_date date, "
    "duration_ms bigint, popularity double"
)
KEY_TYPES = "title varchar, artist varchar, run_no bigint, first_date date, last_date date, spotify_id varchar"
ROUNDS = 8
LINK = [
    "track_id",
    "status",
    "is_other_version",
    "method",
    "score",
    "runner_up_track_id",
    "runner_up_score",
    "decided_by",
    "reason",
]


class World:
    """Tracks and chart keys in tables as staging has them, and what was found last."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.con = duckdb.connect(config={"threads": 1})
        for schema in ("staging", "core", "raw"):
            self.con.execute(f"create schema {schema}")
        self.con.execute(
            "create table raw.recordings (provider varchar, track_id varchar, recording_id varchar, fetched_at timestamp, landing_file varchar, row_no bigint)"
        )
        self.tracks = {f"t:{i:03d}": self.track() for i in range(120)}
        self.keys = dict(self.key() for _ in range(40))
        self.decisions: dict[tuple[Any, ...], str] = {}
        self.links: dict[tuple[Any, ...], list[Any]] = {}
        self.tag: str | None = None
        self.was_part = 0

    def pick(self, values: tuple[str, ...]) -> str:
        return values[int(self.rng.integers(len(values)))]

    def track(self) -> dict[str, Any]:
        rng, first = self.rng, self.pick(ACTS)
        return {
            "spotify_id": None, "title": self.pick(SONGS) + self.pick(NOTES), "artist": first,
            "artists": first + "; " + self.pick(ACTS) if rng.random() < 0.3 else (first if rng.random() < 0.8 else None),
            "album": self.pick(("Album", "Karaoke Hits", "Live at the Hall")), "isrc": f"us-abc-14-{rng.integers(30):05d}" if rng.random() < 0.4 else None,
            "release_date": date(2014, 1, 1) + timedelta(days=int(rng.integers(900))), "duration_ms": float(180_000 + 1_500 * rng.integers(8)),
            "popularity": float(rng.integers(100)) if rng.random() < 0.7 else None,
        }  # fmt: skip

    def key(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        first = date(2014, 6, 1) + timedelta(days=7 * int(self.rng.integers(100)))
        return (self.pick(SONGS) + self.pick(NOTES), self.pick(ACTS), int(self.rng.integers(1, 3))), {
            "first_date": first, "last_date": first + timedelta(days=70), "spotify_id": f"s{self.rng.integers(9)}" if self.rng.random() < 0.1 else None,
        }  # fmt: skip

    def change(self) -> None:
        """One of the things that happen between two runs."""
        kind, ids, keys = int(self.rng.integers(9)), sorted(self.tracks), sorted(self.keys)
        one, key = ids[int(self.rng.integers(len(ids)))], keys[int(self.rng.integers(len(keys)))]
        if kind == 0:
            self.tracks[f"t:{int(self.rng.integers(1_000)):03d}"] = self.track()
        elif kind == 1:
            del self.tracks[one]
        elif kind == 2:
            self.tracks[one] = self.track()
        elif kind == 3:
            self.tracks[one]["popularity"] = float(self.rng.integers(100))
        elif kind == 4:
            self.keys.update([self.key()])
        elif kind == 5:
            del self.keys[key]
        elif kind == 6:
            self.keys[key]["last_date"] += timedelta(days=7)
        elif kind == 7:
            number = int(self.rng.integers(9))
            self.tracks[f"spotify:s{number}"] = self.track() | {"spotify_id": f"s{number}"}
        elif self.decisions.pop(key, None) is None:
            self.decisions[key] = one

    def write(self) -> None:
        rows = pd.DataFrame([{"track_id": name, **self.tracks[name]} for name in sorted(self.tracks)])  # noqa: F841 - read by name
        keys = pd.DataFrame([dict(zip(rematching.KEY, key, strict=True)) | self.keys[key] for key in sorted(self.keys)])  # noqa: F841
        self.con.execute(f"create or replace table staging.track_identity ({TRACK_TYPES})")
        self.con.execute("insert into staging.track_identity by name select * from rows")
        self.con.execute(f"create or replace table staging.chart_keys ({KEY_TYPES})")
        self.con.execute("insert into staging.chart_keys by name select * from keys")

    def decided(self) -> pd.DataFrame:
        rows = [
            {**dict(zip(rematching.KEY, key, strict=True)), "track_id": track, "decided_by": "ann", "decided_at": pd.Timestamp(2020, 1, 1), "reason": None}
            for key, track in sorted(self.decisions.items())
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=[*rematching.KEY, "track_id", "decided_by", "decided_at", "reason"])

    def match(self, run: int) -> None:
        """As the step does it; the tables of `core` follow."""
        self.write()
        inputs = rematching.read_inputs(self.con, self.decided())
        self.inputs = inputs
        if inputs.tag == self.tag:
            return
        part = rematching.part_of(self.con, inputs, self.tag)
        self.was_part += part is not None
        part = part or rematching.everything(self.con, inputs)
        links = match_keys(part.keys, part.tracks, inputs.decisions)[part.answered]
        self.links |= {
            tuple(row[:3]): list(row[3:]) for row in links[[*rematching.KEY, *LINK]].astype("object").itertuples(index=False)
        }
        for tracks in part.grouped:
            before = match_tracks.recordings_before(self.con, tracks)
            found = match_tracks.recordings_to_land(group_recordings(tracks), before)  # noqa: F841 - read by name
            self.con.execute(
                f"insert into raw.recordings select '{PROVIDER}', track_id, recording_id, timestamp '2020-01-01', 'f', {run} from found"
            )
        rematching.remember(self.con, inputs, part.changed)
        self.con.execute("create or replace table core.tracks as select * from staging.track_identity")
        self.tag = inputs.tag


@pytest.fixture
def world() -> Iterator[World]:
    made = World(0)
    yield made
    made.con.close()


def test_a_part_gives_what_everything_gives(world: World) -> None:
    for run in range(ROUNDS):
        for _ in range(int(world.rng.integers(1, 5))):
            world.change()
        world.match(run)
        inputs = rematching.read_inputs(world.con, world.decided())
        tracks = world.con.execute("select * from staging.track_identity order by track_id").df()
        links = match_keys(inputs.keys, tracks, inputs.decisions)
        wanted = {
            tuple(row[:3]): list(row[3:]) for row in links[[*rematching.KEY, *LINK]].astype("object").itertuples(index=False)
        }
        for key, link in wanted.items():
            # What a person decided is landed by nobody here.
            assert link[-2] == "ann" or repr(world.links[key]) == repr(link), (run, key)
        recordings = group_recordings(tracks)
        held = world.con.execute(match_tracks.newest_recordings("select track_id from staging.track_identity")).df()
        known = held.set_index("track_id")["recording_id"].to_dict()
        assert recordings["recording_id"].tolist() == [known.get(name, name) for name in recordings["track_id"]], run
    assert world.was_part == ROUNDS - 1


def test_everything_gives_the_same_in_blocks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_tracks, "_BATCH", 20)
    for run in range(3):
        for _ in range(10):
            world.change()
        world.tag = None
        world.match(run)
        tracks = world.con.execute("select * from staging.track_identity order by track_id").df()
        links = match_keys(world.inputs.keys, tracks, world.inputs.decisions)
        wanted = links[links["decided_by"] != "ann"][[*rematching.KEY, *LINK]].astype("object")
        assert [repr(world.links[tuple(row[:3])]) for row in wanted.itertuples(index=False)] == [
            repr(list(row[3:])) for row in wanted.itertuples(index=False)
        ]
        held = world.con.execute(match_tracks.newest_recordings("select track_id from staging.track_identity")).df()
        known = held.set_index("track_id")["recording_id"].to_dict()
        assert group_recordings(tracks)["recording_id"].tolist() == [known.get(name, name) for name in tracks["track_id"]]
    assert world.was_part == 0


def test_everything_is_matched_where_it_is_not_known_what_was(world: World) -> None:
    world.match(0)
    world.tracks["t:new"] = world.track()
    world.write()
    inputs = rematching.read_inputs(world.con, world.decided())
    part = rematching.part_of(world.con, inputs, world.tag)
    assert part is not None
    assert part.changed == ["t:new"]
    assert all(len(tracks) < len(world.tracks) for tracks in part.grouped)
    assert rematching.part_of(world.con, inputs, None) is None
    assert rematching.part_of(world.con, inputs, "another run's") is None
    # A track was renamed, and how it was called is not held any more: what it was matched to cannot be found.
    world.con.execute("update core.tracks set title = 'Other' where track_id = 't:001'")
    world.con.execute("update staging.track_identity set title = 'New' where track_id = 't:001'")
    assert rematching.part_of(world.con, rematching.read_inputs(world.con, world.decided()), world.tag) is None
