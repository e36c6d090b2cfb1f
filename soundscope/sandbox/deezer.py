"""Deezer's public API: tracks by ISRC or id, search, the chart of the day; errors and quota come inside HTTP 200."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import figures
from soundscope.sandbox.daily import daily_top
from soundscope.sandbox.messages import Request, Response, json_response
from soundscope.sandbox.search import parse_query

if TYPE_CHECKING:
    from soundscope.sandbox.state import State

_FIRST_ID = 9_000_000_000
_STEP = 7
_VERSION = re.compile(r"^(.*?)( - .*| \(.*\)| \[.*\])$")


def deezer_id(index: int) -> int:
    """The numeric id of a track, album or artist number."""
    return _FIRST_ID + _STEP * index


def error(kind: str, message: str, code: int) -> Response:
    """Deezer's error body; the status is 200 all the same."""
    return json_response({"error": {"type": kind, "message": message, "code": code}})


class Deezer:
    """Answers `/deezer/...`."""

    def __init__(self, state: State) -> None:
        self.state, self.world = state, state.world

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if self.state.gates["deezer"].admit():
            return error("Exception", "Quota limit exceeded", 4)
        path = request.path
        if path in ("/search", "/search/track"):
            return self._search(request)
        if path == "/chart/0/tracks":
            return self._chart(request)
        match = re.fullmatch(r"/track/(isrc:)?([^/]+)", path)
        if not match:
            return error("InvalidQueryException", "Unknown path components : " + path, 600)
        found = [t for t in self._by_isrc(match[2]) if self._has(t)] if match[1] else self._by_id(match[2])
        return json_response(self._track(found[0])) if found else error("DataException", "no data", 800)

    def _has(self, track: int) -> bool:
        # Re-issues with a code of their own often miss; the rest of the catalogue is nearly complete.
        known = 0.4 if int(self.world.tracks.own_isrc[track]) else 0.96
        return self.world.draw("deezer.has", track) < known and self.world.tracks.day[track] <= self.world.day

    def _by_isrc(self, code: str) -> list[int]:
        return self.world.tracks_of_isrc(code)

    def _by_id(self, text: str) -> list[int]:
        if not text.isascii() or not text.isdigit():
            return []
        track, off = divmod(int(text) - _FIRST_ID, _STEP)
        known = off == 0 and 0 <= track < len(self.world.tracks.day)
        return [track] if known and self._has(track) else []

    def _bounds(self, request: Request, default: int) -> tuple[int, int] | None:
        limit, index = request.integer("limit", default), request.integer("index", 0)
        if limit is None or index is None or limit < 0 or index < 0:
            return None
        return min(limit, 100), index

    def _search(self, request: Request) -> Response:
        bounds, text = self._bounds(request, 25), request.get("q")
        if not text.strip():
            return error("MissingParameterException", "Missing parameters: q", 501)
        if bounds is None:
            return error("ParameterException", "Wrong parameter: limit", 500)
        limit, index = bounds
        with self.state.index_lock:
            found = [t for t in self.state.index.find(parse_query(text), 300) if self._has(t)]
        value: dict[str, Any] = {"data": [self._listed(t) for t in found[index : index + limit]], "total": len(found)}
        if index + limit < len(found):
            value["next"] = f"{request.base_url}/search?{urlencode({'q': text, 'limit': limit, 'index': index + limit})}"
        return json_response(value)

    def _chart(self, request: Request) -> Response:
        bounds = self._bounds(request, 10)
        if bounds is None:
            return error("ParameterException", "Wrong parameter: limit", 500)
        limit, index = bounds
        tracks = [t for t in daily_top(self.world, "deezer", 130) if self._has(t)][:100]
        data = [self._listed(t) | {"position": i + 1} for i, t in enumerate(tracks)]
        return json_response({"data": data[index : index + limit], "total": len(data)})

    def _artist(self, artist: int) -> dict[str, Any]:
        number = deezer_id(max(artist, 0))
        return {
            "id": number,
            "name": self.world.names.artist(artist),
            "link": f"https://www.deezer.com/artist/{number}",
            "tracklist": f"https://api.deezer.com/artist/{number}/top?limit=50",
            "type": "artist",
        }

    def _listed(self, track: int) -> dict[str, Any]:
        """A track as lists show it (no ISRC, no tempo)."""
        w = self.world
        song, album = int(w.tracks.song[track]), int(w.tracks.album[track])
        title = w.names.track(track)
        parts = _VERSION.match(title)
        number, popularity = deezer_id(track), int(w.popularity(np.array([track]))[0])
        return {
            "id": number,
            "readable": True,
            "title": title,
            "title_short": parts[1] if parts else title,
            "title_version": parts[2].strip() if parts else "",
            "link": f"https://www.deezer.com/track/{number}",
            "duration": round(int(w.songs.duration_ms[song]) / 1000),
            "rank": min(999_999, 9_500 * popularity + int(9_000 * w.draw("deezer.rank", track)) + 10_000),
            "explicit_lyrics": w.is_explicit(song),
            "preview": "",
            "artist": self._artist(int(w.songs.artist[song])),
            "album": {
                "id": deezer_id(album),
                "title": w.names.album(album),
                "link": f"https://www.deezer.com/album/{deezer_id(album)}",
                "tracklist": f"https://api.deezer.com/album/{deezer_id(album)}/tracks",
                "type": "album",
            },
            "type": "track",
        }

    def _track(self, track: int) -> dict[str, Any]:
        w = self.world
        song, album = int(w.tracks.song[track]), int(w.tracks.album[track])
        row = dict(zip(figures.FEATURES, w.features(track).tolist(), strict=True))
        measured = w.draw("deezer.bpm", song) >= 0.45 and not w.is_silent(song)
        date = cat.date_of(w.tracks.day[track]).isoformat()
        value = self._listed(track)
        value["album"] |= {"release_date": date}
        return value | {
            "isrc": w.names.isrc(track),
            "track_position": w.tracks_of_album(album).index(track) + 1,
            "disk_number": 1,
            "release_date": date,
            "bpm": round(row["tempo"], 1) if measured else 0,
            "gain": round(-row["loudness"] - 14.0 - 3.0, 1),
            "available_countries": ["DE", "FR", "GB", "US"],
            "contributors": [self._artist(a) | {"role": "Main"} for a in w.names.song_artists(song)],
        }
