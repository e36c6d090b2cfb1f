"""What should be asked for: units planned from the configuration and from what the raw tables already hold, grouped into batches.

A request is never planned for something held and still fresh: the ledger knows. Nothing is sent here, except the one question a chart
archive is asked for news. Charts are planned in `charts.py`, who is searched for a chart key in `identity.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from soundscope.ingest import charts, identity, wanted
from soundscope.ingest.claims import asked_so_far
from soundscope.ingest.session import Session
from soundscope.sources.base import Unit
from soundscope.sources.registry import SOURCES

# What `soundscope ingest KIND` asks for, in the order a run takes them, as (provider, kind of unit). Charts and searches plan themselves.
KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    kind: tuple((name, unit) for name, entry in SOURCES.items() for unit in entry.source.gives.get(kind, ()) if kind != "charts")
    for kind in ("charts", "tracks", "features", "genres", "popularity")
}
# Units in one batch: a batch is a task in the dashboard and a file in landing, some seconds of work.
_BATCH = {"week": 50, "search": 100, "playlist": 50, "artist_tracks": 10, "tracks": 1000, "audio_features": 2000, "artists": 500}


@dataclass(frozen=True)
class Batch:
    """Units that are fetched by one task into one landing file."""

    provider: str
    kind: str
    units: tuple[Unit, ...]
    number: int

    @property
    def name(self) -> str:
        """What it is, for a person: provider, kind, and which of several."""
        return f"{self.provider}-{self.kind}-{self.number}"


def plan(session: Session, con: duckdb.DuckDBPyConnection, kind: str) -> list[Batch]:
    """The batches to fetch now for one of `KINDS`.

    What a fetch brings may make more wanted (an artist's tracks, features that the first provider lacks, a search that found nothing), so
    it is called again until it returns nothing; what was asked for in this run is not planned again.

    Args:
        session: sources and ledger.
        con: the writer, with raw tables.
        kind: charts, tracks, features, genres or popularity.
    """
    session.planned_at = asked_so_far(session.ledger)
    if kind == "charts":
        found = charts.due(session, con)
    else:
        found = [_due(session, con, provider, unit_kind, kind) for provider, unit_kind in KINDS[kind]]
        # What is known by an id is looked up first: names that this makes known need no search.
        if kind == "tracks" and not any(units for _, _, units in found):
            found = identity.due(session, con)
    return [batch for provider, unit_kind, units in found for batch in batches(provider, unit_kind, units)]


def batches(provider: str, kind: str, units: Sequence[Unit]) -> list[Batch]:
    """Units of one provider and kind in parts of a usual size; a whole archive in one file is one part."""
    size = len(units) if kind == "all" or kind.endswith("_all") else _BATCH.get(kind, 200)
    parts = [tuple(units[start : start + size]) for start in range(0, len(units), size or 1)]
    return [Batch(provider, kind, part, number) for number, part in enumerate(parts, 1)]


def _due(
    session: Session, con: duckdb.DuckDBPyConnection, provider: str, unit_kind: str, kind: str
) -> tuple[str, str, list[Unit]]:
    if provider not in session.sources or not session.allows(provider, _capability(provider, unit_kind, kind)):
        return provider, unit_kind, []
    units = wanted.units(session, con, provider, unit_kind, kind)
    due = session.due(provider, unit_kind, units)
    return provider, unit_kind, due[: session.room(provider)]


def _capability(provider: str, unit_kind: str, kind: str) -> str:
    if provider == "spotify" and kind == "popularity":
        return "popularity"
    return "audio_features" if unit_kind == "audio_features" else "catalogue"
