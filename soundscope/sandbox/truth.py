"""The known truth behind a synthetic world, written to files for tests and studies; the server never shows it.

All files are UTF-8 CSV with a header. A recording key names one recording of the world; lists are separated by spaces.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from soundscope.errors import BadInput
from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import charts as ch
from soundscope.sandbox import figures, sound, spelling
from soundscope.sandbox.world import World

_KINDS = {
    0: "original",
    sound.LIVE: "live",
    sound.KARAOKE: "karaoke",
    sound.TRIBUTE: "tribute",
    sound.SPED_UP: "sped up",
    sound.REMIX: "remix",
    sound.TWIN: "second recording",
}


def write_truth(world: World, folder: Path) -> list[Path]:
    """Write what is known of a world as of its date.

    Files: chart_links.csv (chart, chart_date, rank, title, artist, recording_key, spotify_ids: every id of the recording
    and, for a double A-side, of its other side; empty when no catalogue has it), recordings.csv, features.csv (as analysed,
    loudness in dB, tempo in BPM), genres.csv, popularity.csv (0..100 every fourth chart week, for recordings that charted).

    Returns:
        The paths written.

    Raises:
        BadInput: the folder cannot be made or written.
    """
    songs = [int(s) for s in np.flatnonzero(world.songs.day <= world.day)]
    tables: dict[str, tuple[tuple[str, ...], Iterable[Iterable[object]]]] = {
        "chart_links.csv": (
            ("chart", "chart_date", "rank", "title", "artist", "recording_key", "spotify_ids"),
            _chart_links(world),
        ),
        "recordings.csv": (
            (
                "recording_key",
                "title",
                "artists",
                "kind",
                "of_recording",
                "first_release_date",
                "is_listed",
                "isrcs",
                "spotify_ids",
            ),
            _recordings(world, songs),
        ),
        "features.csv": (
            ("recording_key", *figures.FEATURES, "key", "mode", "time_signature", "duration_ms"),
            _features(world, songs),
        ),
        "genres.csv": (("recording_key", "genre", "artist_genre"), _genres(world, songs)),
        "popularity.csv": (("spotify_id", "recording_key", "date", "popularity"), _popularity(world)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (header, rows) in tables.items():
            with (folder / name).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(header)
                writer.writerows(rows)
    except OSError as error:
        raise BadInput(
            f"the truth cannot be written to {folder}: {error.strerror or error}", next_step="choose a folder that can be written"
        ) from error
    return [folder / name for name in tables]


def _ids(world: World, song: int) -> list[str]:
    return [world.track_id(t) for t in world.tracks_of_song(song)]


def _chart_links(world: World) -> Iterator[tuple[object, ...]]:
    @cache
    def link(song: int) -> tuple[str, str, str, str]:
        other = spelling.b_side(world, song)
        ids = _ids(world, song) + (_ids(world, other) if other is not None else [])
        return (
            spelling.chart_title(world, song),
            spelling.chart_artist(world, song),
            world.recording_key(song),
            " ".join(ids),
        )

    for week in range(world.chart_weeks()):
        date = world.chart_date(week).isoformat()
        for i, song in enumerate(world.hot_100.weeks[week].item):
            yield "billboard_hot_100", date, i + 1, *link(int(song))


def _recordings(world: World, songs: list[int]) -> Iterator[tuple[object, ...]]:
    s, names = world.songs, world.names
    for song in songs:
        tracks = world.tracks_of_song(song)
        yield (
            world.recording_key(song),
            names.song(song),
            "; ".join(names.artist(a) for a in names.song_artists(song)),
            _KINDS[int(s.kind[song])],
            world.recording_key(int(s.of_song[song])),
            cat.date_of(s.day[song]).isoformat(),
            int(s.listed[song]),
            " ".join(dict.fromkeys(names.isrc(t) for t in tracks)),
            " ".join(world.track_id(t) for t in tracks),
        )


def _features(world: World, songs: list[int]) -> Iterator[tuple[object, ...]]:
    s = world.songs
    for song in songs:
        row = [round(float(v), 4) for v in s.sound[song]]
        yield world.recording_key(song), *row, s.key[song], s.mode[song], s.metre[song], s.duration_ms[song]


def _genres(world: World, songs: list[int]) -> Iterator[tuple[object, ...]]:
    for song in songs:
        artist = int(world.songs.artist[song])
        yield (
            world.recording_key(song),
            figures.GENRES[int(world.songs.genre[song])],
            figures.GENRES[int(world.artists.genre[artist])],
        )


def _popularity(world: World) -> Iterator[tuple[object, ...]]:
    weeks = world.hot_100.weeks[: world.chart_weeks()]
    charted = np.unique(np.concatenate([w.item for w in weeks]))
    tracks = np.array([t for song in charted for t in world.tracks_of_song(int(song))], dtype=np.int64)
    ids = [world.track_id(int(t)) for t in tracks]
    keys = [world.recording_key(int(song)) for song in world.tracks.song[tracks]]
    for week in range(0, len(weeks), 4):
        day = ch.week_day(week)
        date, out = cat.date_of(day).isoformat(), world.tracks.day[tracks] <= day
        for spotify_id, key, value, is_out in zip(ids, keys, world.popularity(tracks, day), out, strict=True):
            if is_out:
                yield spotify_id, key, date, int(value)
