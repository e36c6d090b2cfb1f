"""How rows are read from Spotify's answers, and what those looked like when this was written. Asking is in `spotify.py`."""

from __future__ import annotations

from collections.abc import Mapping

from soundscope.sources.base import RowSpec
from soundscope.sources.json_sql import elements, first_day, joined, precision, text
from soundscope.sources.shape import Shape

_DATE = text("$.album.release_date")


def _track_columns(identifier: str) -> dict[str, str]:
    return {
        # The requested id: without linked_from a relinked answer cannot be mapped back.
        "source_id": identifier,
        "spotify_id": identifier,
        "isrc": f"upper(replace({text('$.external_ids.isrc')}, '-', ''))",
        "title": text("$.name"),
        "artist": text("$.artists[0].name"),
        "artists": joined("$.artists[*].name", "; "),
        "artist_ids": joined("$.artists[*].id", ";"),
        "album": text("$.album.name"),
        "release_date": first_day(_DATE),
        "release_precision": f"coalesce({text('$.album.release_date_precision')}, {precision(_DATE)})",
        "duration_ms": text("$.duration_ms"),
        "explicit": text("$.explicit"),
    }


def _popularity(identifier: str) -> dict[str, str]:
    return {
        "source_id": identifier,
        "spotify_id": identifier,
        "title": text("$.name"),
        "artist": text("$.artists[0].name"),
        "popularity": text("$.popularity"),
        "observed_at": "cast(fetched_at as varchar)",
    }


def _track_rows(rows: str, identifier: str, where: str = "json_type(e) = 'OBJECT'") -> tuple[RowSpec, ...]:
    """Track metadata, and popularity where the tier gives it (an absent key is NULL, never 0)."""
    has_popularity = f"{where} and {text('$.popularity')} is not null"
    return (
        RowSpec("tracks", rows, _track_columns(identifier), where),
        RowSpec("popularity", rows, _popularity(identifier), has_popularity, bounds={"popularity": (0, 100)}),
    )


# Old playlists say `track`, new ones `item`; local files carry no id.
_ITEM = "coalesce(json_extract(e, '$.item'), json_extract(e, '$.track'))"
_ITEMS = f"list_transform({elements('$.items[*]')}, lambda e: {_ITEM})"
_WITH_ID = "json_type(e) = 'OBJECT' and json_extract_string(e, '$.id') is not null"
FEATURES = (
    "tempo", "danceability", "energy", "valence", "loudness", "acousticness", "instrumentalness", "speechiness",
    "liveness", "key", "mode", "time_signature", "duration_ms",
)  # fmt: skip

ROWS: Mapping[str, tuple[RowSpec, ...]] = {
    "search": _track_rows(elements("$.tracks.items[*]"), text("$.id"), _WITH_ID),
    "tracks": _track_rows(elements("$.tracks[*]"), "keys[i]"),
    "track": _track_rows("[body]", "keys[1]"),
    "playlist": (
        *_track_rows(_ITEMS, text("$.id"), _WITH_ID),
        RowSpec(
            "genre_labels",
            _ITEMS,
            {
                "subject": "'track'",
                "source_id": text("$.id"),
                "spotify_id": text("$.id"),
                "title": text("$.name"),
                "artist": text("$.artists[0].name"),
                "label": text("$.genre", "payload"),
                "source": "'spotify:playlist:' || keys[1]",
            },
            f"{_WITH_ID} and {text('$.genre', 'payload')} is not null",
        ),
    ),
    "artist_tracks": (),
    "album_tracks": (
        RowSpec(
            "tracks",
            elements("$.items[*]"),
            {
                "source_id": text("$.id"),
                "spotify_id": text("$.id"),
                "title": text("$.name"),
                "artist": text("$.artists[0].name"),
                "artists": joined("$.artists[*].name", "; "),
                "artist_ids": joined("$.artists[*].id", ";"),
                "duration_ms": text("$.duration_ms"),
                "explicit": text("$.explicit"),
            },
            _WITH_ID,
        ),
    ),
    "audio_features": (
        RowSpec(
            "audio_features",
            elements("$.audio_features[*]"),
            {"source_id": "keys[i]", "spotify_id": "keys[i]", **{name: text(f"$.{name}") for name in FEATURES}},
            "json_type(e) = 'OBJECT'",
        ),
    ),
    "artists": (
        RowSpec(
            "genre_labels",
            "flatten(list_transform(json_extract(body, '$.artists[*]'), lambda a: list_transform("
            "coalesce(json_extract_string(a, '$.genres[*]'), []), "
            "lambda g: json_object('id', json_extract_string(a, '$.id'), 'artist', json_extract_string(a, '$.name'), 'label', g))))",
            {
                "subject": "'artist'",
                "artist_id": text("$.id"),
                "artist": text("$.artist"),
                "label": text("$.label"),
                "source": "'spotify:artist'",
            },
        ),
    ),
    "artist": (
        RowSpec(
            "genre_labels",
            "list_transform(coalesce(json_extract_string(body, '$.genres[*]'), []), lambda g: json_object('label', g))",
            {
                "subject": "'artist'",
                "artist_id": "keys[1]",
                "artist": text("$.name", "body"),
                "label": text("$.label"),
                "source": "'spotify:artist'",
            },
        ),
    ),
}
_REFERENCE = "href?:str uri?:str external_urls?:obj type?:str "
_TRACK = (
    "id:str name:str artists[].id:str artists[].name:str duration_ms:int explicit:bool is_local?:bool disc_number?:int track_number?:int "
    "preview_url?:str|null available_markets?:list linked_from?:obj is_playable?:bool restrictions?:obj "
    + _REFERENCE
    + " ".join(f"artists[].{word}" for word in _REFERENCE.split())
    + " "
)
_ALBUM = (
    "album.id:str album.name:str album.release_date:str album.release_date_precision:str album.album_type?:str album.artists?:list "
    "album.available_markets?:list album.images?:list album.total_tracks?:int album.is_playable?:bool album.album_group?:str "
    "album.label?:str " + " ".join(f"album.{word}" for word in _REFERENCE.split()) + " "
)
_WHOLE = _TRACK + _ALBUM + "external_ids.isrc?:str external_ids.ean?:str external_ids.upc?:str popularity?:int"
_ARTIST = "id:str name:str genres?:list popularity?:int followers?:obj images?:list " + _REFERENCE
SHAPES: Mapping[str, Shape] = {
    "search": Shape("tracks.items", _WHOLE),
    "tracks": Shape("tracks", _WHOLE),
    "track": Shape("", _WHOLE),
    "album_tracks": Shape("items", _TRACK),
    "audio_features": Shape(
        "audio_features",
        "id:str type?:str uri?:str track_href?:str analysis_url?:str duration_ms:int key:int mode:int time_signature:int "
        + " ".join(f"{name}:num" for name in FEATURES if name not in ("duration_ms", "key", "mode", "time_signature")),
    ),
    "artists": Shape("artists", _ARTIST),
    "artist": Shape("", _ARTIST),
}
