"""One generated catalogue for the unit tests, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from trends_world import catalogue, world

from soundscope.trends.catalogue import Catalogue

Parts = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="session")
def parts() -> Parts:
    """Tracks, entries, popularity; not to be changed."""
    return world()


@pytest.fixture(scope="session")
def town(parts: Parts) -> Catalogue:
    """The catalogue of them."""
    return catalogue(parts)
