"""The small world, built once with the real dbt project; tests that change it work on a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from rawdb import connect, create_raw
from sqlworld import Built, fill, home_settings

from soundscope.settings import Settings
from soundscope.warehouse.build import run_build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The small world, built whole; read only."""
    settings = home_settings(tmp_path_factory.mktemp("sql"))
    with connect(settings.paths.writer) as con:
        create_raw(con)
        fill(con)
    return Built(settings, run_build(settings))


@pytest.fixture
def db(built: Built) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the built world that cannot change it."""
    with duckdb.connect(str(built.settings.paths.writer), read_only=True) as con:
        yield con


@pytest.fixture
def copied(built: Built, tmp_path: Path) -> Settings:
    """A copy of the built world to change; dbt's parse cache comes along."""
    settings = home_settings(tmp_path)
    shutil.copyfile(built.settings.paths.writer, settings.paths.writer)
    shutil.copytree(built.settings.paths.dbt, settings.paths.dbt, dirs_exist_ok=True)
    return settings
