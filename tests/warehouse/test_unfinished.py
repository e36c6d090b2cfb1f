"""A build that did not come to its end leaves no candidate that could be published."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from soundscope.errors import CheckFailed, SoundScopeError
from soundscope.pipeline.unfinished import building, require_whole, unfinished
from soundscope.settings import Paths


def test_a_failed_part_holds_until_it_or_everything_is_built(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.create()
    with duckdb.connect() as con:
        with pytest.raises(SoundScopeError, match="No table is built yet"):
            require_whole(con, paths)
        con.execute("create schema core; create table core.tracks (track_id varchar)")
        require_whole(con, paths)
        with pytest.raises(ZeroDivisionError), building(paths, (), ("staging",)):
            raise ZeroDivisionError
        with building(paths, ("ml",), ()):
            assert unfinished(paths) == {"-staging", "ml"}
        with pytest.raises(CheckFailed, match="did not come to its end"):
            require_whole(con, paths)
        with building(paths, ("staging",), ()):
            assert unfinished(paths) == {"staging"}, "a whole build begins anew"
        require_whole(con, paths)
