"""The sources there are. Adding one is one file beside this and one line in `SOURCES`.

`open_sources` makes those that this configuration allows, each with its own rationed client; `ROWS` says how landed answers of every
source are read, whether it is enabled now or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from soundscope.settings import Settings, spotify_credentials
from soundscope.sources import apple, billboard, billboard_csv, deezer, musicbrainz, reccobeats, spotify
from soundscope.sources.base import RowSpec, Source
from soundscope.sources.http import Client
from soundscope.sources.internal import INTERNAL_ROWS


@dataclass(frozen=True)
class Entry:
    """One source: how it is made, and what may be sent unless the user says otherwise.

    Args:
        source: its class.
        url: where it is live.
        rate: calls per `window_s` seconds: the provider's own limit where it is known or was observed, else what is polite.
        daily_budget: calls in any 24 hours.
        per_run: units of one run, so that a run ends in minutes where the provider is slow; the next one goes on.
        is_strict: the limit is the provider's published one, and the sandbox keeps to it as well.
    """

    source: Any
    url: str
    rate: int | None = None
    window_s: float = 30.0
    daily_budget: int | None = None
    per_run: int | None = None
    is_strict: bool = False


SOURCES: dict[str, Entry] = {
    "billboard_hot_100": Entry(billboard.BillboardHot100, billboard.LIVE_URL, rate=60),
    "spotify": Entry(spotify.Spotify, spotify.LIVE_URL, rate=100, daily_budget=1000),
    "reccobeats": Entry(reccobeats.ReccoBeats, reccobeats.LIVE_URL, rate=60),
    "deezer": Entry(deezer.Deezer, deezer.LIVE_URL, rate=50, window_s=5.0, per_run=3000, is_strict=True),
    "musicbrainz": Entry(musicbrainz.MusicBrainz, musicbrainz.LIVE_URL, rate=1, window_s=1.0, per_run=600, is_strict=True),
    "apple": Entry(apple.Apple, apple.LIVE_URL, rate=20, window_s=60.0),
    "billboard_csv": Entry(billboard_csv.BillboardCsv, billboard_csv.LIVE_URL, rate=60),
}
ROWS: dict[str, Mapping[str, tuple[RowSpec, ...]]] = {
    **{name: entry.source.rows for name, entry in SOURCES.items()},
    "soundscope": INTERNAL_ROWS,
}
# Answers that are CSV and not JSON, as (provider, kind).
CSV_KINDS = frozenset((name, kind) for name, entry in SOURCES.items() for kind in getattr(entry.source, "csv_kinds", ()))


@dataclass(frozen=True)
class Disabled:
    """A provider that is not asked, and why."""

    name: str
    reason: str
    next_step: str


def enabled(settings: Settings, urls: Mapping[str, str]) -> tuple[list[str], list[Disabled]]:
    """Which providers may be asked under this configuration, and why the others are not.

    Args:
        settings: the configuration.
        urls: addresses of the sandbox's providers; empty in live use.
    """
    on, off = [], []
    for name in SOURCES:
        said = settings.provider(name)
        if said.enabled is False:
            off.append(Disabled(name, "switched off in the configuration", f"set providers.{name}.enabled = true"))
        elif name == "musicbrainz" and not said.contact:
            off.append(
                Disabled(
                    name,
                    "it asks for a way to contact whoever calls it",
                    "set providers.musicbrainz.contact to a mail or web address of yours",
                )
            )
        elif settings.profile == "sandbox" or name != "spotify":
            on.append(name)
        elif said.accept_terms != spotify.TERMS:
            off.append(
                Disabled(
                    name,
                    TERMS_TEXT,
                    f'set providers.spotify.accept_terms = "{spotify.TERMS}" once you have read and accepted them',
                )
            )
        elif spotify_credentials(settings.home) is None:
            off.append(
                Disabled(name, "no credentials", "set SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET in the environment or in .env")
            )
        else:
            on.append(name)
    return on, off


TERMS_TEXT = (
    f"the Developer Terms of {spotify.TERMS} are not accepted: they forbid training models on Spotify content, analysing it, and keeping "
    "it indefinitely; keeping to them is the responsibility of whoever uses the credentials"
)


def address(settings: Settings, name: str, urls: Mapping[str, str]) -> str:
    """Where a provider is: as configured, else the sandbox, else the live address."""
    return settings.provider(name).url or urls.get(name) or SOURCES[name].url


def make(settings: Settings, name: str, urls: Mapping[str, str], client: Client) -> Source:
    """One source, ready to be asked through this client."""
    url = address(settings, name, urls)
    if name == "spotify":
        said = settings.provider(name)
        token_url = said.token_url or urls.get("spotify_token") or spotify.LIVE_TOKEN_URL
        credentials = spotify_credentials(settings.home)
        if settings.profile == "sandbox":
            credentials = credentials or ("sandbox-client", "sandbox-secret")
        return spotify.Spotify(client, url, token_url, credentials or ("", ""))
    maker: Callable[[Client, str], Source] = SOURCES[name].source
    return maker(client, url)
