from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from genre_world import warehouse


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A small warehouse of 600 tracks."""
    with warehouse() as connection:
        yield connection
