"""The synthetic catalogue as arrays: artists, recordings ("songs"), their Spotify-like ids ("tracks") and albums.

A base block holds everything up to BASE_END; every later four weeks are a further block, so a later "today" only appends.
Names are rendered elsewhere (`names`), charts are simulated elsewhere (`charts`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from soundscope.sandbox import figures, sound, words
from soundscope.sandbox.draws import Floats, Ints, choose, normal, uniform

EPOCH = dt.date(1970, 1, 1)
BASE_END = (dt.date(2026, 11, 21) - EPOCH).days
BLOCK_DAYS = 28
RECENT_DAYS = 1900
MAIN, EDITION, REMASTER, COMPILATION = 0, 1, 2, 3
SINGLE, ALBUM, COLLECTION, REISSUE = 0, 1, 2, 3
CURRENT, VETERAN, LEGACY, HOUSE = 0, 1, 2, 3
HOLIDAY_SONGS = 12


def day_number(date: dt.date) -> int:
    """Days since 1970-01-01."""
    return (date - EPOCH).days


def date_of(day: int) -> dt.date:
    """The date of a day number."""
    return EPOCH + dt.timedelta(days=int(day))


@dataclass
class Artists:
    """One row per artist, all known from the start (an artist is visible once something of theirs is out)."""

    template: Ints
    genre: Ints
    era: Ints
    fame: Floats


@dataclass
class Songs:
    """One row per recording; `of_song` is the recording it is a version of (itself when it is none)."""

    artist: Ints
    feat: Ints  # featured artist or -1
    genre: Ints
    day: Ints  # first release, days since 1970-01-01
    precision: Ints  # 0 day, 1 month, 2 year
    template: Ints
    word_a: Ints
    word_n: Ints
    kind: Ints  # 0 or a version kind of `sound`
    of_song: Ints
    hit: Floats  # how well it would chart, about standard normal
    listed: Ints  # 0 for the few that no catalogue has
    holiday: Ints
    duration_ms: Ints
    key: Ints
    mode: Ints
    metre: Ints
    sound: Floats  # shape (n, 9)


@dataclass
class Tracks:
    """One row per Spotify-like id."""

    song: Ints
    version: Ints
    album: Ints
    day: Ints
    own_isrc: Ints


@dataclass
class Albums:
    """One row per release."""

    kind: Ints
    artist: Ints  # -1 for various artists
    day: Ints
    first_song: Ints


def make_artists(seed: int, count: int) -> Artists:
    """All artists of a world."""
    index = np.arange(count)
    era = choose(uniform(seed, "artist.era", index), (0.70, 0.18, 0.12))
    template = words.artist_draws(seed, index)
    houses = len(words.HOUSE_TEMPLATES)
    era[:houses], template[:houses] = HOUSE, words.HOUSE_TEMPLATES
    genre = choose(uniform(seed, "artist.genre", index), [figures.GENRE_WEIGHT[g] for g in figures.GENRES])
    return Artists(template=template, genre=genre, era=era, fame=normal(seed, "artist.fame", index))


def pick_artists(seed: int, song: Ints, age: Ints, artists: Artists, known: int) -> Ints:
    """Artist of each song: famous ones release more; `age` 0 recent, 1 middle, 2 old decides which generations."""
    out = np.zeros(len(song), dtype=np.int64)
    u = uniform(seed, "song.artist", song)
    for period, share in enumerate(((1.0, 0.12, 0.01, 0), (0.20, 1.0, 0.1, 0), (0.0, 0.35, 1.0, 0))):
        weight = np.exp(0.6 * artists.fame[:known]) * np.array(share)[artists.era[:known]]
        rows = age == period
        out[rows] = choose(u[rows], weight)
    return out


def release_days(seed: int, song: Ints, age: Ints, start: int, end: int) -> Ints:
    """Day of each song, by `age` (0 between start and end, 1 the decades before, 2 from 1955 to 1990), mostly Fridays."""
    u = uniform(seed, "song.day", song)
    recent = start + u * (end - start)
    middle = day_number(dt.date(1990, 1, 1)) + np.sqrt(u) * (BASE_END - RECENT_DAYS - day_number(dt.date(1990, 1, 1)))
    old = day_number(dt.date(1955, 1, 1)) + u * (35 * 365)
    day = np.select([age == 0, age == 1], [recent, middle], old).astype(np.int64)
    friday = day - (day - 1) % 7  # 1970-01-02 was a Friday
    keep = (age == 2) | (uniform(seed, "song.weekday", song) < 0.06) | (friday <= start)
    return np.where(keep, day, friday)


def describe(seed: int, index: Ints, artist: Ints, day: Ints, artists: Artists) -> Songs:
    """Songs of their own (no versions) for given artists and days."""
    n = len(index)
    stray = uniform(seed, "song.stray", index) < 0.10
    other = choose(uniform(seed, "song.genre", index), [figures.GENRE_WEIGHT[g] for g in figures.GENRES])
    genre = np.where(stray, other, artists.genre[artist])
    template, a, noun = words.title_draws(seed, index)
    z = sound.latent(seed, index, artist, day)
    hit = 0.65 * artists.fame[artist] + 0.5 * sound.taste_match(z, day) + 0.57 * normal(seed, "song.luck", index)
    guest = choose(uniform(seed, "song.guest", index), np.exp(artists.fame) * (artists.era != HOUSE))
    has_guest = (uniform(seed, "song.has_guest", index) < np.where(day > BASE_END - 9000, 0.24, 0.03)) & (guest != artist)
    year = sound.year_of(day)
    p_year, p_month = np.where(year < 1990, 0.40, 0.01), np.where(year < 2000, 0.05, 0.005)
    u = uniform(seed, "song.precision", index)
    key, mode, metre = sound.key_mode_metre(seed, index, genre)
    return Songs(
        artist=artist,
        feat=np.where(has_guest, guest, -1),
        genre=genre,
        day=day.copy(),
        precision=np.where(u < p_year, 2, np.where(u < p_year + p_month, 1, 0)),
        template=template,
        word_a=a,
        word_n=noun,
        kind=np.zeros(n, dtype=np.int64),
        of_song=index.copy(),
        hit=hit,
        listed=np.ones(n, dtype=np.int64),
        holiday=np.zeros(n, dtype=np.int64),
        duration_ms=sound.durations_ms(seed, index, genre),
        key=key,
        mode=mode,
        metre=metre,
        sound=sound.features(z, genre),
    )


Table = TypeVar("Table", Songs, Tracks, Albums)


def take(table: Songs, rows: Ints) -> Songs:
    """The rows of a table, copied."""
    return Songs(**{f.name: getattr(table, f.name)[rows].copy() for f in fields(Songs)})


def append(first: Table, second: Table) -> Table:
    """Two tables of the same kind, one after the other."""
    return type(first)(**{f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(first)})
