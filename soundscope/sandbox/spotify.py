"""Spotify's accounts service and Web API: routes, refusals per tier, page and batch limits, tokens, both kinds of 429.

The objects themselves are in `spotify_json`, playlists in `playlists`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from soundscope.sandbox import ids, playlists
from soundscope.sandbox.limits import Refusal
from soundscope.sandbox.messages import Request, Response, json_response, text_response
from soundscope.sandbox.search import parse_query
from soundscope.sandbox.spotify_json import MARKETS, Renderer

if TYPE_CHECKING:
    from soundscope.sandbox.state import State

NO_PREMIUM = (
    "Active premium subscription required for the owner of the app. If the subscription was just renewed, "
    "it can take a few hours for this to take effect."
)
NOT_LISTED = "User not registered in the Developer Dashboard"
_REMOVED = re.compile(r"/v1/(tracks|artists|albums|markets|browse/.*|users/.*|artists/[^/]+/top-tracks|playlists/[^/]+/tracks)$")


def error(status: int, message: str | None = None, reason: str | None = None, **headers: str) -> Response:
    """An API error body; `message` and `reason` may be missing."""
    value: dict[str, Any] = {"status": status}
    if message is not None:
        value["message"] = message
    if reason is not None:
        value["reason"] = reason
    return json_response({"error": value}, status, **headers)


def over_limit(refusal: Refusal) -> Response:
    """The 429 of a rate limit, or of a used-up quota."""
    if refusal.reason == "quota":
        return error(429, "Too many requests", "QUOTA_EXCEEDED", Retry_After=refusal.retry_after)
    return error(429, "API rate limit exceeded", Retry_After=refusal.retry_after)


class Spotify:
    """Answers `/spotify/...`; one instance serves all threads."""

    def __init__(self, state: State) -> None:
        self.state, self.world = state, state.world
        self._routes: list[tuple[re.Pattern[str], Callable[..., Response]]] = [
            (re.compile(r"/v1/audio-features"), self._audio_features),
            (re.compile(r"/v1/audio-features/([^/]+)"), self._one_audio_features),
            (re.compile(r"/v1/audio-analysis/([^/]+)"), lambda r, j, i: error(403)),
            (re.compile(r"/v1/tracks"), self._tracks),
            (re.compile(r"/v1/tracks/([^/]+)"), self._track),
            (re.compile(r"/v1/artists"), self._artists),
            (re.compile(r"/v1/artists/([^/]+)"), self._artist),
            (re.compile(r"/v1/artists/([^/]+)/albums"), self._artist_albums),
            (re.compile(r"/v1/artists/([^/]+)/top-tracks"), self._top_tracks),
            (re.compile(r"/v1/albums"), self._albums),
            (re.compile(r"/v1/albums/([^/]+)"), self._album),
            (re.compile(r"/v1/albums/([^/]+)/tracks"), self._album_tracks),
            (re.compile(r"/v1/search"), self._search),
            (re.compile(r"/v1/playlists/([^/]+)"), self._playlist),
            (re.compile(r"/v1/playlists/([^/]+)/(items|tracks)"), self._playlist_items),
        ]

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/api/token":
            return self._token(request)
        problem = self.state.tokens.problem(request.headers.get("authorization", ""))
        if problem:
            return error(401, problem)
        if self.state.tier.development and not self.state.premium:
            return text_response(NO_PREMIUM, 403)
        if self.state.tier.development and not self.state.allow_listed:
            return text_response(NOT_LISTED, 403)
        refusal = self.state.gates["spotify"].admit()
        if refusal:
            return over_limit(refusal)
        if request.method != "GET":
            return error(405, "Method not allowed")
        if self.state.tier.reduced and _REMOVED.fullmatch(request.path):
            return error(403, "Forbidden")
        market = request.get("market").upper()
        if market and market not in MARKETS and not re.fullmatch(r"[A-Z]{2}", market):
            return error(400, "Invalid market code")
        render = Renderer(self.world, self.state.tier, request.base_url + "/v1", market)
        for pattern, answer in self._routes:
            match = pattern.fullmatch(request.path)
            if match:
                return answer(request, render, *match.groups())
        return error(404, "Service not found")

    def _token(self, request: Request) -> Response:
        if request.method != "POST":
            return error(405, "Method not allowed")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        form = request.form()
        try:
            client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            client, secret = "", ""
        if not encoded:
            client, secret, scheme = form.get("client_id", ""), form.get("client_secret", ""), "basic"
        wrong = client.startswith("bad") or secret.startswith("bad")
        if scheme.lower() != "basic" or not client or not secret or wrong:
            what = "Invalid client secret" if client and not client.startswith("bad") else "Invalid client"
            return json_response({"error": "invalid_client", "error_description": what}, 400)
        if form.get("grant_type") != "client_credentials":
            return json_response(
                {"error": "unsupported_grant_type", "error_description": "grant_type parameter is missing or not supported"},
                400,
            )
        life = max(1, int(self.state.tokens.life_s))
        return json_response({"access_token": self.state.tokens.issue(), "token_type": "Bearer", "expires_in": life})

    # --- helpers ------------------------------------------------------------------------------------------------

    def _batch(self, request: Request, most: int) -> tuple[list[str], Response | None]:
        wanted = request.many("ids")
        if not wanted:
            return [], error(400, "Invalid id")
        if len(wanted) > most:
            return [], error(400, "Too many ids requested")
        if not all(ids.is_base62(i) for i in wanted):
            return [], error(400, "Invalid base62 id")
        return wanted, None

    def _one(self, spotify_id: str, found: int | None) -> Response | None:
        if not ids.is_base62(spotify_id):
            return error(400, "Invalid base62 id")
        return error(404, "Resource not found") if found is None else None

    def _find_artist(self, spotify_id: str) -> int | None:
        artist = self.world.codec.decode(spotify_id, "artist")
        return artist if artist is not None and artist < len(self.world.artists.fame) else None

    def _find_album(self, spotify_id: str) -> int | None:
        album = self.world.codec.decode(spotify_id, "album")
        known = album is not None and album < len(self.world.albums.day) and self.world.albums.day[album] <= self.world.day
        return album if known else None

    def _page_bounds(self, request: Request, default: int, most: int) -> tuple[int, int, Response | None]:
        limit, offset = request.integer("limit", default), request.integer("offset", 0)
        if limit is None or not 1 <= limit <= most:
            return 0, 0, error(400, "Invalid limit")
        if offset is None or offset < 0:
            return 0, 0, error(400, "Invalid offset")
        return limit, offset, None

    def _hidden(self, track: int, market: str) -> bool:
        # Without a market and a user's country a few tracks count as not available anywhere.
        return not market and self.world.draw("track.nowhere", track) < 0.003

    # --- tracks, features ---------------------------------------------------------------------------------------

    def _tracks(self, request: Request, render: Renderer) -> Response:
        wanted, refused = self._batch(request, 50)
        if refused:
            return refused
        found = [self.world.find_track(i) for i in wanted]
        hidden = [t is None or self._hidden(t, render.market) for t in found]
        return json_response(
            {"tracks": [None if h or t is None else render.track(t) for t, h in zip(found, hidden, strict=True)]}
        )

    def _track(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        track = self.world.find_track(spotify_id)
        refused = self._one(spotify_id, track)
        if refused or track is None:
            return refused or error(404)
        return error(404, "Resource not found") if self._hidden(track, render.market) else json_response(render.track(track))

    def _audio_features(self, request: Request, render: Renderer) -> Response:
        if not self.state.tier.audio_features:
            return error(403)
        wanted, refused = self._batch(request, 100)
        if refused:
            return refused
        found = [self.world.find_track(i) for i in wanted]
        return json_response({"audio_features": [None if t is None else render.audio_features(t) for t in found]})

    def _one_audio_features(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        if not self.state.tier.audio_features:
            return error(403)
        track = self.world.find_track(spotify_id)
        refused = self._one(spotify_id, track)
        value = None if track is None else render.audio_features(track)
        return refused or (error(404, "analysis not found") if value is None else json_response(value))

    # --- artists, albums ----------------------------------------------------------------------------------------

    def _artists(self, request: Request, render: Renderer) -> Response:
        wanted, refused = self._batch(request, 50)
        found = [self._find_artist(i) for i in wanted]
        return refused or json_response({"artists": [None if a is None else render.artist(a) for a in found]})

    def _artist(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        artist = self._find_artist(spotify_id)
        refused = self._one(spotify_id, artist)
        return refused or (error(404) if artist is None else json_response(render.artist(artist)))

    def _released(self, artist: int) -> list[int]:
        songs = self.world.songs_of_artist(artist)
        return [t for s in songs for t in self.world.tracks_of_song(s)]

    def _artist_albums(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        artist = self._find_artist(spotify_id)
        reduced = self.state.tier.reduced
        limit, offset, bad = self._page_bounds(request, 5 if reduced else 20, 10 if reduced else 50)
        refused = self._one(spotify_id, artist) or bad
        if refused or artist is None:
            return refused or error(404)
        albums = np.unique(self.world.tracks.album[self._released(artist)]) if self._released(artist) else np.zeros(0, int)
        groups = request.many("include_groups")
        values = [(int(self.world.albums.day[a]), render.album_reference(int(a), group=True)) for a in albums]
        if groups:
            values = [v for v in values if v[1]["album_type"] in groups]
        values.sort(key=lambda v: -v[0])
        path, query = f"artists/{spotify_id}/albums", urlencode({"include_groups": ",".join(groups)}) if groups else ""
        items = [v for _, v in values[offset : offset + limit]]
        return json_response(render.page(items, path, query, offset, limit, len(values)))

    def _top_tracks(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        artist = self._find_artist(spotify_id)
        refused = self._one(spotify_id, artist)
        if refused or artist is None:
            return refused or error(404)
        tracks = self._released(artist)
        order = np.argsort(-self.world.popularity(np.array(tracks, dtype=np.int64)), kind="stable")[:10]
        return json_response({"tracks": [render.track(tracks[i]) for i in order]})

    def _albums(self, request: Request, render: Renderer) -> Response:
        wanted, refused = self._batch(request, 20)
        found = [self._find_album(i) for i in wanted]
        return refused or json_response({"albums": [None if a is None else render.album(a) for a in found]})

    def _album(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        album = self._find_album(spotify_id)
        refused = self._one(spotify_id, album)
        return refused or (error(404) if album is None else json_response(render.album(album)))

    def _album_tracks(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        album = self._find_album(spotify_id)
        limit, offset, bad = self._page_bounds(request, 20, 50)
        refused = self._one(spotify_id, album) or bad
        if refused or album is None:
            return refused or error(404)
        tracks = self.world.tracks_of_album(album)
        items = [render.track_reference(t) for t in tracks[offset : offset + limit]]
        return json_response(render.page(items, f"albums/{spotify_id}/tracks", "", offset, limit, len(tracks)))

    # --- search, playlists --------------------------------------------------------------------------------------

    def _search(self, request: Request, render: Renderer) -> Response:
        reduced = self.state.tier.reduced
        limit, offset, bad = self._page_bounds(request, 5 if reduced else 20, 10 if reduced else 50)
        if bad or offset > 1000:
            return bad or error(400, "Invalid offset")
        text, types = request.get("q") or request.get("query"), request.many("type")
        if not text.strip():
            return error(400, "No search query")
        if not types or set(types) - {"track"}:
            return error(400, f"Bad search type field {request.get('type')}" if types else "Missing parameter type")
        with self.state.index_lock:
            found = [t for t in self.state.index.find(parse_query(text)) if not self._hidden(t, render.market)]
        items = [render.track(t) for t in found[offset : offset + limit]]
        others = {"query": text, "type": "track"} | ({"market": render.market} if render.market else {})
        return json_response({"tracks": render.page(items, "search", urlencode(others), offset, limit, len(found))})

    def _playlist(self, request: Request, render: Renderer, spotify_id: str) -> Response:
        playlist = playlists.find(self.world, spotify_id)
        if playlist is None:
            return error(404, "Resource not found") if ids.is_base62(spotify_id) else error(400, "Invalid base62 id")
        return json_response(playlists.playlist_json(playlist, render))

    def _playlist_items(self, request: Request, render: Renderer, spotify_id: str, name: str) -> Response:
        playlist = playlists.find(self.world, spotify_id)
        if playlist is None:
            return error(404, "Resource not found") if ids.is_base62(spotify_id) else error(400, "Invalid base62 id")
        if self.state.tier.reduced:
            return error(403, "Forbidden")
        limit, offset, bad = self._page_bounds(request, 20 if name == "items" else 100, 50 if name == "items" else 100)
        if bad:
            return bad
        return json_response(playlists.items_page(playlist, render, name, offset, limit))
