"""Configuration: `soundscope.toml`, then the environment, which wins. Everything else is derived from the home folder.

Secrets are read from the environment (or a `.env` file in the home folder) by `spotify_credentials` when they are needed; they are
never part of `Settings`, so that printing or passing the settings cannot leak them.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from soundscope.errors import BadInput

PROJECT = Path(__file__).resolve().parents[1]
PROVIDERS = (
    "spotify",
    "reccobeats",
    "deezer",
    "musicbrainz",
    "apple",
    "billboard_hot_100",
    "billboard_csv",
)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProviderSettings(_Strict):
    """What a person may say about one provider. An unset value means: what the source itself declares."""

    enabled: bool | None = None
    url: str | None = None
    token_url: str | None = None
    daily_budget: int | None = Field(default=None, ge=0, description="calls per rolling 24 hours")
    rate: int | None = Field(default=None, ge=1, description="calls per window")
    window_s: float | None = Field(default=None, gt=0, description="length of the rate window in seconds")
    quota_window_s: float = Field(default=86_400.0, gt=0, description="length of the budget window in seconds")
    accept_terms: str | None = None
    train_ok: bool | None = None
    timeout_s: float = Field(default=20.0, gt=0)
    contact: str | None = Field(default=None, description="mail or web address sent in the User-Agent")


class Playlist(_Strict):
    """A followed playlist; its tracks carry the genre label, if one is given."""

    id: str
    genre: str | None = None


class ChartFile(_Strict):
    """A file of tracks or of a chart that is imported whenever it changes."""

    path: Path
    name: str
    kind: Literal["tracks", "chart", "features", "matches"] = "tracks"
    chart: str | None = None
    date: str | None = None
    licence: str | None = None
    train: bool = True
    map: dict[str, str] = Field(default_factory=dict)


class Follow(_Strict):
    """What is followed: charts, playlists (each may carry a genre label), artists, track ids and files."""

    charts: list[str] = Field(default_factory=list)
    playlists: list[Playlist] = Field(default_factory=list)
    artists: list[str] = Field(default_factory=list)
    tracks: list[str] = Field(default_factory=list)
    files: list[ChartFile] = Field(default_factory=list)

    @field_validator("charts")
    @classmethod
    def _known_charts(cls, value: list[str]) -> list[str]:
        return [chart.strip().lower() for chart in value]


class SandboxSettings(_Strict):
    """The synthetic providers that stand in when no live one is configured."""

    port: int = Field(default=8600, ge=0, le=65_535)
    tier: Literal["extended", "extended-new", "development-old", "development"] = "extended"
    seed: int = 7
    tracks: int = Field(default=3000, ge=400)
    time_scale: float = Field(default=1.0, gt=0)
    follow: Follow = Field(default_factory=Follow)


class ServerSettings(_Strict):
    """Where the Prefect server and the app listen; the next free port is taken if one is in use."""

    port: int = Field(default=4200, ge=0, le=65_535)
    app_port: int = Field(default=8501, ge=0, le=65_535)
    database_url: SecretStr | None = Field(
        default=None,
        description="database of the Prefect server, as postgresql+asyncpg://...; a file in the private folder if left out. It may hold a "
        "password, so it belongs into the environment: SOUNDSCOPE_SERVER__DATABASE_URL",
    )


class EngineSettings(_Strict):
    """Limits for DuckDB in every step."""

    threads: int = Field(default=2, ge=1)
    memory_limit: str = "1GB"


class TrainSettings(_Strict):
    """How the genre classifier is trained."""

    target: Literal["genre", "family", "mood"] = "genre"
    seed: int = 20_260_101
    min_rows: int = Field(default=50, ge=2, description="fewer trainable rows than this and nothing is trained")
    min_class_rows: int = Field(default=5, ge=2, description="a rarer class is left out, and counted")
    every_days: float = Field(default=7, gt=0, description="a champion older than this is challenged")
    tune_minutes: float = Field(default=0, ge=0, description="time for trying settings of the candidates; 0: no limit of time")
    tune_trials: int = Field(default=0, ge=0, description="most settings tried; 0: no such limit. Both 0: nothing is tried")


class PrefectSettings(_Strict):
    """Where coarse parallel work is done: candidates and folds of a training, blocks of the catalogue in matching."""

    task_runner: Literal["threads", "dask"] = Field(
        default="threads", description="threads: in the run's own process; dask: by Dask"
    )
    dask_address: str | None = Field(
        default=None, description="scheduler, as tcp://host:8786; a cluster of this machine if left out"
    )
    dask_workers: int = Field(default=2, ge=1, description="processes of that cluster; into so many blocks matching is cut")


class AlertSettings(_Strict):
    """Whom to tell. The address may carry a secret, so it belongs into the environment: SOUNDSCOPE_ALERTS__WEBHOOK."""

    webhook: SecretStr | None = Field(
        default=None, description="address that gets a JSON message by POST: kind, subject, message"
    )


class RetentionSettings(_Strict):
    """How much is kept."""

    releases: int = Field(default=5, ge=1)
    ledger_days: int = Field(default=400, ge=30, description="older attempts, checks and runs leave the ledger")
    landing_days: int = Field(default=400, ge=1, description="older results of SoundScope itself leave landing once replaced")


class LandingSettings(_Strict):
    """Where landed files are kept besides this machine. Credentials come from the environment or fsspec's own configuration."""

    store: str | None = Field(
        default=None,
        description="address of a folder that all machines share, as s3://bucket/prefix or file:///mnt/shared; none if left out",
    )

    @field_validator("store")
    @classmethod
    def _shareable(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        protocol, has_protocol, rest = value.strip().partition("://")
        if not has_protocol or not rest.strip("/"):
            raise ValueError("no address of a folder; write it like s3://bucket/prefix or file:///mnt/shared")
        if protocol == "memory":
            raise ValueError("memory:// is seen by one process alone")
        if ":" in rest.split("/", 1)[0].partition("@")[0] and "@" in rest.split("/", 1)[0]:
            raise ValueError("it carries a password; give that in the environment (AWS_SECRET_ACCESS_KEY, FSSPEC_..., ...)")
        return value.strip().rstrip("/")


class Paths:
    """Every path of an installation, derived from its home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.warehouse = home / "warehouse"
        self.published = self.warehouse / "soundscope.duckdb"
        self.releases = self.warehouse / "releases"
        self.landing = self.warehouse / "landing"
        self.models = self.warehouse / "models"
        self.logs = self.warehouse / "logs"
        self.private = self.warehouse / ".private"
        self.writer = self.private / "writer.duckdb"
        self.lock = self.private / "writer.lock"
        self.ledger = self.private / "ledger.sqlite"
        self.prefect = self.private / "prefect"
        self.dbt = self.private / "dbt"
        self.temp = self.private / "tmp"
        self.damaged = self.private / "damaged"

    def create(self) -> None:
        """Make the folders, private ones readable by their owner alone.

        Raises:
            BadInput: the home folder cannot be written.
        """
        try:
            for folder in (self.warehouse, self.releases, self.landing, self.models, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.private, self.prefect, self.dbt, self.temp):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
            if not os.access(self.warehouse, os.W_OK):
                raise PermissionError(13, "Permission denied", str(self.warehouse))
        except OSError as error:
            raise BadInput(
                f"The folder {self.warehouse} cannot be written: {error.strerror}.",
                next_step="choose another folder with SOUNDSCOPE_HOME, or give yourself write permission on this one.",
            ) from error


class Settings(BaseSettings):
    """All settings; see `soundscope.toml` for what each means."""

    model_config = SettingsConfigDict(
        env_prefix="SOUNDSCOPE_", env_nested_delimiter="__", extra="ignore", nested_model_default_partial_update=True
    )

    home: Path = PROJECT
    profile: Literal["sandbox", "live"] = "sandbox"
    ledger_url: str | None = None
    follow: Follow = Field(default_factory=Follow)
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    feature_order: list[str] = Field(default_factory=lambda: ["import", "spotify", "reccobeats"])
    sandbox: SandboxSettings = Field(default_factory=SandboxSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    prefect: PrefectSettings = Field(default_factory=PrefectSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    landing: LandingSettings = Field(default_factory=LandingSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("providers")
    @classmethod
    def _known_providers(cls, value: dict[str, ProviderSettings]) -> dict[str, ProviderSettings]:
        lowered = {name.lower(): provider for name, provider in value.items()}
        unknown = sorted(set(lowered) - set(PROVIDERS))
        if unknown:
            raise ValueError(f"unknown provider {', '.join(unknown)}; known are {', '.join(PROVIDERS)}")
        return lowered

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        # init_settings carries what the file says, so the environment must come first.
        return env_settings, init_settings

    @cached_property
    def paths(self) -> Paths:
        """Every path of this installation."""
        return Paths(self.home)

    @property
    def followed(self) -> Follow:
        """What this profile follows: `[sandbox.follow]` in the sandbox, `[follow]` live."""
        return self.sandbox.follow if self.profile == "sandbox" else self.follow

    def provider(self, name: str) -> ProviderSettings:
        """What was said about this provider; empty settings if nothing was."""
        return self.providers.get(name, ProviderSettings())


def config_file(home: Path) -> Path:
    """The configuration in force: the home folder's own, else the project's."""
    own = home / "soundscope.toml"
    return own if own.exists() else PROJECT / "soundscope.toml"


def load_settings(**overrides: Any) -> Settings:
    """Read the configuration file and the environment.

    Args:
        overrides: values that replace what the file says (the environment still wins), as nested dictionaries.

    Raises:
        BadInput: the file is not TOML, or a value has the wrong type; the message names the file and the setting.
    """
    home = Path(overrides.get("home") or os.environ.get("SOUNDSCOPE_HOME") or PROJECT).expanduser()
    file = config_file(home)
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"{file} is not valid TOML: {error}.", next_step="correct that line, or delete the file.") from error
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise BadInput(
            f"{file}: unknown setting {', '.join(unknown)}.",
            next_step=f"known settings are {', '.join(sorted(Settings.model_fields))}.",
        )
    values = _merge(values, overrides)
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        got = re.sub(r"//[^/@\s]*@", "//***@", repr(first.get("input")))
        raise BadInput(
            f"Setting {where or '?'} is wrong: {first['msg']} (got {got}).",
            next_step=f"correct it in {file}, or in the environment as "
            f"SOUNDSCOPE_{'__'.join(str(part) for part in first['loc']).upper()}.",
        ) from error


def _merge(base: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in extra.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def spotify_credentials(home: Path) -> tuple[str, str] | None:
    """Client id and secret from SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET (environment, else `.env` in the home), or None."""
    values = {**_dotenv(home / ".env"), **os.environ}
    pair = values.get("SPOTIPY_CLIENT_ID", ""), values.get("SPOTIPY_CLIENT_SECRET", "")
    return pair if all(pair) else None


def _dotenv(file: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    return {key: value for key, value in dotenv_values(file).items() if value} if file.exists() else {}
