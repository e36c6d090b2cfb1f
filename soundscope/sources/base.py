"""What every source speaks: units to ask for, answers with an outcome per unit, and how rows are read from a landed body.

No provider is named here and nothing is sent; that is in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from soundscope.sources.shape import Shape


class Outcome(StrEnum):
    """What came of asking for one thing. An outage is never `absent`."""

    OK = "ok"
    ABSENT = "absent"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    ERROR = "error"


@dataclass(frozen=True)
class Unit:
    """One thing to ask one provider for."""

    provider: str
    kind: str
    key: str
    priority: float = 0.0
    payload: Mapping[str, Any] = field(default_factory=dict)
    etag: str | None = None


@dataclass(frozen=True)
class Reply:
    """One HTTP answer as it came."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: datetime


@dataclass
class Answer:
    """A reply and what it means for the units it was asked for.

    `kind` says how its rows are read (see `Source.rows`); it may differ from the kind of the units where one unit takes several
    requests. `outcomes` maps unit keys to outcomes; a key that is missing there is still open.
    """

    kind: str
    keys: Sequence[str]
    reply: Reply
    outcomes: dict[str, Outcome]
    message: str | None = None


@dataclass(frozen=True)
class RowSpec:
    """How rows of one raw table are read from a landed JSON body, in DuckDB SQL.

    Args:
        table: the raw table.
        rows: a list of JSON elements, from `body` (JSON) and `keys` (VARCHAR[]).
        columns: raw column -> text expression over `e` (the element), `i` (its position from 1), `keys`, `body`, `fetched_at`.
        where: which elements count.
        bounds: documented ranges that are the provider's own.
    """

    table: str
    rows: str
    columns: Mapping[str, str]
    where: str = "true"
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Capability:
    """What a provider allows this account, and what is done instead where it does not."""

    capability: str
    is_allowed: bool
    reason: str
    instead: str = ""


class Source(Protocol):
    """One provider. What it `gives` decides what it is asked for; see `GIVES`."""

    name: ClassVar[str]
    licence: ClassVar[str]
    train_ok: ClassVar[bool]
    # 0..100, or rank where only the order means something: then it becomes a percentile.
    popularity_scale: ClassVar[str]
    # What of a run it takes part in -> kinds of its units, in the order they are asked for; keys are those of `GIVES`.
    gives: ClassVar[Mapping[str, tuple[str, ...]]]
    # How long its values may be kept; None for ever.
    ttl: ClassVar[timedelta | None]
    # kind -> how long an answer stays fresh; None means for ever.
    fresh: ClassVar[Mapping[str, timedelta | None]]
    # kind of answer -> how rows are read from it.
    rows: ClassVar[Mapping[str, tuple[RowSpec, ...]]]
    # kind of answer -> what its rows looked like when this was written.
    shapes: ClassVar[Mapping[str, Shape]]

    def batch_size(self, kind: str) -> int:
        """Most units of this kind in one call to `fetch`'s inner request."""
        ...

    def probe(self) -> list[Capability]:
        """Ask what this account may do, in as few calls as possible."""
        ...

    def fetch(self, kind: str, units: Sequence[Unit]) -> Iterator[Answer]:
        """Ask for these units.

        Raises:
            Deferred: the provider, or our own budget, says not now.
            Refused: this account may not do it at all.
            Unreachable: no usable answer after several attempts.
        """
        ...


# What a provider may give. The last four are asked of several providers in a documented order: whoever comes first and has it wins.
GIVES: Mapping[str, str] = {
    "charts": "weeks or lists of the day",
    "tracks": "metadata of tracks by their ids, or of those that a playlist or an artist leads to",
    "identity": "the track that a chart's title and artist mean; units of kind `search`",
    "features": "audio features by Spotify id or ISRC; units of kind `audio_features`",
    "genres": "genre labels, as the source spells them",
    "popularity": "popularity, on the provider's own scale",
}


@dataclass(frozen=True)
class Entry:
    """How a source is made and what may be sent to it unless the user says otherwise.

    Args:
        source: its class.
        url: where it is live.
        rate: calls per `window_s` seconds: the provider's own limit where it is known or was observed, else what is polite.
        daily_budget: calls in any 24 hours.
        per_run: units of one run, so that a run ends in minutes where the provider is slow; the next one goes on.
        is_strict: the limit is the provider's published one, and the sandbox keeps to it as well.
        by_isrc: features may be asked by ISRC as well, where no Spotify id is known.
    """

    source: Any
    url: str
    rate: int | None = None
    window_s: float = 30.0
    daily_budget: int | None = None
    per_run: int | None = None
    is_strict: bool = False
    by_isrc: bool = False


class ProviderTrouble(Exception):
    """Something about one provider that ends a batch, never the run."""

    outcome = Outcome.ERROR

    def __init__(self, message: str, *, status: int | None = None, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_at = retry_at


class Deferred(ProviderTrouble):
    """Not now: a rate limit or quota whose end is too far away to wait for in the process."""

    outcome = Outcome.RATE_LIMITED


class QuotaSpent(Deferred):
    """The account's quota, or the budget we set ourselves, is used up."""

    outcome = Outcome.QUOTA


class Refused(ProviderTrouble):
    """This account may not do this at all."""

    outcome = Outcome.FORBIDDEN

    def __init__(self, message: str, *, capability: str, status: int | None = None) -> None:
        super().__init__(message, status=status)
        self.capability = capability


class Stopping(ProviderTrouble):
    """The run is ending; nothing is wrong with the provider."""


class Unreachable(ProviderTrouble):
    """No usable answer after several attempts: outage, cut connection, malformed body.

    `is_silent`: nothing answers at all, so that waiting for more of the same would only take time.
    """

    def __init__(self, message: str, *, status: int | None = None, is_silent: bool = False) -> None:
        super().__init__(message, status=status)
        self.is_silent = is_silent
