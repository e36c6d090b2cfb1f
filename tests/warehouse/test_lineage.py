"""The page of lineage is that of the SQL models as they are, and dbt's documentation is written as one file."""

from __future__ import annotations

import pytest

from soundscope.settings import PROJECT, Settings
from soundscope.warehouse.lineage import lineage_page, nodes, write_site

pytestmark = pytest.mark.e2e


def test_the_page_is_current(settings: Settings) -> None:
    held = (PROJECT / "docs" / "lineage.md").read_text(encoding="utf-8")
    assert lineage_page(settings) == held, "write it anew: soundscope docs --lineage docs/lineage.md"


def test_every_model_is_described_and_has_parents(settings: Settings) -> None:
    found = {node.name: node for node in nodes(settings)}
    assert "core.tracks" in found["marts.track_features"].parents
    assert [name for name, node in found.items() if not node.about] == []
    models = {file.stem for file in (PROJECT / "sql" / "models").rglob("*.sql")}
    assert models <= {name.partition(".")[2] for name in found}


def test_documentation_is_one_file(settings: Settings) -> None:
    file = write_site(settings, settings.paths.warehouse / "docs.html")
    text = file.read_text(encoding="utf-8")
    assert "model.soundscope.track_features" in text
    assert "One row per" in text
