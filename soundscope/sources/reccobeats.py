"""ReccoBeats: audio features by Spotify id, without a key. The feature provider for everyone whom Spotify refuses.

What is known of it: at most 40 ids a call; unknown ids are left out, not null; the order is not promised, so rows are joined by the last
part of `href`; no time signature. No licence or terms were found, so its values count as unspecified and nothing is trained on them
unless the user says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from soundscope.sources.base import Answer, Capability, Outcome, RowSpec, Unit
from soundscope.sources.http import Client
from soundscope.sources.json_sql import elements, text

LIVE_URL = "https://api.reccobeats.com/v1"
_SPOTIFY_ID = "nullif(regexp_extract(json_extract_string(e, '$.href'), '([0-9A-Za-z]{22})$', 1), '')"
_FEATURES = (
    "tempo", "danceability", "energy", "valence", "loudness", "acousticness", "instrumentalness", "speechiness",
    "liveness", "key", "mode",
)  # fmt: skip


class ReccoBeats:
    """ReccoBeats as a source of `audio_features` units, keyed by Spotify id."""

    name: ClassVar[str] = "reccobeats"
    licence: ClassVar[str] = "unspecified"
    train_ok: ClassVar[bool] = False
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
                where=f"list_contains(keys, {_SPOTIFY_ID})",
            ),
        )
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
                got = {str(row.get("href", "")).rsplit("/", 1)[-1] for row in _content(reply.body)}
                yield Answer(kind, keys, reply, {key: Outcome.OK if key in got else Outcome.ABSENT for key in keys})
            else:
                outcome = Outcome.ABSENT if reply.status == 404 else Outcome.ERROR
                yield Answer(kind, keys, reply, dict.fromkeys(keys, outcome), f"status {reply.status}")


def _content(body: bytes) -> list[dict[str, object]]:
    document = json.loads(body)
    content = document.get("content") if isinstance(document, dict) else None
    return [row for row in content if isinstance(row, dict)] if isinstance(content, list) else []
