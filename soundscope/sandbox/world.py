"""The synthetic world behind the emulated providers: one seed, any size, a date that may advance.

Everything is drawn by counters (see `draws`), so the same seed with a later date only adds weeks, releases and
observations. This file holds the arrays and their indexes; HTTP and JSON belong to the providers.
"""

from __future__ import annotations

import datetime as dt
import threading
from functools import cached_property

import numpy as np

from soundscope.errors import BadInput
from soundscope.sandbox import blocks, figures, ids, sound
from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import charts as ch
from soundscope.sandbox.draws import Floats, Ints, normal, uniform, uniform_one
from soundscope.sandbox.names import Names

MIN_TRACKS, MAX_TRACKS = 400, 3_000_000
NEW_RELEASES = "Synthetic New Releases"


def utc_today() -> dt.date:
    """The date now, in UTC."""
    return dt.datetime.now(dt.UTC).date()


class World:
    """A synthetic catalogue with its charts as of `today`.

    Args:
        seed: names the world; the same seed gives the same bytes.
        tracks: about how many Spotify-like ids exist by 2026-11-21 (400 to 3,000,000); later dates add more.
        today: the world's date; None follows the real date (UTC).

    Raises:
        BadInput: size or date out of range.
    """

    def __init__(self, seed: int = 7, tracks: int = 3000, today: dt.date | None = None) -> None:
        if not MIN_TRACKS <= tracks <= MAX_TRACKS:
            raise BadInput(
                f"a synthetic world of {tracks} tracks is not possible",
                next_step=f"ask for {MIN_TRACKS} to {MAX_TRACKS} tracks",
            )
        self.seed, self.size = seed, tracks
        self.codec, self.names = ids.IdCodec(seed), Names(self)
        self.artists = cat.make_artists(seed, max(60, tracks * 400 // 3000))
        self._lock = threading.RLock()
        base = blocks.base_block(seed, tracks, self.artists)
        self.songs, self.tracks, self.albums = base.songs, base.tracks, base.albums
        self._weekly, self._blocks = blocks.weekly_releases(base.songs), 0
        self.hot_100 = ch.Chart(seed, "hot_100", 100, fade=0.055)
        self.top_albums = ch.Chart(seed, "top_albums", 200, fade=0.030)
        self._may_chart: set[int] = set()
        self._add_to_charts(0, 0)
        self._pinned: dt.date | None = None
        self._reached: dt.date | None = None
        self.set_today(today)

    # --- the date -----------------------------------------------------------------------------------------------

    @property
    def today(self) -> dt.date:
        """The world's date."""
        today = self._pinned or utc_today()
        if self._reached is None or today > self._reached:
            self._reach(today)
        return today

    @property
    def day(self) -> int:
        """The world's date in days since 1970-01-01."""
        return cat.day_number(self.today)

    def set_today(self, today: dt.date | None) -> None:
        """Move the world's date; None follows the real date."""
        low, high = cat.date_of(ch.FIRST_SATURDAY), dt.date(2040, 1, 1)
        if today is not None and not low <= today < high:
            raise BadInput(
                f"the synthetic world does not reach {today.isoformat()}",
                next_step=f"choose a date from {low.isoformat()} up to 2039-12-31",
            )
        self._pinned = today
        self._reach(today or utc_today())

    def _reach(self, today: dt.date) -> None:
        with self._lock:
            day = cat.day_number(today)
            while day > cat.BASE_END + cat.BLOCK_DAYS * self._blocks:
                self._blocks += 1
                first_song, first_album = len(self.songs.day), len(self.albums.day)
                more = blocks.next_block(self.seed, self._blocks, self._weekly, self.artists, (first_song, first_album))
                # Tracks last: a request served meanwhile must find the song and album of every track it sees.
                self.songs = cat.append(self.songs, more.songs)
                self.albums = cat.append(self.albums, more.albums)
                self.tracks = cat.append(self.tracks, more.tracks)
                self._add_to_charts(first_song, first_album)
                for name in ("_artist_order", "_album_order", "genre_members"):
                    self.__dict__.pop(name, None)
            for chart in (self.hot_100, self.top_albums):
                chart.run_to(ch.weeks_until(day))
            self._reached = max(today, self._reached or today)

    def _add_to_charts(self, first_song: int, first_album: int) -> None:
        s = self.songs
        song = np.arange(first_song, len(s.day))
        may = (s.kind[song] == 0) | (s.kind[song] == sound.TWIN)
        recent = song[may & (s.day[song] > ch.FIRST_SATURDAY - 500) & (s.holiday[song] == 0)]
        source = np.where(s.kind[recent] == sound.TWIN, s.of_song[recent], recent)
        entry = ch.song_entry_weeks(self.seed, source, s.day[recent])
        keep = ch.strongest_per_week(entry, s.hit[recent], ch.ENTRIES_PER_WEEK)
        older = song[may & (s.day[song] <= ch.FIRST_SATURDAY - 500) & (s.holiday[song] == 0)]
        older = older[np.argsort(-s.hit[older], kind="stable")[:400]]
        festive = song[s.holiday[song] == 1]
        item = np.concatenate([recent[keep], older, festive])
        entry = np.concatenate([entry[keep], np.full(len(older) + len(festive), -400)])
        strength = np.concatenate([s.hit[recent[keep]], 0.5 * s.hit[older], 1.0 + 0.3 * normal(self.seed, "xmas", festive)])
        self._may_chart.update(item.tolist())
        self.hot_100.add(ch.Pool(item, entry, strength, s.holiday[item]))

        a = self.albums
        album = np.arange(first_album, len(a.day))
        rank_hit = 0.5 * s.hit[a.first_song[album]] + np.where(a.kind[album] == cat.SINGLE, -1.5, 0.3)
        entry = -((ch.FIRST_SATURDAY - a.day[album] - 8) // 7)
        fresh = np.flatnonzero(entry > -70)
        fresh = fresh[ch.strongest_per_week(entry[fresh], rank_hit[fresh], 2 * ch.ENTRIES_PER_WEEK)]
        stale = np.flatnonzero(entry <= -70)
        stale = stale[np.argsort(-rank_hit[stale], kind="stable")[:600]]
        rows = np.concatenate([fresh, stale])
        self.top_albums.add(
            ch.Pool(album[rows], np.maximum(entry[rows], -200), rank_hit[rows], np.zeros(len(rows), dtype=np.int64))
        )

    # --- look-ups -----------------------------------------------------------------------------------------------

    def draw(self, stream: str, index: int) -> float:
        """One uniform draw in (0, 1)."""
        return uniform_one(self.seed, stream, int(index))

    def track_id(self, track: int) -> str:
        """The Spotify-like id of a track number."""
        return self.codec.encode("track", int(track))

    def find_track(self, spotify_id: str) -> int | None:
        """Track number of an id that is out by today, or None."""
        track = self.codec.decode(spotify_id, "track")
        if track is None or track >= len(self.tracks.day) or self.tracks.day[track] > self.day:
            return None
        return track

    def tracks_of_song(self, song: int) -> list[int]:
        """Track numbers of a recording that are out by today, the main id first."""
        low, high = np.searchsorted(self.tracks.song, [song, song + 1])
        today = self.day
        return [int(t) for t in range(low, high) if self.tracks.day[t] <= today]

    def tracks_of_isrc(self, code: str) -> list[int]:
        """Track numbers that carry an ISRC and are out by today."""
        parsed = ids.parse_isrc(code)
        if parsed is None:
            return []
        family, index, _ = parsed
        if family == "R":
            found = [index] if index < len(self.tracks.day) and self.tracks.day[index] <= self.day else []
        else:
            found = self.tracks_of_song(index)
        code = code.replace("-", "").upper()
        return [t for t in found if self.names.isrc(t) == code]

    @cached_property
    def _artist_order(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.songs.artist, kind="stable")
        return order, self.songs.artist[order]

    def songs_of_artist(self, artist: int) -> list[int]:
        """Recordings by an artist (as the main act), in the order they were made up."""
        order, artists = self._artist_order
        low, high = np.searchsorted(artists, [artist, artist + 1])
        return [int(i) for i in order[low:high]]

    @cached_property
    def _album_order(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.tracks.album, kind="stable")
        return order, self.tracks.album[order]

    def tracks_of_album(self, album: int) -> list[int]:
        """Track numbers of a release, in track order."""
        order, albums = self._album_order
        low, high = np.searchsorted(albums, [album, album + 1])
        return [int(i) for i in order[low:high]]

    @cached_property
    def genre_members(self) -> dict[str, Ints]:
        """Track numbers of each genre's followed playlist, in the order they were added (3 % are strays)."""
        t, s = self.tracks, self.songs
        every = np.arange(len(t.song))
        original = (t.version == cat.MAIN) & (s.kind[t.song] == 0)
        limit = min(1.0, 9000 * len(figures.GENRES) / (0.63 * self.size))  # a playlist holds at most 10,000
        member = original & (uniform(self.seed, "playlist.member", every) < limit * 0.6)
        stray = original & (uniform(self.seed, "playlist.stray", every) < limit * 0.025)
        stray_genre = (uniform(self.seed, "playlist.stray_genre", every) * len(figures.GENRES)).astype(np.int64)
        out = {}
        for g, genre in enumerate(figures.GENRES):
            rows = np.flatnonzero((member & (s.genre[t.song] == g)) | (stray & (stray_genre == g)))
            out[genre] = rows[np.lexsort((rows, t.day[rows]))]
        return out

    # --- values -------------------------------------------------------------------------------------------------

    def popularity(self, track: Ints, day: int | None = None) -> Ints:
        """Popularity 0..100 of tracks as of a day: fame and fit, a lift while new, a lift while charting."""
        day = self.day if day is None else day
        track = np.asarray(track)
        song = self.tracks.song[track]
        week = ch.weeks_until(day)
        value = 33 + 10.5 * self.songs.hit[song] + 14 * np.exp(-np.maximum(day - self.songs.day[song], 0) / 400)
        if week:
            heat = self.hot_100.heat[week - 1]
            order = np.argsort(self.hot_100.pool.item[: len(heat)], kind="stable")
            items = self.hot_100.pool.item[order]
            at = np.minimum(np.searchsorted(items, song), len(items) - 1)
            value = value + np.where(items[at] == song, 34 * heat[order][at], 0.0)
        value = value - np.array([0, 7, 5, 18])[self.tracks.version[track]]
        value = value + 1.3 * normal(self.seed, "popularity.week", track, day // 7)
        return np.clip(np.rint(value), 0, 100).astype(np.int64)

    def features(self, track: int) -> Floats:
        """The nine features of a track, in the order of `figures.FEATURES` (a remaster is a little louder)."""
        row = self.songs.sound[int(self.tracks.song[track])].copy()
        if int(self.tracks.version[track]) == cat.REMASTER:
            row[figures.FEATURES.index("loudness")] += 1.4
        return np.asarray(row)

    def is_silent(self, song: int) -> bool:
        """Whether a recording has nothing to analyse; none that may chart has."""
        return song not in self._may_chart and self.draw("sound.silence", song) < 0.006

    def has_analysis(self, track: int) -> bool:
        """Whether Spotify's audio features know the track (about 97 % do)."""
        return self.draw("audio.known", int(self.tracks.song[track])) >= 0.03

    def is_explicit(self, song: int) -> bool:
        """Whether a recording is marked explicit (more than half of rap, one in seven otherwise)."""
        rap = figures.GENRES[int(self.songs.genre[song])] == "rap"
        return self.draw("track.explicit", song) < (0.6 if rap else 0.15)

    def recording_key(self, song: int) -> str:
        """Name of a recording in the known truth."""
        return f"recording-{song:07d}"

    def chart_weeks(self) -> int:
        """How many chart weeks are published by today."""
        return ch.weeks_until(self.day)

    def chart_date(self, week: int) -> dt.date:
        """The Saturday of a chart week."""
        return cat.date_of(ch.week_day(week))
