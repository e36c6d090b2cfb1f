"""Machines that share one ledger and one store of landed files: homes of their own, in one process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from soundscope.ingest.imports import ImportRequest, import_file
from soundscope.pipeline.land import land_frames
from soundscope.pipeline.loading import load_waiting
from soundscope.pipeline.run import Run, open_run
from soundscope.settings import load_settings

# Rows of these tables are the same on every machine that has loaded the same files; when a machine loaded them is its own business.
TABLES = ("tracks", "audio_features", "recordings", "track_links", "chart_entries", "popularity", "genre_labels", "quarantine")


class Machine:
    """One home. `store` and `ledger_url` are shared with others."""

    def __init__(self, home: Path, store: str, ledger_url: str) -> None:
        home.mkdir(exist_ok=True)
        self.settings = load_settings(home=home, ledger_url=ledger_url, landing={"store": store}, providers={})
        self.settings.paths.create()

    @property
    def root(self) -> Path:
        return self.settings.paths.landing

    @contextmanager
    def run(self, command: str = "test") -> Iterator[Run]:
        with open_run(self.settings, command) as run:
            yield run

    def import_csv(self, text: str, name: str = "mine") -> str | None:
        file = self.settings.home / f"{name}.csv"
        file.write_text(text, encoding="utf-8")
        with self.run() as run:
            return import_file(self.settings, run.ledger, run.run_id, ImportRequest(file, "tracks", name, {})).landing_file

    def land(self, ids: Mapping[str, str]) -> str:
        frame = pd.DataFrame({"track_id": list(ids), "recording_id": list(ids.values())})
        with self.run() as run:
            return str(land_frames(self.settings, run.ledger, run.run_id, "match", [("recordings", frame)]))

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Load what is new, then every raw row, in an order of their own."""
        with self.run() as run:
            load_waiting(run)
            with run.writer() as con:
                return {table: con.execute(f"select * from raw.{table} order by all").fetchall() for table in TABLES}
