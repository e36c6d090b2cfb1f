"""Apple's most-played feed per country: today only, the rank is the position, genres are named, no ISRC."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import figures
from soundscope.sandbox.archives import not_modified
from soundscope.sandbox.daily import daily_top
from soundscope.sandbox.messages import JSON, Request, Response, json_response, text_response

if TYPE_CHECKING:
    from soundscope.sandbox.state import State

COUNTRIES = ("ar", "au", "br", "ca", "de", "es", "fr", "gb", "it", "jp", "mx", "nl", "pl", "se", "us")
SIZES = (10, 25, 50, 100)
_GENRE_IDS = {g: str(14 + i) for i, g in enumerate(figures.GENRES)}
_GENRE_NAMES = {"pop": "Pop", "rap": "Hip-Hop/Rap", "r&b": "R&B/Soul", "edm": "Dance", "soul": "R&B/Soul"}


class Apple:
    """Answers `/apple/api/v2/{cc}/music/most-played/{n}/songs.json`."""

    def __init__(self, state: State) -> None:
        self.state, self.world = state, state.world

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        refusal = self.state.gates["apple"].admit()
        if refusal:
            return text_response("Too Many Requests", 429, Retry_After=refusal.retry_after)
        match = re.fullmatch(r"/api/v2/([a-z]{2})/music/most-played/(\d+)/songs\.json", request.path)
        if not match or match[1] not in COUNTRIES or int(match[2]) not in SIZES:
            return text_response("Not Found", 404)
        country, size = match[1], int(match[2])
        midnight = dt.datetime.combine(self.world.today, dt.time(4))
        feed = {
            "title": "Top Songs",
            "id": f"{request.base_url}{request.path}",
            "author": {"name": "Apple", "url": "https://www.apple.com/"},
            "links": [{"self": f"{request.base_url}{request.path}"}],
            "copyright": "Synthetic data of the SoundScope sandbox",
            "country": country,
            "icon": "https://www.apple.com/favicon.ico",
            "updated": midnight.strftime("%a, %d %b %Y %H:%M:%S +0000"),
            "results": [self._song(t, country) for t in daily_top(self.world, country, size)],
        }
        response = json_response({"feed": feed})
        response.content_type = JSON
        return not_modified(request, response)

    def _song(self, track: int, country: str) -> dict[str, Any]:
        w = self.world
        song, album = int(w.tracks.song[track]), int(w.tracks.album[track])
        genre = figures.GENRES[int(w.songs.genre[song])]
        artist = int(w.songs.artist[song])
        number, artist_number = str(7_100_000_000 + 11 * track), str(7_000_000_000 + 11 * artist)
        address = f"https://music.apple.com/{country}"
        value = {
            "artistName": " & ".join(w.names.artist(a) for a in w.names.song_artists(song)),
            "id": number,
            "name": w.names.track(track),
            "releaseDate": cat.date_of(w.albums.day[album]).isoformat(),
            "kind": "songs",
            "artistId": artist_number,
            "artistUrl": f"{address}/artist/{artist_number}",
            "artworkUrl100": f"https://example.invalid/synthetic/{number}/100x100bb.jpg",
            "genres": [
                {
                    "genreId": _GENRE_IDS[genre],
                    "name": _GENRE_NAMES.get(genre, genre.title()),
                    "url": f"{address}/genre/id{_GENRE_IDS[genre]}",
                },
                {"genreId": "34", "name": "Music", "url": f"{address}/genre/id34"},
            ],
            "url": f"{address}/song/{number}",
        }
        if w.is_explicit(song):
            value["contentAdvisoryRating"] = "Explict"  # the feed's own spelling
        return value
