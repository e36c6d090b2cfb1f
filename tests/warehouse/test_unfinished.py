"""A build that did not come to its end leaves no candidate that could be published."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from soundscope.errors import CheckFailed, SoundScopeError
from soundscope.pipeline.unfinished import building, candidate, require_whole
from soundscope.settings import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path)
    made.create()
    return made


def _build(paths: Paths, *select: str, without: tuple[str, ...] = (), inputs: str = "a") -> None:
    with building(paths, select, without, lambda: inputs):
        pass


def _fail(paths: Paths, *select: str, without: tuple[str, ...] = (), inputs: str = "a") -> None:
    with pytest.raises(ZeroDivisionError), building(paths, select, without, lambda: inputs):
        raise ZeroDivisionError


def test_a_failed_part_holds_until_it_or_everything_is_built(paths: Paths) -> None:
    with duckdb.connect() as con:
        with pytest.raises(SoundScopeError, match="No table is built yet"):
            require_whole(con, paths)
        con.execute("create schema core; create table core.tracks (track_id varchar)")
        require_whole(con, paths)
        _build(paths, "staging")
        with pytest.raises(CheckFailed, match="what stands on staging"):
            require_whole(con, paths)
        _fail(paths, without=("staging",))
        _build(paths, "staging")
        with pytest.raises(CheckFailed, match="did not come to its end"):
            require_whole(con, paths)
        _build(paths, "ml")
        with pytest.raises(CheckFailed, match="did not come to its end"):
            require_whole(con, paths)
        _build(paths, without=("staging", "ml"))
        require_whole(con, paths, results=False)
        with pytest.raises(CheckFailed, match="(ml)"):
            require_whole(con, paths)
        _build(paths, "ml")
        require_whole(con, paths)


@pytest.mark.parametrize(
    ("failed", "built", "left"),
    [
        ("ml", [("ml",)], set()),
        ("alignment_backtest", [("alignment_newest", "alignment_backtest")], set()),
        ("alignment_newest", [("alignment_backtest",)], {"alignment_newest"}),
        ("ml", [("staging",), ("-staging", "-ml")], {"ml"}),
        ("-staging", [("staging",), ("-staging", "-ml", "-tag:alignment")], {"ml", "tag:alignment"}),
        ("-staging", [("staging",), ("-staging", "-ml", "-tag:alignment"), ("ml",), ("tag:alignment",)], set()),
        ("ml", [("staging",), ("-staging",)], set()),
        ("staging", [("-staging",)], {"staging"}),
        ("all", [("staging",), ("-staging", "-ml"), ("ml",)], set()),
    ],
)
def test_what_a_later_build_makes_good(paths: Paths, failed: str, built: list[tuple[str, ...]], left: set[str]) -> None:
    def split(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(word for word in words if word[0] != "-"), tuple(word[1:] for word in words if word[0] == "-")

    select, without = split((failed,)) if failed != "all" else ((), ())
    _fail(paths, *select, without=without)
    for words in built:
        select, without = split(words)
        _build(paths, *select, without=without)
    assert candidate(paths).unfinished == left


def test_a_candidate_is_what_was_loaded_when_its_build_began(paths: Paths) -> None:
    assert candidate(paths).built_from is None
    _build(paths, "staging", inputs="a")
    _build(paths, without=("staging",), inputs="b")
    _build(paths, "ml", inputs="c")
    assert candidate(paths).built_from == "a"
    (paths.private / "candidate.json").write_text("{")
    assert candidate(paths).unfinished == {"staging"}
