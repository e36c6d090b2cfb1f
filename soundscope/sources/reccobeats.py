"""ReccoBeats: audio features by Spotify id or ISRC, without a key. The feature provider for everyone whom Spotify refuses.

What is known of it: at most 40 ids a call; unknown ids are left out, not null; the order is not promised, so rows are joined by the last
part of `href`; no time signature. No licence or terms were found, so its values count as unspecified and nothing is trained on them
unless the user says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from soundscope.sources.base import Answer, Capability, Entry, Outcome, Reply, RowSpec, Unit
from soundscope.sources.http import Client, is_json
from soundscope.sources.json_sql import elements, text
from soundscope.sources.shape import Shape

LIVE_URL = "https://api.reccobeats.com/v1"
_SPOTIFY_ID = "nullif(regexp_extract(json_extract_string(e, '$.href'), '([0-9A-Za-z]{22})$', 1), '')"
_FEATURES = (
    "tempo", "danceability", "energy", "valence", "loudness", "acousticness", "instrumentalness", "speechiness",
    "liveness", "key", "mode",
)  # fmt: skip


class ReccoBeats:
    """ReccoBeats as a source of `audio_features` units, keyed by Spotify id or by ISRC."""

    name: ClassVar[str] = "reccobeats"
    licence: ClassVar[str] = "unspecified"
    train_ok: ClassVar[bool] = False
    popularity_scale: ClassVar[str] = "0..100"
    gives: ClassVar[Mapping[str, tuple[str, ...]]] = {"features": ("audio_features",)}
    ttl: ClassVar[timedelta | None] = None
    fresh: ClassVar[Mapping[str, timedelta | None]] = {"audio_features": None}
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]] = {
        "audio_features": (
            RowSpec(
                "audio_features",
                elements("$.content[*]"),
                {
                    "source_id": text("$.id"),
                    "spotify_id": _SPOTIFY_ID,
                    "isrc": text("$.isrc"),
                    **{name: text(f"$.{name}") for name in _FEATURES},
                },
                # A row nobody asked for cannot be joined to anything.
                where=f"list_contains(keys, {_SPOTIFY_ID}) or list_contains(keys, {text('$.isrc')})",
            ),
        )
    }
    shapes: ClassVar[Mapping[str, Shape]] = {
        "audio_features": Shape("content", "id:str href:str isrc?:str|null " + " ".join(f"{name}:num" for name in _FEATURES))
    }

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url.rstrip("/")

    def batch_size(self, kind: str) -> int:
        """Forty ids a call; more are dropped or refused."""
        return 40

    def probe(self) -> list[Capability]:
        """Nothing to ask: no key, no tiers."""
        return [Capability("audio_features", True, "open to all, no key; 11 of 13 features")]

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """Features of up to `batch_size` tracks a call; ids it leaves out are absent."""
        size = self.batch_size(kind)
        for start in range(0, len(units), size):
            keys = [unit.key for unit in units[start : start + size]]
            reply = self.client.get(kind, f"{self.url}/audio-features", params={"ids": ",".join(keys)})
            if reply.status == 200:
                yield _answer(kind, keys, reply)
            else:
                # Only an answer of its own says that it knows none of them; a page that is missing says nothing of tracks.
                outcome = Outcome.ABSENT if reply.status == 404 and is_json(reply.body) else Outcome.ERROR
                yield Answer(kind, keys, reply, dict.fromkeys(keys, outcome), f"status {reply.status}")


def _answer(kind: str, keys: list[str], reply: Reply) -> Answer:
    """Which ids were answered. Where rows cannot be told to belong to an id, the missing ones are an error and not absent."""
    document = json.loads(reply.body)
    content = document.get("content") if isinstance(document, dict) else None
    if not isinstance(content, list):
        return Answer(kind, keys, reply, dict.fromkeys(keys, Outcome.ERROR), "the answer holds no list of features")
    got: set[str] = set()
    is_clear = True
    for row in content:
        href, isrc = (row.get("href"), row.get("isrc")) if isinstance(row, dict) else (None, None)
        is_clear &= isinstance(href, str) and bool(re.search("[0-9A-Za-z]{22}$", href))
        got |= {str(href).rsplit("/", 1)[-1], str(isrc)}
    missing = Outcome.ABSENT if is_clear else Outcome.ERROR
    message = None if is_clear else "rows of the answer name no track"
    return Answer(kind, keys, reply, {key: Outcome.OK if key in got else missing for key in keys}, message)


SOURCE = Entry(ReccoBeats, LIVE_URL, rate=60, by_isrc=True)
