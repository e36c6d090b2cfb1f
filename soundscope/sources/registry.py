"""The sources there are. Adding one is one file beside this, which ends in `SOURCE = Entry(...)`, and its name in `settings.PROVIDERS`.

`make` makes one that this configuration allows, with its own rationed client; `ROWS` says how landed answers of every source are read,
whether it is enabled now or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from soundscope.settings import PROVIDERS, Settings, spotify_credentials
from soundscope.sources import spotify
from soundscope.sources.base import Entry, RowSpec, Source
from soundscope.sources.http import Client
from soundscope.sources.internal import INTERNAL_ROWS

SOURCES: dict[str, Entry] = {name: import_module(f"soundscope.sources.{name}").SOURCE for name in PROVIDERS}
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
