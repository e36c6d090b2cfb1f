"""The followed playlists: one per genre, whose label they give, and one of new releases without a label.

Ids come from the names, so they are the same for every seed. Entries include what real playlists include: a local file
and a place whose track is gone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from soundscope.sandbox import catalogue as cat
from soundscope.sandbox import figures, ids
from soundscope.sandbox.spotify_json import Renderer
from soundscope.sandbox.world import NEW_RELEASES, World

LOCAL, GONE = -1, -2
NEW_DAYS = 56


@dataclass
class Playlist:
    """A playlist as of the world's date: entries are track numbers, LOCAL or GONE."""

    id: str
    name: str
    genre: str | None
    entries: list[int]


def playlist_ids(world: World) -> list[dict[str, str | None]]:
    """Id, name and genre label (None for new releases) of every followed playlist."""
    named: list[tuple[str, str | None]] = [(world.names.playlist(g), g) for g in figures.GENRES]
    return [{"id": ids.named_id(n), "name": n, "genre": g} for n, g in [*named, (NEW_RELEASES, None)]]


def find(world: World, spotify_id: str) -> Playlist | None:
    """The playlist with that id, or None."""
    for known in playlist_ids(world):
        if known["id"] == spotify_id:
            return Playlist(spotify_id, str(known["name"]), known["genre"], _entries(world, known["genre"]))
    return None


def _entries(world: World, genre: str | None) -> list[int]:
    day, days = world.day, world.tracks.day
    if genre is not None:
        members = world.genre_members[genre]
        return [int(t) for t in members[days[members] <= day]]
    recent = np.flatnonzero((days > day - NEW_DAYS) & (days <= day) & (world.tracks.version == cat.MAIN))
    entries = [int(t) for t in recent[np.lexsort((recent, -days[recent]))][:500]]
    return [*entries[:7], LOCAL, *entries[7:19], GONE, *entries[19:]]


def _owner(api: str) -> dict[str, Any]:
    return {
        "display_name": "SoundScope sandbox",
        "external_urls": {"spotify": "https://open.spotify.com/user/soundscope-sandbox"},
        "href": f"{api}/users/soundscope-sandbox",
        "id": "soundscope-sandbox",
        "type": "user",
        "uri": "spotify:user:soundscope-sandbox",
    }


def _local_track() -> dict[str, Any]:
    nothing: dict[str, Any] = {"external_urls": {}, "href": None, "id": None, "uri": None}
    return nothing | {
        "album": nothing
        | {"album_type": None, "artists": [], "images": [], "name": "Home Recordings", "release_date": None, "type": "album"},
        "artists": [nothing | {"name": "A Local File", "type": "artist"}],
        "available_markets": [],
        "disc_number": 0,
        "duration_ms": 61_000,
        "explicit": False,
        "external_ids": {},
        "is_local": True,
        "name": "Kitchen Demo",
        "popularity": 0,
        "preview_url": None,
        "track_number": 0,
        "type": "track",
        "uri": "spotify:local:A+Local+File:Home+Recordings:Kitchen+Demo:61",
    }


def _entry(entry: int, render: Renderer, name: str) -> dict[str, Any]:
    track = None if entry == GONE else _local_track() if entry == LOCAL else render.track(entry)
    world = render.world
    added = cat.date_of(world.day if entry < 0 else int(world.tracks.day[entry])) + dt.timedelta(days=0)
    value: dict[str, Any] = {
        "added_at": f"{added.isoformat()}T06:00:00Z",
        "added_by": _owner(render.api),
        "is_local": entry == LOCAL,
        "primary_color": None,
        "video_thumbnail": {"url": None},
        "track": track,
    }
    if name == "items":
        value["item"] = track
    return value


def items_page(playlist: Playlist, render: Renderer, name: str, offset: int, limit: int) -> dict[str, Any]:
    """A page of entries; `/items` gives both `item` and the older `track`, `/tracks` only the older one."""
    part = playlist.entries[offset : offset + limit]
    items = [_entry(e, render, name) for e in part]
    return render.page(items, f"playlists/{playlist.id}/{name}", "", offset, limit, len(playlist.entries))


def playlist_json(playlist: Playlist, render: Renderer) -> dict[str, Any]:
    """The playlist object; on a reduced tier a playlist of somebody else comes without its entries."""
    owner = _owner(render.api)
    snapshot = hashlib.sha256(f"{playlist.id}|{playlist.entries}".encode()).hexdigest()[:40]
    value: dict[str, Any] = {
        "collaborative": False,
        "description": "Synthetic playlist of the SoundScope sandbox",
        "external_urls": {"spotify": f"https://open.spotify.com/playlist/{playlist.id}"},
        "followers": {"href": None, "total": 1000 + len(playlist.entries)},
        "href": f"{render.api}/playlists/{playlist.id}",
        "id": playlist.id,
        "images": [],
        "name": playlist.name,
        "owner": owner,
        "primary_color": None,
        "public": True,
        "snapshot_id": snapshot,
        "type": "playlist",
        "uri": f"spotify:playlist:{playlist.id}",
    }
    if render.tier.reduced:
        value.pop("followers")
    else:
        value["tracks"] = items_page(playlist, render, "tracks", 0, 100)
    return value
