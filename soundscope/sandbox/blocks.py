"""Builds blocks of the catalogue: which recordings exist, under how many ids, on which releases.

The tables are those of `catalogue`; nothing here knows about charts, names or HTTP.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import sound
from soundscope.sandbox.catalogue import Albums, Artists, Songs, Tracks
from soundscope.sandbox.draws import Ints, choose, normal, uniform

AGE_SHARE = (0.58, 0.25, 0.17)  # recent, middle, old
UNLISTED_SHARE = 0.05
FUTURE_ARTISTS = 0.07
_VERSIONS = (  # kind, share among songs that do well / the others, days after the original
    (sound.LIVE, 0.09, 0.02, 300),
    (sound.KARAOKE, 0.13, 0.01, 60),
    (sound.TRIBUTE, 0.05, 0.005, 400),
    (sound.SPED_UP, 0.05, 0.005, 30),
    (sound.REMIX, 0.06, 0.015, 50),
)
_HOUSE_OF = {sound.KARAOKE: 0, sound.TRIBUTE: 1, sound.SPED_UP: 2}
_SINGLE_SHARE_NOW = 0.45
_GROUP_DAYS = 900  # an artist's album gathers the songs of so many days


@dataclass
class Block:
    """A piece of the catalogue, with indices that continue those of the blocks before it."""

    songs: Songs
    tracks: Tracks
    albums: Albums


def base_block(seed: int, count: int, artists: Artists) -> Block:
    """Everything released up to BASE_END: at most `count` ids, and no more than six short of it."""
    index = np.arange(count)
    age = choose(uniform(seed, "song.age", index), AGE_SHARE)
    known = int(len(artists.fame) * (1 - FUTURE_ARTISTS))
    artist = cat.pick_artists(seed, index, age, artists, known)
    day = cat.release_days(seed, index, age, cat.BASE_END - cat.RECENT_DAYS, cat.BASE_END)
    songs = cat.describe(seed, index, artist, day, artists)
    songs.listed[(age == 0) & (uniform(seed, "song.unlisted", index) < UNLISTED_SHARE)] = 0
    _make_holiday_songs(songs, np.flatnonzero(age == 2)[: cat.HOLIDAY_SONGS])
    per_song = _ids_per_song(seed, songs, index)
    keep = int(np.searchsorted(np.cumsum(per_song), count - 2, side="right"))
    songs = cat.take(songs, index[:keep])
    songs = cat.append(songs, _versions(seed, songs, 0, keep))
    songs = cat.append(songs, _twins(seed, songs))
    return _issue(seed, songs, 0, 0, cat.BASE_END)


def next_block(seed: int, number: int, weekly: float, artists: Artists, offsets: tuple[int, int]) -> Block:
    """The `number`-th four weeks after BASE_END; `offsets` are the songs and albums that exist already."""
    start = cat.BASE_END + cat.BLOCK_DAYS * (number - 1) + 1
    per_block = weekly * cat.BLOCK_DAYS / 7
    n = int(per_block * number) - int(per_block * (number - 1))
    index = offsets[0] + np.arange(n)
    known = int(len(artists.fame) * (1 - FUTURE_ARTISTS * max(0.0, 1 - number / 60)))
    artist = cat.pick_artists(seed, index, np.zeros(n, dtype=np.int64), artists, known)
    day = cat.release_days(seed, index, np.zeros(n, dtype=np.int64), start, start + cat.BLOCK_DAYS - 1)
    songs = cat.describe(seed, index, artist, day, artists)
    songs.listed[uniform(seed, "song.unlisted", index) < UNLISTED_SHARE] = 0
    songs = cat.append(songs, _versions(seed, songs, offsets[0], offsets[0] + n))
    return _issue(seed, songs, offsets[0], offsets[1], None)


def _make_holiday_songs(songs: Songs, rows: Ints) -> None:
    songs.template[rows] = cat.words.HOLIDAY_TEMPLATE
    songs.holiday[rows] = 1
    songs.hit[rows] = 1.5
    songs.feat[rows] = -1


def _reissues(seed: int, songs: Songs, index: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """(edition, remaster, compilation) flags and the days after release that a compilation comes."""
    age = cat.BASE_END - songs.day
    edition = uniform(seed, "reissue.edition", index) < 0.20
    remaster = (age > 20 * 365) & (uniform(seed, "reissue.remaster", index) < 0.38)
    lag = (365 * (2 + 10 * uniform(seed, "reissue.lag", index))).astype(np.int64)
    compilation = (uniform(seed, "reissue.compilation", index) < 0.12) & (lag + 400 < age)
    return edition.astype(np.int64), remaster.astype(np.int64), compilation.astype(np.int64), lag


def _version_mask(seed: int, songs: Songs, index: Ints, kind: int, well: float, other: float) -> Ints:
    share = np.where(songs.hit > 0.7, well, other) * songs.listed
    return np.asarray(uniform(seed, f"version.{kind}", index) < share, dtype=np.int64)


def _ids_per_song(seed: int, songs: Songs, index: Ints) -> Ints:
    edition, remaster, compilation, _ = _reissues(seed, songs, index)
    total = songs.listed * (1 + edition + remaster + compilation)
    for kind, well, other, _ in _VERSIONS:
        mask = _version_mask(seed, songs, index, kind, well, other)
        total = total + mask
    return np.asarray(total)


def _versions(seed: int, songs: Songs, first: int, next_index: int) -> Songs:
    """Live takes, karaoke, tributes, sped-up copies and remixes of the given songs, as songs of their own."""
    index = first + np.arange(len(songs.day))
    parts: list[Ints] = []
    kinds: list[Ints] = []
    lags: list[Ints] = []
    for version, well, other, lag in _VERSIONS:
        some = np.flatnonzero(_version_mask(seed, songs, index, version, well, other))
        parts.append(some)
        kinds.append(np.full(len(some), version))
        lags.append(14 + (lag * 2 * uniform(seed, f"version.lag.{version}", index[some])).astype(np.int64))
    rows, kind, lag_days = np.concatenate(parts), np.concatenate(kinds), np.concatenate(lags)
    out = cat.take(songs, rows)
    new_index = next_index + np.arange(len(rows))
    out.kind, out.of_song = kind, index[rows]
    for version, house in _HOUSE_OF.items():
        out.artist[kind == version] = house
    out.feat[kind != sound.REMIX] = -1
    out.day = out.day + lag_days
    out.precision[:] = 0
    out.hit = out.hit - 4.0
    out.holiday[:] = 0
    jitter = 1 + 0.02 * np.stack([normal(seed, f"version.sound.{j}", new_index) for j in range(9)], axis=1)
    out.sound = np.where(np.arange(9) == 4, out.sound * jitter, np.clip(out.sound * jitter, 0, 250))
    bounded = np.array([1, 2, 3, 5, 6, 7, 8])
    out.sound[:, bounded] = np.clip(out.sound[:, bounded], 0, 0.999)
    sound.apply_version(out.sound, out.duration_ms, kind)
    return out


def _twins(seed: int, songs: Songs) -> Songs:
    """A second recording of a hit by the same act, out at the same time: the charts print both alike."""
    early, late = cat.day_number(dt.date(2023, 6, 1)), cat.day_number(dt.date(2025, 6, 1))
    single = uniform(seed, "song.single", np.arange(len(songs.day))) < _SINGLE_SHARE_NOW
    fit = single & (songs.day > early) & (songs.day < late) & (songs.listed == 1) & (songs.feat < 0) & (songs.kind == 0)
    rows = np.argsort(np.where(fit, -songs.hit, np.inf), kind="stable")[3:4]
    out = cat.take(songs, rows)
    out.kind[:] = sound.TWIN
    out.of_song = rows.astype(np.int64)
    out.hit = out.hit - 0.3
    sound.apply_version(out.sound, out.duration_ms, out.kind)
    return out


def _issue(seed: int, songs: Songs, first_song: int, first_album: int, horizon: int | None) -> Block:
    """Puts songs on releases and gives each (song, release) an id; moves `songs.day` to the first release."""
    index = first_song + np.arange(len(songs.day))
    edition, remaster, compilation, lag = _reissues(seed, songs, index)
    listed, plain = songs.listed == 1, (songs.listed == 1) & (songs.kind == 0)
    single_share = np.where(songs.day > cat.BASE_END - 5000, _SINGLE_SHARE_NOW, 0.15)
    single = (uniform(seed, "song.single", index) < single_share) | (songs.kind > 0) | ~listed
    group = songs.artist * 1000 + (cat.day_number(dt.date(2100, 1, 1)) - songs.day) // _GROUP_DAYS
    collection = np.floor(sound.year_of(songs.day + lag)).astype(np.int64) * 100 + songs.genre  # of a genre and year
    plans = (
        (cat.MAIN, cat.SINGLE, listed & single, index, songs.day),
        (cat.MAIN, cat.ALBUM, listed & ~single, group, songs.day),
        (cat.EDITION, cat.ALBUM, plain & single & (edition == 1), group, songs.day),
        (cat.EDITION, cat.REISSUE, plain & ~single & (edition == 1), group * 2, songs.day + 180),
        (cat.REMASTER, cat.REISSUE, plain & (remaster == 1), group * 2 + 1, songs.day + 20 * 365),
        (cat.COMPILATION, cat.COLLECTION, plain & (compilation == 1), collection, songs.day + lag),
    )
    parts: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    for plan_version, album_kind, mask, plan_key, plan_day in plans:
        rows = np.flatnonzero(mask)
        full = plan_key[rows] * 10 + album_kind
        parts.append((rows, np.full(len(rows), plan_version), full, plan_day[rows], np.full(len(rows), album_kind)))
    row, version, key, day, kind = (np.concatenate([p[i] for p in parts]) for i in range(5))
    return _assemble(seed, songs, first_song, first_album, (row, version, key, day, kind), horizon)


def _assemble(
    seed: int,
    songs: Songs,
    first_song: int,
    first_album: int,
    rows: tuple[Ints, Ints, Ints, Ints, Ints],
    horizon: int | None,
) -> Block:
    row, version, key, day, kind = rows
    order = np.lexsort((version, row))
    row, version, key, day, kind = row[order], version[order], key[order], day[order], kind[order]
    _, first_row, album = np.unique(key, return_index=True, return_inverse=True)
    album_day = np.full(len(first_row), -(10**9))
    np.maximum.at(album_day, album, day)
    if horizon is not None:
        late = album_day > horizon  # a re-issue group dated past the block comes out just before its end
        album_day[late] = horizon - (first_row[late] % 200)
    day = album_day[album]
    earliest = np.full(len(songs.day), 10**9)
    np.minimum.at(earliest, row, day)
    songs.day = np.where(songs.listed == 1, earliest, songs.day)
    own = (version == cat.REMASTER) & (uniform(seed, "track.isrc", first_song + row, version) < 0.6)
    own |= (version == cat.COMPILATION) & (uniform(seed, "track.isrc", first_song + row, version) < 0.2)
    tracks = Tracks(
        song=first_song + row,
        version=version,
        album=first_album + album.astype(np.int64),
        day=day,
        own_isrc=own.astype(np.int64),
    )
    album_kind = kind[first_row]
    albums = Albums(
        kind=album_kind,
        artist=np.where(album_kind == cat.COLLECTION, -1, songs.artist[row[first_row]]),
        day=album_day,
        first_song=first_song + row[first_row],
    )
    return Block(songs=songs, tracks=tracks, albums=albums)


def weekly_releases(songs: Songs) -> float:
    """Releases a week in the recent part of a base block, so that later blocks go on at the same pace."""
    recent = (songs.day > cat.BASE_END - cat.RECENT_DAYS) & (songs.kind == 0)
    return float(recent.sum()) / (cat.RECENT_DAYS / 7)
