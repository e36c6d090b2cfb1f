"""Renders catalogue names and codes from the arrays of a world: titles, artists, releases, ISRC and UPC.

Chart spellings are in `spelling`; JSON is rendered by the providers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import figures, ids, sound, words

if TYPE_CHECKING:
    from soundscope.sandbox.world import World

_REMASTER_FORMS = (
    " - {year} Remaster",
    " - Remastered {year}",
    " (Remastered)",
    " - Remastered Version",
    " [{year} Remaster]",
)
_EDITION_FORMS = ("", "", "", "", "", "", " - Single Version", " - Radio Edit")
_LIVE_FORMS = (" - Live at the {place} Hall", " (Live)", " - Live")
_FEAT_FORMS = (" (feat. {guest})", " (feat. {guest})", " (with {guest})", " [feat. {guest}]", "")
_CD_ERA = cat.day_number(cat.dt.date(1992, 1, 1))


class Names:
    """Names of everything in a world, rendered on demand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.artist = lru_cache(maxsize=200_000)(self._artist)

    def _pick(self, stream: str, index: int, forms: tuple[str, ...]) -> str:
        return forms[int(self._world.draw(stream, index) * len(forms))]

    def _artist(self, artist: int) -> str:
        if artist < 0:
            return "Various Artists"
        return words.artist_name(artist, int(self._world.artists.template[artist]), self._world.seed)

    def base_title(self, song: int) -> str:
        """Title of the song itself, without version or guest."""
        s = self._world.songs
        return words.title(int(s.template[song]), int(s.word_a[song]), int(s.word_n[song]))

    def song(self, song: int) -> str:
        """Catalogue title of a recording, with the version it is."""
        s, base = self._world.songs, self.base_title(song)
        kind, original = int(s.kind[song]), int(s.of_song[song])
        if kind == sound.LIVE:
            return base + self._pick("name.live", song, _LIVE_FORMS).format(place=words.COMPOUNDS[song % 200])
        if kind == sound.KARAOKE:
            act = self.artist(int(s.artist[original]))
            forms = (
                " (Karaoke Version)",
                " (In the Style of {act}) [Karaoke Version]",
                " (Originally Performed by {act}) [Karaoke]",
            )
            return base + self._pick("name.karaoke", song, forms).format(act=act)
        if kind == sound.TRIBUTE:
            return base + f" (Tribute to {self.artist(int(s.artist[original]))})"
        if kind == sound.SPED_UP:
            return base + self._pick("name.sped", song, (" - Sped Up", " (Sped Up Version)"))
        if kind == sound.REMIX:
            name = words.COMPOUNDS[song % len(words.COMPOUNDS)]
            return base + self._pick("name.remix", song, (" - {name} Remix", " (Remix)")).format(name=name)
        guest = int(s.feat[song])
        if guest >= 0:
            return base + self._pick("name.feat", song, _FEAT_FORMS).format(guest=self.artist(guest))
        return base

    def track(self, track: int) -> str:
        """Catalogue title of one id."""
        t, text = self._world.tracks, self.song(int(self._world.tracks.song[track]))
        version = int(t.version[track])
        if version == cat.REMASTER:
            year = cat.date_of(t.day[track]).year
            return text + self._pick("name.remaster", track, _REMASTER_FORMS).format(year=year)
        song = int(t.song[track])
        old = self._world.songs.day[song] < _CD_ERA and int(self._world.songs.kind[song]) == 0
        if version == cat.MAIN and old and self._world.draw("name.only_remaster", song) < 0.3:
            # Much older music is only there as a remaster, under the date of its first release.
            return text + self._pick("name.remaster", track, _REMASTER_FORMS).format(year=2005 + song % 15)
        if version == cat.EDITION:
            return text + self._pick("name.edition", track, _EDITION_FORMS)
        return text

    def song_artists(self, song: int) -> list[int]:
        """Artist numbers credited for a recording, main artist first."""
        s = self._world.songs
        guest = int(s.feat[song])
        return [int(s.artist[song])] + ([guest] if guest >= 0 else [])

    def album(self, album: int) -> str:
        """Title of a release."""
        a = self._world.albums
        kind, song = int(a.kind[album]), int(a.first_song[album])
        if kind == cat.SINGLE:
            return self.song(song)
        if kind == cat.COLLECTION:
            genre = figures.GENRES[int(self._world.songs.genre[song])]
            return f"Synthetic {genre.title()} Hits {cat.date_of(a.day[album]).year}"
        draw = self._world.draw("name.album", song)
        nouns, adjectives = words.TITLE_WORDS[len(words.ADJECTIVES) :], words.ADJECTIVES
        noun = nouns[int(draw * len(nouns))]
        title = f"{noun} Sessions" if draw < 0.1 else f"{adjectives[song % len(adjectives)]} {noun}"
        if kind == cat.REISSUE:
            old = cat.date_of(a.day[album]).year - cat.date_of(self._world.songs.day[song]).year > 10
            return f"{title} ({'Remastered' if old else 'Deluxe Edition'})"
        return title

    def isrc(self, track: int) -> str:
        """ISRC of one id (re-issues may carry their own)."""
        w = self._world
        if int(w.tracks.own_isrc[track]):
            return ids.isrc("R", track, cat.date_of(w.tracks.day[track]).year)
        song = int(w.tracks.song[track])
        return ids.isrc("Y", song, cat.date_of(w.songs.day[song]).year)

    def upc(self, album: int) -> str:
        """A 12-digit code of a release, with the prefix 0 00 that no shop uses."""
        return f"000{album:09d}"

    def release_date(self, album: int) -> tuple[str, str]:
        """(release_date, release_date_precision) in the form of the Web API."""
        w = self._world
        text = cat.date_of(w.albums.day[album]).isoformat()
        precision = int(w.songs.precision[int(w.albums.first_song[album])])
        return (text, "day") if precision == 0 else (text[:7], "month") if precision == 1 else (text[:4], "year")

    def playlist(self, genre: str) -> str:
        """Title of the followed playlist of a genre."""
        return f"Synthetic Essentials: {genre.title()}"
