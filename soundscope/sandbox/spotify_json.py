"""Web API objects of the synthetic catalogue, with the fields that each tier of app still gets.

Routes, limits and refusals are in `spotify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import figures, ids
from soundscope.sandbox.world import World

MARKETS = ("AR", "AU", "BR", "CA", "DE", "ES", "FR", "GB", "IT", "JP", "MX", "NL", "PL", "SE", "US")
_ALBUM_TYPES = {cat.SINGLE: "single", cat.ALBUM: "album", cat.COLLECTION: "compilation", cat.REISSUE: "album"}
VARIOUS_ARTISTS = ids.named_id("Various Artists")
Json = dict[str, Any]


@dataclass(frozen=True)
class Tier:
    """What an app of some kind may do."""

    name: str
    audio_features: bool
    reduced: bool  # the endpoint and field cut of February 2026
    development: bool  # owner needs Premium, quota per account


TIERS = {
    "extended": Tier("extended", True, False, False),
    "extended-new": Tier("extended-new", False, False, False),
    "development-old": Tier("development-old", False, False, True),
    "development": Tier("development", False, True, True),
}


class Renderer:
    """Objects for one request: a tier, the API's base address and the market asked for (or "")."""

    def __init__(self, world: World, tier: Tier, api: str, market: str = "") -> None:
        self.world, self.tier, self.api, self.market = world, tier, api, market

    def _reference(self, kind: str, spotify_id: str) -> Json:
        return {
            "external_urls": {"spotify": f"https://open.spotify.com/{kind}/{spotify_id}"},
            "href": f"{self.api}/{kind}s/{spotify_id}",
            "id": spotify_id,
            "type": kind,
            "uri": f"spotify:{kind}:{spotify_id}",
        }

    def _cut(self, value: Json, *names: str) -> Json:
        if self.tier.reduced:
            for name in names:
                value.pop(name, None)
        return value

    def _markets(self, stream: str, index: int) -> list[str]:
        return [m for i, m in enumerate(MARKETS) if m == "US" or self.world.draw(f"{stream}.{i}", index) < 0.93]

    def artist_reference(self, artist: int) -> Json:
        """A simplified artist."""
        if artist < 0:
            return self._reference("artist", VARIOUS_ARTISTS) | {"name": "Various Artists"}
        return self._reference("artist", self.world.codec.encode("artist", artist)) | {"name": self.world.names.artist(artist)}

    def artist(self, artist: int) -> Json:
        """A full artist; about one in five has no genres."""
        w = self.world
        fame = float(w.artists.fame[artist])
        genre = figures.GENRES[int(w.artists.genre[artist])]
        finer = figures.SUBGENRES[genre]
        draw = w.draw("artist.labels", artist)
        first = int(draw * 997) % len(finer)
        labels = [] if draw < 0.22 else [finer[first], finer[(first + 1) % len(finer)], genre][: 1 + int(draw * 10) % 3]
        value = self.artist_reference(artist) | {
            "followers": {"href": None, "total": int(12_000 * np.exp(1.9 * fame))},
            "genres": labels,
            "images": self._images("artist", artist),
            "popularity": int(np.clip(45 + 16 * fame, 0, 100)),
        }
        return self._cut(value, "followers", "popularity")

    def _images(self, kind: str, index: int) -> list[Json]:
        return [{"url": f"https://images.invalid/synthetic-{kind}-{index}-{s}", "height": s, "width": s} for s in (640, 300, 64)]

    def album_reference(self, album: int, group: bool = False) -> Json:
        """A simplified album."""
        w = self.world
        date, precision = w.names.release_date(album)
        kind = _ALBUM_TYPES[int(w.albums.kind[album])]
        value = self._reference("album", w.codec.encode("album", album)) | {
            "album_type": kind,
            "artists": [self.artist_reference(int(w.albums.artist[album]))],
            "available_markets": self._markets("album.market", album),
            "images": self._images("album", album),
            "name": w.names.album(album),
            "release_date": date,
            "release_date_precision": precision,
            "total_tracks": len(w.tracks_of_album(album)),
        }
        if group:
            value["album_group"] = kind
        if self.market:
            value.pop("available_markets")
        return self._cut(value, "available_markets", "album_group")

    def album(self, album: int, limit: int = 50) -> Json:
        """A full album with its first page of tracks."""
        w, value = self.world, self.album_reference(album)
        tracks = w.tracks_of_album(album)
        value |= {
            "tracks": self.page(
                [self.track_reference(t) for t in tracks[:limit]], f"albums/{value['id']}/tracks", "", 0, limit, len(tracks)
            ),
            "copyrights": [{"text": "Synthetic data, no recording exists", "type": "C"}],
            "external_ids": {"upc": w.names.upc(album)},
            "genres": [],
            "label": f"{w.names.album(album).split()[0]} Synthetic Records",
            "popularity": int(np.mean(w.popularity(np.array(tracks[:20])))) if tracks else 0,
        }
        return self._cut(value, "label", "popularity")

    def _relinked(self, track: int) -> int:
        """The id that plays in the market instead of the one asked for (one in eight, where another id exists)."""
        w = self.world
        if not self.market or w.draw(f"relink.{self.market}", track) >= 0.125:
            return track
        others = [t for t in w.tracks_of_song(int(w.tracks.song[track])) if t != track and w.names.isrc(t) == w.names.isrc(track)]
        return others[0] if others else track

    def track_reference(self, track: int) -> Json:
        """A simplified track (as on an album)."""
        w = self.world
        song, album = int(w.tracks.song[track]), int(w.tracks.album[track])
        value = self._reference("track", w.track_id(track)) | {
            "artists": [self.artist_reference(a) for a in w.names.song_artists(song)],
            "available_markets": self._markets("track.market", track),
            "disc_number": 1,
            "duration_ms": int(w.songs.duration_ms[song]),
            "explicit": w.is_explicit(song),
            "is_local": False,
            "name": w.names.track(track),
            "preview_url": None,
            "track_number": w.tracks_of_album(album).index(track) + 1,
        }
        if self.market:
            value.pop("available_markets")
            value["is_playable"] = w.draw(f"playable.{self.market}", track) >= 0.02
            if not value["is_playable"]:
                value["restrictions"] = {"reason": "market"}
        return self._cut(value, "available_markets")

    def track(self, asked: int) -> Json:
        """A full track; with a market its id may differ from the one asked for (`linked_from` says from which)."""
        w, track = self.world, self._relinked(asked)
        value = self.track_reference(track) | {
            "album": self.album_reference(int(w.tracks.album[track])),
            "external_ids": {"isrc": w.names.isrc(track)},
            "popularity": int(w.popularity(np.array([track]))[0]),
        }
        if track != asked:
            value["linked_from"] = self._reference("track", w.track_id(asked))
            value["is_playable"] = True
            value.pop("restrictions", None)
        return self._cut(value, "popularity", "linked_from")

    def audio_features(self, track: int) -> Json | None:
        """The audio-features object, or None for a track that was never analysed."""
        w = self.world
        if not w.has_analysis(track):
            return None
        song, spotify_id = int(w.tracks.song[track]), w.track_id(track)
        silent = w.is_silent(song)
        row = dict(zip(figures.FEATURES, w.features(track).tolist(), strict=True))
        value: Json = {name: round(0.0 if silent and name != "loudness" else v, 3) for name, v in row.items()}
        if silent:
            value["loudness"] = -60.0
        reference = self._reference("track", spotify_id)
        return value | {
            "key": -1 if silent else int(w.songs.key[song]),
            "mode": 0 if silent else int(w.songs.mode[song]),
            "time_signature": 0 if silent else int(w.songs.metre[song]),
            "duration_ms": int(w.songs.duration_ms[song]),
            "type": "audio_features",
            "id": spotify_id,
            "uri": reference["uri"],
            "track_href": reference["href"],
            "analysis_url": f"{self.api}/audio-analysis/{spotify_id}",
        }

    def page(self, items: list[Any], path: str, query: str, offset: int, limit: int, total: int) -> Json:
        """A paging object whose links stay on this server; `query` holds the other parameters."""

        def link(start: int) -> str:
            return f"{self.api}/{path}?{query + '&' if query else ''}offset={start}&limit={limit}"

        return {
            "href": link(offset),
            "items": items,
            "limit": limit,
            "next": link(offset + limit) if offset + limit < total else None,
            "offset": offset,
            "previous": link(max(0, offset - limit)) if offset > 0 else None,
            "total": total,
        }
