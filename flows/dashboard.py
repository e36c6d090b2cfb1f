"""What a run leaves in the Prefect dashboard for a person to read: row counts, reports, progress, events of published tables.

Keys are stable, so that the dashboard shows each as one artifact with a history. To be called in a (synchronous) flow or
task. The figures themselves come from the library, never from here.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from typing import cast
from uuid import UUID

from soundscope.errors import BadInput
from soundscope.settings import Settings
from soundscope.warehouse.releases import Release

_UPDATE_EVERY_S = 2.0


def artifact_key(name: str) -> str:
    """A name as Prefect accepts it as a key: lower-case letters, digits and single dashes.

    Raises:
        BadInput: nothing is left of it.
    """
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not key:
        raise BadInput(f"{name!r} cannot be the key of an artifact.", next_step="use letters and digits.")
    return key


def row_counts(before: Mapping[str, int], after: Mapping[str, int], key: str = "row-counts") -> UUID:
    """Show how many rows each table had and has; a table that one side lacks shows an empty cell there.

    Args:
        before: rows by table name.
        after: likewise, at the end of the run.
        key: of the artifact.

    Returns:
        the artifact's id.
    """
    from prefect.artifacts import create_table_artifact

    rows = [
        {
            "table": table,
            "before": before.get(table, ""),
            "after": after.get(table, ""),
            "change": f"{after.get(table, 0) - before.get(table, 0):+d}",
        }
        for table in sorted({*before, *after})
    ]
    description = "Rows in each table before and after this run"
    return cast(UUID, create_table_artifact(rows, key=artifact_key(key), description=description))


def report(markdown: str, key: str, description: str | None = None) -> UUID:
    """Show a text in Markdown; returns the artifact's id."""
    from prefect.artifacts import create_markdown_artifact

    return cast(UUID, create_markdown_artifact(markdown, key=artifact_key(key), description=description))


def announce(release: Release) -> None:
    """Tell Prefect of every published table: one materialization event each, with its rows and the release it is in.

    The assets are called `duckdb://soundscope/<schema>/<table>`. The open-source dashboard shows them in its event feed.
    """
    from prefect.assets import Asset, AssetProperties, add_asset_metadata, materialize

    found = {
        name: Asset(
            key=f"duckdb://soundscope/{name.replace('.', '/')}",
            properties=AssetProperties(name=name, description=f"soundscope describe {name}"),
        )
        for name in release.rows
    }

    def tell() -> None:
        for name, asset in found.items():
            add_asset_metadata(
                asset, {"rows": release.rows[name], "release_id": release.release_id, "synthetic": release.is_synthetic}
            )

    materialize(*found.values(), by="dbt", name="announce", task_run_name=f"announce {len(found)} published tables")(tell)()


def links(settings: Settings) -> dict[str, str]:
    """Where to look further from a report: this dashboard's artifacts and, if `up` runs, the app."""
    dashboard = os.environ.get("PREFECT_API_URL", "").removesuffix("/api")
    found = {"artifacts": f"{dashboard}/artifacts", "events": f"{dashboard}/events"} if dashboard else {}
    try:
        app = json.loads((settings.paths.private / "up.json").read_text(encoding="utf-8")).get("app")
    except (OSError, ValueError):
        app = None
    return {**found, **({"app": str(app)} if app else {})}


class Progress:
    """A bar in the dashboard, from 0 to `total` units; it is sent at most every two seconds and at the end.

    Args:
        key: of the artifact.
        total: units of work; 0 means that there is nothing to do, and the bar is full.
        description: shown beside the bar.
    """

    def __init__(self, key: str, total: int, description: str | None = None) -> None:
        from prefect.artifacts import create_progress_artifact

        self.total = total
        self.done = 0
        self._sent_at = time.monotonic()
        made = create_progress_artifact(self._percent(), key=artifact_key(key), description=description)
        self._id = cast(UUID, made)

    def advance(self, units: int = 1) -> None:
        """Say that so many more units are done."""
        self.done += units
        now = time.monotonic()
        if self.done >= self.total or now - self._sent_at >= _UPDATE_EVERY_S:
            from prefect.artifacts import update_progress_artifact

            update_progress_artifact(self._id, self._percent())
            self._sent_at = now

    def _percent(self) -> float:
        return min(100.0, 100.0 * self.done / self.total) if self.total else 100.0


def progress(key: str, total: int, description: str | None = None) -> Progress:
    """Begin a bar in the dashboard; call `advance` on what it returns."""
    return Progress(key, total, description)
