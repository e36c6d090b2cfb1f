"""MusicBrainz: recordings by ISRC and by search, with tags and genres on request; one request a second, contact required.

JSON comes with `fmt=json` or an Accept header, XML otherwise, as the service does.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import figures, sound
from soundscope.sandbox.messages import Request, Response, json_response, text_response
from soundscope.sandbox.search import parse_query

if TYPE_CHECKING:
    from soundscope.sandbox.state import State

_CONTACT = re.compile(r"\S+@\S+\.\S+|https?://\S+")
_INCLUDES = {"artist-credits", "artists", "tags", "genres", "releases", "isrcs", "ratings", "url-rels"}
_USAGE = "For usage, please see: https://musicbrainz.org/development/mmd"
_TOO_FAST = "Your requests are exceeding the allowable rate limit. Please see http://wiki.musicbrainz.org/XMLWebService for more information."
# Share of recordings whose ISRC is known, by age in years: older music is better described.
_KNOWN = ((0.5, 0.25), (2.0, 0.45), (10.0, 0.6), (200.0, 0.75))


class MusicBrainz:
    """Answers `/musicbrainz/ws/2/...`."""

    def __init__(self, state: State) -> None:
        self.state, self.world = state, state.world

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if not _CONTACT.search(request.headers.get("user-agent", "")):
            text = "The User-Agent must name the application and a way to contact its maintainer."
            return json_response({"error": text, "help": _USAGE}, 403)
        refusal = self.state.gates["musicbrainz"].admit()
        if refusal:
            return json_response({"error": _TOO_FAST}, 503, Retry_After=refusal.retry_after)
        includes = set(re.split(r"[+ ]", request.get("inc"))) - {""}
        if includes - _INCLUDES:
            text = f"{sorted(includes - _INCLUDES)[0]} is not a valid inc parameter for the recording resource."
            return json_response({"error": text, "help": _USAGE}, 400)
        by_isrc = re.fullmatch(r"/ws/2/isrc/([^/]+)", request.path)
        if by_isrc:
            return self._isrc(request, by_isrc[1], includes)
        by_id = re.fullmatch(r"/ws/2/recording/([^/]+)", request.path)
        if by_id:
            song = self.world.codec.from_uuid(by_id[1], "mb_recording")
            known = song is not None and song < len(self.world.songs.day) and self._has(song)
            return self._answer(request, self._recording(song, includes)) if known and song is not None else self._missing()
        if request.path == "/ws/2/recording" and request.get("query"):
            return self._search(request)
        return self._missing()

    def _missing(self) -> Response:
        return json_response({"error": "Not Found", "help": _USAGE}, 404)

    def _answer(self, request: Request, value: dict[str, Any]) -> Response:
        if request.get("fmt") == "json" or "json" in request.headers.get("accept", ""):
            return json_response(value)
        recordings = value.get("recordings", [value])
        rows = "".join(
            f"<recording id={quoteattr(r['id'])}><title>{escape(r['title'])}</title><length>{r['length']}</length></recording>"
            for r in recordings
        )
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><metadata xmlns="http://musicbrainz.org/ns/mmd-2.0#">'
            f'<recording-list count="{len(recordings)}">{rows}</recording-list></metadata>'
        )
        return text_response(text, content_type="application/xml; charset=utf-8")

    def _has(self, song: int) -> bool:
        age = (self.world.day - int(self.world.songs.day[song])) / 365.25
        if age < 0 or int(self.world.songs.kind[song]) in (sound.KARAOKE, sound.TRIBUTE, sound.SPED_UP):
            return False
        return self.world.draw("musicbrainz.has", song) < next(share for years, share in _KNOWN if age <= years)

    def _isrc(self, request: Request, code: str, includes: set[str]) -> Response:
        code = code.upper()
        if not re.fullmatch(r"[A-Z]{2}[A-Z0-9]{3}\d{7}", code):
            return json_response({"error": "Invalid isrc.", "help": _USAGE}, 400)
        songs = {int(self.world.tracks.song[t]) for t in self.world.tracks_of_isrc(code)}
        found = [s for s in sorted(songs) if self._has(s)]
        if not found:
            return self._missing()
        return self._answer(request, {"isrc": code, "recordings": [self._recording(s, includes) for s in found]})

    def _search(self, request: Request) -> Response:
        limit, offset = request.integer("limit", 25), request.integer("offset", 0)
        if limit is None or offset is None or not 1 <= limit <= 100 or offset < 0:
            return json_response({"error": "Invalid limit or offset.", "help": _USAGE}, 400)
        with self.state.index_lock:
            tracks = self.state.index.find(parse_query(request.get("query")), 300)
        songs = [s for s in dict.fromkeys(int(self.world.tracks.song[t]) for t in tracks) if self._has(s)]
        page = songs[offset : offset + limit]
        every = {"artist-credits", "isrcs", "releases", "tags"}
        recordings = [self._recording(s, every) | {"score": max(20, 100 - 4 * (offset + i))} for i, s in enumerate(page)]
        created = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return self._answer(request, {"created": created, "count": len(songs), "offset": offset, "recordings": recordings})

    def _tags(self, song: int) -> list[dict[str, Any]]:
        w = self.world
        if w.draw("musicbrainz.tagged", song) < 0.3:
            return []
        genre = figures.GENRES[int(w.songs.genre[song])]
        finer = figures.SUBGENRES[genre]
        count = 1 + int(9 * w.draw("musicbrainz.votes", song))
        tags = [{"name": genre, "count": count}]
        if count > 3:
            tags.append({"name": finer[song % len(finer)], "count": count // 2})
        return tags

    def _credit(self, song: int) -> list[dict[str, Any]]:
        w, acts = self.world, self.world.names.song_artists(song)
        return [
            {
                "name": w.names.artist(a),
                "joinphrase": " feat. " if i + 1 < len(acts) else "",
                "artist": {
                    "id": w.codec.uuid("mb_artist", a),
                    "name": w.names.artist(a),
                    "sort-name": w.names.artist(a),
                    "disambiguation": "",
                },
            }
            for i, a in enumerate(acts)
        ]

    def _recording(self, song: int, includes: set[str]) -> dict[str, Any]:
        w = self.world
        date = cat.date_of(w.songs.day[song]).isoformat()
        value: dict[str, Any] = {
            "id": w.codec.uuid("mb_recording", song),
            "title": w.names.base_title(song),
            "length": int(w.songs.duration_ms[song]),
            "disambiguation": {sound.LIVE: "live", sound.REMIX: "remix"}.get(int(w.songs.kind[song]), ""),
            "video": False,
            "first-release-date": date[: (10, 7, 4)[int(w.songs.precision[song])]],
        }
        tags = self._tags(song)
        if includes & {"artist-credits", "artists"}:
            value["artist-credit"] = self._credit(song)
        if "tags" in includes:
            value["tags"] = tags
        if "genres" in includes:
            value["genres"] = [
                t | {"id": w.codec.uuid("mb_release", 10**9 + i), "disambiguation": ""} for i, t in enumerate(tags)
            ]
        tracks = w.tracks_of_song(song)
        if "isrcs" in includes:
            value["isrcs"] = sorted({w.names.isrc(t) for t in tracks})
        if "releases" in includes:
            value["releases"] = [
                {
                    "id": w.codec.uuid("mb_release", int(w.tracks.album[t])),
                    "title": w.names.album(int(w.tracks.album[t])),
                    "date": w.names.release_date(int(w.tracks.album[t]))[0],
                    "status": "Official",
                }
                for t in tracks
            ]
        return value
