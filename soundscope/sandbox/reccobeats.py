"""ReccoBeats: audio features and track data by Spotify id or ISRC; unknown ids are left out and the order is not kept.

Coverage falls for recent releases, as people measured (half of one year's releases, a tenth of the next one's).
"""

from __future__ import annotations

import datetime as dt
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from soundscope.sandbox import figures, ids
from soundscope.sandbox.messages import Request, Response, json_response

if TYPE_CHECKING:
    from soundscope.sandbox.state import State

MAX_IDS = 40
_COVERAGE_BY_AGE_YEARS = ((0.0, 0.10), (0.5, 0.30), (1.0, 0.52), (2.0, 0.75), (4.0, 0.86), (100.0, 0.90))


class ReccoBeats:
    """Answers `/reccobeats/v1/...`."""

    def __init__(self, state: State) -> None:
        self.state, self.world = state, state.world

    def error(self, request: Request, status: int, code: int, text: str, **headers: str) -> Response:
        """The service's error body, with its own four-digit code."""
        stamp = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
        value = {"timestamp": stamp, "error": text, "path": request.path, "status": code}
        return json_response(value, status, **headers)

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        refusal = self.state.gates["reccobeats"].admit()
        if refusal:
            return self.error(request, 429, 4291, "Too many requests", Retry_After=refusal.retry_after)
        if request.method != "GET":
            return self.error(request, 405, 4051, "Method not allowed")
        if request.path in ("/v1/audio-features", "/v1/track"):
            return self._batch(request)
        parts = request.path.strip("/").split("/")
        if len(parts) in (3, 4) and parts[:2] == ["v1", "track"]:
            track = self.world.codec.from_uuid(parts[2], "reccobeats")
            if track is None or track >= len(self.world.tracks.day) or not self.covers(track):
                return self.error(request, 404, 4041, "Resource not found")
            if len(parts) == 3:
                return json_response(self._track(track))
            if parts[3] == "audio-features":
                return json_response(self._features(track))
        return self.error(request, 404, 4041, "Resource not found")

    def covers(self, track: int) -> bool:
        """Whether ReccoBeats knows a track by today; coverage grows as a release ages."""
        song = int(self.world.tracks.song[track])
        if self.world.tracks.day[track] > self.world.day:
            return False
        years = (self.world.day - int(self.world.songs.day[song])) / 365.25
        ages, shares = zip(*_COVERAGE_BY_AGE_YEARS, strict=True)
        return bool(self.world.draw("reccobeats.covers", song) < np.interp(years, ages, shares))

    def _batch(self, request: Request) -> Response:
        wanted = request.many("ids")
        if not wanted:
            return self.error(request, 400, 4001, "Required parameter 'ids' is missing")
        if len(wanted) > MAX_IDS:
            return self.error(request, 400, 4002, f"ids: size must be between 1 and {MAX_IDS}")
        tracks = [t for text in dict.fromkeys(wanted) for t in self._find(text) if self.covers(t)]
        tracks = list(dict.fromkeys(tracks))
        random.Random(f"{self.world.seed}|{','.join(wanted)}").shuffle(tracks)
        render = self._features if request.path.endswith("audio-features") else self._track
        return json_response({"content": [render(t) for t in tracks]})

    def _find(self, text: str) -> list[int]:
        if ids.is_base62(text):
            track = self.world.find_track(text)
            return [] if track is None else [track]
        own = self.world.codec.from_uuid(text, "reccobeats")
        if own is not None:
            return [own] if own < len(self.world.tracks.day) else []
        return self.world.tracks_of_isrc(text)

    def _reference(self, track: int) -> dict[str, Any]:
        spotify_id = self.world.track_id(track)
        return {
            "id": self.world.codec.uuid("reccobeats", track),
            "href": f"https://open.spotify.com/track/{spotify_id}",
            "isrc": self.world.names.isrc(track),
        }

    def _features(self, track: int) -> dict[str, Any]:
        song = int(self.world.tracks.song[track])
        silent = self.world.is_silent(song)
        row = dict(zip(figures.FEATURES, self.world.features(track).tolist(), strict=True))
        values = {name: round(0.0 if silent else v, 4) for name, v in sorted(row.items())}
        unknown_key = silent or self.world.draw("reccobeats.key", song) < 0.01
        key = -1 if unknown_key else int(self.world.songs.key[song])
        return self._reference(track) | values | {"key": key, "mode": int(self.world.songs.mode[song])}

    def _track(self, track: int) -> dict[str, Any]:
        w = self.world
        song = int(w.tracks.song[track])
        artists = [
            {
                "id": w.codec.uuid("reccobeats", 10**9 + a),
                "name": w.names.artist(a),
                "href": f"https://open.spotify.com/artist/{w.codec.encode('artist', a)}",
            }
            for a in w.names.song_artists(song)
        ]
        return self._reference(track) | {
            "trackTitle": w.names.track(track),
            "artists": artists,
            "durationMs": int(w.songs.duration_ms[song]),
            "ean": None,
            "upc": w.names.upc(int(w.tracks.album[track])),
            "availableCountries": "US,GB,DE,FR",
            "popularity": int(w.popularity(np.array([track]), w.day - 60)[0]),
        }
