"""Spotify Web API: search, tracks, artists, playlists and, for the few apps that may, audio features.

spotipy is the transport only, with a plain session of our own: its retries hide Retry-After and can sleep for hours, its file cache
mixes up accounts, and its debug log prints the client secret. What an app may do depends on when it was made, so it is probed and never
assumed. Terms (Developer Terms of 2025-05-15) forbid training on what comes from here, its analysis, and keeping it indefinitely; the
provider is off in live use until the user accepts them by date.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import requests
import spotipy
from spotipy.cache_handler import MemoryCacheHandler
from spotipy.oauth2 import SpotifyClientCredentials, SpotifyOauthError

from soundscope.sources.alike import may_be, without_guests
from soundscope.sources.base import Answer, Capability, Entry, Outcome, Refused, Reply, RowSpec, Unit
from soundscope.sources.http import Client, is_json
from soundscope.sources.shape import Shape
from soundscope.sources.spotify_rows import ROWS, SHAPES

LIVE_URL = "https://api.spotify.com/v1/"
LIVE_TOKEN_URL = "https://accounts.spotify.com/api/token"  # noqa: S105 - an address
TERMS = "2025-05-15"
# Any id will do to ask whether an endpoint is granted; this one is the example of the public documentation.
PROBE_ID = "11dFghVXANMlKmJXsNCbNl"
# Development apps made since 2026 may ask for ten at most; five find the same song.
SEARCH_LIMIT = 5
# At DEBUG spotipy logs the bearer token and the header that holds the secret, and at ERROR what is expected here: it is to be silent.
for _name in ("spotipy.client", "spotipy.oauth2"):
    # A filter, because whoever configures logging later (Prefect does) switches disabled loggers on again.
    logging.getLogger(_name).addFilter(lambda record: False)


class Spotify:
    """Spotify as a source of `playlist`, `artist_tracks`, `search`, `tracks`, `audio_features` and `artists` units."""

    name: ClassVar[str] = "spotify"
    licence: ClassVar[str] = f"Spotify Developer Terms {TERMS}"
    train_ok: ClassVar[bool] = False
    popularity_scale: ClassVar[str] = "0..100"
    gives: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "tracks": ("playlist", "artist_tracks", "tracks"),
        "identity": ("search",),
        "features": ("audio_features",),
        "genres": ("artists",),
        "popularity": ("tracks",),
    }
    # The terms give no period; this is how long a value counts as fresh.
    ttl: ClassVar[timedelta | None] = timedelta(days=30)
    fresh: ClassVar[Mapping[str, timedelta | None]] = {
        "playlist": timedelta(hours=20),
        "artist_tracks": timedelta(days=7),
        "search": None,
        "tracks": timedelta(hours=20),
        "audio_features": timedelta(days=30),
        "artists": timedelta(days=30),
    }
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]] = ROWS
    shapes: ClassVar[Mapping[str, Shape]] = SHAPES

    def __init__(self, client: Client, url: str, token_url: str, credentials: tuple[str, str]) -> None:
        self.client = client
        self.url = url if url.endswith("/") else url + "/"
        self.token_url = token_url
        self._credentials = credentials
        self._auth: SpotifyClientCredentials | None = None
        self._lock = threading.Lock()
        self.capabilities: dict[str, bool] = {}

    def batch_size(self, kind: str) -> int:
        """Ids per call: documented maxima where batches are allowed, else one."""
        if kind == "audio_features":
            return 100
        return 50 if kind in ("tracks", "artists") and self.capabilities.get("batch", True) else 1

    def probe(self) -> list[Capability]:
        """Two calls tell what this app may do: audio features, batches, and with the batch popularity.

        Which of the four kinds of app it is follows from the answers. Extended apps granted later and development apps made before
        2026-02-11 answer alike; they count as development apps, because asking too little is the smaller mistake.
        """
        features = self._call("probe", partial(_get, path="audio-features/?ids=" + PROBE_ID))
        if why := refusal_of_account(features):
            return [
                Capability(
                    "catalogue", False, why, "it is a development app; other providers go on, Spotify is left alone for a day"
                )
            ]
        batch = self._call("probe", lambda sp: sp.tracks([PROBE_ID]))
        allowed = {"features": features.status == 200, "batch": batch.status == 200}
        return [
            Capability("catalogue", True, "search, tracks and artists answer"),
            _tier(allowed["features"], allowed["batch"]),
            Capability(
                "audio_features", allowed["features"],
                "allowed" if allowed["features"] else f"refused with status {features.status}: closed to apps made since 2024-11-27",
                "" if allowed["features"] else "features come from ReccoBeats and imported files",
            ),
            Capability(
                "batch", allowed["batch"],
                "allowed" if allowed["batch"] else f"refused with status {batch.status}: development app made since 2026-02-11",
                "" if allowed["batch"] else "one call per track and artist, charting ones first",
            ),
            Capability(
                "popularity", allowed["batch"], "given with tracks" if allowed["batch"] else "not given to this app",
                "" if allowed["batch"] else "Deezer's rank is observed instead; the chart itself says what is popular",
            ),
        ]  # fmt: skip

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """Ask for these units; see `Source.fetch`."""
        if kind in ("tracks", "artists", "audio_features"):
            size = self.batch_size(kind)
            for start in range(0, len(units), size):
                yield self._ids(kind, [unit.key for unit in units[start : start + size]], single=size == 1)
            return
        for unit in units:
            if kind == "search":
                yield self._search(unit)
            elif kind == "playlist":
                yield from self._playlist(unit)
            elif kind == "artist_tracks":
                yield from self._artist(unit)

    def _ids(self, kind: str, keys: list[str], *, single: bool) -> Answer:
        if single:
            method = "track" if kind == "tracks" else "artist"
            reply = self._call(kind, lambda sp: getattr(sp, method)(keys[0]))
            found = {200: Outcome.OK, 400: Outcome.ABSENT, 404: Outcome.ABSENT}
            self._guard(reply, kind)
            if not is_json(reply.body):
                return Answer(method, keys, reply, {keys[0]: Outcome.ERROR}, _message(reply))
            return Answer(method, keys, reply, {keys[0]: found.get(reply.status, Outcome.ERROR)}, _message(reply))
        if kind == "audio_features":
            reply = self._call(kind, partial(_get, path="audio-features/?ids=" + ",".join(keys)))
        else:
            reply = self._call(kind, lambda sp: getattr(sp, kind)(keys))
        self._guard(reply, "audio_features" if kind == "audio_features" else "batch")
        if reply.status != 200:
            return Answer(kind, keys, reply, dict.fromkeys(keys, Outcome.ERROR), _message(reply))
        rows = _list(reply, kind)
        # Rows belong to the ids by their place: with another number of them none can be told to be anybody's.
        if rows is None or len(rows) != len(keys):
            return Answer(kind, keys, reply, dict.fromkeys(keys, Outcome.ERROR), f"the answer does not hold one of {kind} per id")
        return Answer(
            kind, keys, reply, {key: Outcome.OK if row else Outcome.ABSENT for key, row in zip(keys, rows, strict=True)}
        )

    def _search(self, unit: Unit) -> Answer:
        query = f'track:"{_quoted(unit.payload["title"])}" artist:"{_quoted(without_guests(unit.payload["artist"]))}"'
        reply = self._call("search", lambda sp: sp.search(query, limit=SEARCH_LIMIT, type="track"))
        self._guard(reply, "catalogue")
        if reply.status != 200:
            return Answer("search", [unit.key], reply, {unit.key: Outcome.ERROR}, _message(reply))
        tracks = _dict(reply).get("tracks")
        items = tracks.get("items") if isinstance(tracks, dict) else None
        if not isinstance(items, list):
            return Answer("search", [unit.key], reply, {unit.key: Outcome.ERROR}, "the answer holds no list of tracks")
        title, artist = str(unit.payload["title"]), str(unit.payload["artist"])
        found = any(_fits(title, artist, item) for item in items)
        return Answer("search", [unit.key], reply, {unit.key: Outcome.OK if found else Outcome.ABSENT})

    def _playlist(self, unit: Unit) -> Iterator[Answer]:
        url: str | None = f"{self.url}playlists/{unit.key}/items?limit=50&offset=0"
        while url:
            here = url
            reply = self._call("playlist", partial(_get, path=here))
            if reply.status == 403:
                raise Refused(
                    f"playlist {unit.key} is refused: an app without a logged-in user may read it only in the extended tiers",
                    capability="playlist", status=403,
                )  # fmt: skip
            if reply.status != 200:
                outcome = Outcome.ABSENT if reply.status in (400, 404) else Outcome.ERROR
                yield Answer("playlist", [unit.key], reply, {unit.key: outcome}, _message(reply))
                return
            page = _dict(reply)
            page = page["items"] if isinstance(page.get("items"), dict) else page
            url = page.get("next")
            held = "items" in page
            outcome = Outcome.OK if held else Outcome.FORBIDDEN
            message = None if held else "only the playlist's name is given to this app, not its tracks"
            yield Answer("playlist", [unit.key], reply, {} if url else {unit.key: outcome}, message)

    def _artist(self, unit: Unit) -> Iterator[Answer]:
        # Ten is what every tier accepts as a page of albums.
        reply = self._call("artist_albums", lambda sp: sp.artist_albums(unit.key, include_groups="album,single", limit=10))
        self._guard(reply, "catalogue")
        if reply.status != 200:
            outcome = Outcome.ABSENT if reply.status in (400, 404) else Outcome.ERROR
            yield Answer("artist_tracks", [unit.key], reply, {unit.key: outcome}, _message(reply))
            return
        yield Answer("artist_tracks", [unit.key], reply, {})
        listed = _dict(reply).get("items")
        if not isinstance(listed, list):
            yield Answer("artist_tracks", [unit.key], reply, {unit.key: Outcome.ERROR}, "the answer holds no list of albums")
            return
        albums = [album["id"] for album in listed if isinstance(album, dict) and album.get("id")]
        for album in albums:
            answer = self._call("album_tracks", partial(_album_tracks, album=album))
            last = album == albums[-1]
            yield Answer("album_tracks", [unit.key], answer, {unit.key: Outcome.OK} if last else {}, _message(answer))
        if not albums:
            yield Answer("artist_tracks", [unit.key], reply, {unit.key: Outcome.ABSENT})

    # --- transport --------------------------------------------------------------------------------------------------

    def _call(self, kind: str, ask: Callable[[spotipy.Spotify], Any]) -> Reply:
        """One request through spotipy; on 401 the token is renewed once and the request repeated once."""
        reply = self.client.call(kind, lambda: self._send(ask))
        if reply.status == 401:
            self._renew()
            reply = self.client.call(kind, lambda: self._send(ask))
        return reply

    def _send(self, ask: Callable[[spotipy.Spotify], Any]) -> Reply:
        token = self._token()
        api = spotipy.Spotify(auth=token, requests_session=self.client.session, requests_timeout=self.client.timeout_s, retries=0)
        api.prefix = self.url
        self.client.forget()
        # The answer itself is in hand, as it came; spotipy's reading of it adds nothing and trips over plain text.
        with contextlib.suppress(spotipy.SpotifyException, AttributeError, ValueError):
            ask(api)
        reply = self.client.last_reply()
        if reply is None:
            raise requests.ConnectionError("no answer")
        return reply

    def _token(self) -> str:
        with self._lock:
            if self._auth is None:
                self._auth = SpotifyClientCredentials(
                    *self._credentials,
                    cache_handler=MemoryCacheHandler(),
                    requests_session=self.client.session,
                    requests_timeout=self.client.timeout_s,
                )
                self._auth.OAUTH_TOKEN_URL = self.token_url
            try:
                return self._auth.get_access_token(as_dict=False)
            except SpotifyOauthError as error:
                reply = self.client.last_reply()
                if reply is not None and reply.status < 500 and reply.status != 429:
                    raise Refused(
                        f"the Spotify credentials are refused ({getattr(error, 'error', None) or 'token request failed'}); "
                        "check SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET",
                        capability="token", status=reply.status,
                    ) from None  # fmt: skip
                raise requests.ConnectionError("no token") from None

    def _renew(self) -> None:
        with self._lock:
            self._auth = None

    def _guard(self, reply: Reply, capability: str) -> None:
        """Turn a refusal into one message for the whole run."""
        if reply.status == 403:
            why = refusal_of_account(reply)
            raise Refused(
                why or f"Spotify refuses {capability} to this app", capability="catalogue" if why else capability, status=403
            )
        if reply.status == 401:
            raise Refused("Spotify does not accept the token it gave", capability="token", status=401)


def _get(api: spotipy.Spotify, path: str) -> Any:
    # spotipy has no method for a page of a playlist's items by address, and its audio_features warns on every call.
    return api._get(path)


def _album_tracks(api: spotipy.Spotify, album: str) -> Any:
    return api.album_tracks(album, limit=50)


def refusal_of_account(reply: Reply) -> str | None:
    """What a 403 says where it is about the account and not about one endpoint; None for any other answer.

    The texts are those that users quote; a 403 that says none of them is the refusal of one endpoint.
    """
    if reply.status != 403:
        return None
    body = reply.body.decode("utf-8", "replace").lower()
    if "premium" in body:
        return "the owner of the Spotify app has no active Premium subscription (after renewing it can take a few hours)"
    if "not registered" in body or "allow list" in body or "allowlist" in body:
        return "the user is not on the allow list of the Spotify app (add them in its dashboard under User Management)"
    return None


def _tier(features: bool, batch: bool) -> Capability:
    """The kind of app, from what it is allowed."""
    if features:
        return Capability("tier", True, "extended, in use before 2024-11-27: everything is allowed")
    if batch:
        words = "extended granted later, or development made before 2026-02-11: their answers are the same, so it cannot be told"
        return Capability(
            "tier", True, words, "treated as a development app: a thousand calls a day unless daily_budget says otherwise"
        )
    words = "development, made since 2026-02-11: single tracks, ten search results a page, about a thousand calls a day"
    return Capability("tier", True, words, "searching is left to Deezer and MusicBrainz first")


def _message(reply: Reply) -> str | None:
    return None if reply.status == 200 else f"status {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}"


def _dict(reply: Reply) -> dict[str, Any]:
    document = json.loads(reply.body)
    return document if isinstance(document, dict) else {}


def _list(reply: Reply, name: str) -> list[Any] | None:
    rows = _dict(reply).get(name)
    return rows if isinstance(rows, list) else None


def _fits(title: str, artist: str, item: Any) -> bool:
    if not isinstance(item, dict) or not item.get("id"):
        return False
    credited = [str(act.get("name")) for act in item.get("artists") or [] if isinstance(act, dict)]
    return any(may_be(title, artist, str(item.get("name")), name) for name in [*credited, ", ".join(credited)])


def _quoted(words: str) -> str:
    return words.replace('"', " ").strip()


SOURCE = Entry(Spotify, LIVE_URL, rate=100, daily_budget=1000)
