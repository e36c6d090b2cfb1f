"""Real charts and songs: what is known of the charts comes out, and the scores are worth what the documentation says."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from soundscope.settings import PROJECT, Settings
from soundscope.trends import backtest as bt
from soundscope.trends.catalogue import read_catalogue

pytestmark = [pytest.mark.realdata, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def db(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The archive and the songs through the real models and the real matching, built as the benchmark builds them."""
    spec = importlib.util.spec_from_file_location("alignment_benchmark", PROJECT / "benchmarks" / "alignment.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    settings = Settings(home=tmp_path_factory.mktemp("real"))
    benchmark.build(settings, realdata)
    with closing(duckdb.connect(str(settings.paths.writer), read_only=True)) as con:
        yield con


def mean(db: duckdb.DuckDBPyConnection, feature: str, first: int, last: int) -> float:
    found = db.execute(
        "select avg(mean) from marts.chart_trends where feature = ? and window_weeks = 52 and year(chart_date) between ? and ?",
        [feature, first, last],
    ).fetchone()
    assert found is not None
    return float(found[0])


def share_of_rap(db: duckdb.DuckDBPyConnection, first: int, last: int) -> float:
    found = db.execute(
        "select sum(n_entries) filter (where genre = 'rap') / sum(n_entries) from marts.genre_share where year(chart_date) between ? and ?",
        [first, last],
    ).fetchone()
    assert found is not None
    return float(found[0] or 0)


def test_charts_get_louder_sadder_and_shorter(db: duckdb.DuckDBPyConnection) -> None:
    eighties, nineties, noughties = (mean(db, "loudness", year, year + 9) for year in (1980, 1990, 2000))
    assert eighties + 1 < nineties < noughties
    assert mean(db, "valence", 1980, 1989) > mean(db, "valence", 2010, 2018) + 0.05
    assert mean(db, "duration_ms", 1995, 1999) > mean(db, "duration_ms", 2010, 2014) > mean(db, "duration_ms", 2016, 2018)


def test_rap_rises_after_1990_and_again_from_2016(db: duckdb.DuckDBPyConnection) -> None:
    assert share_of_rap(db, 1984, 1989) < share_of_rap(db, 1992, 1998)
    assert share_of_rap(db, 2013, 2015) < share_of_rap(db, 2016, 2018)


def test_the_sixties_do_not_look_sure_where_little_is_known(db: duckdb.DuckDBPyConnection) -> None:
    wrong = db.execute("select count(*) from marts.chart_trends where coverage < 0.5 and not is_low_coverage").fetchone()
    assert wrong == (0,)


def test_scores_keep_their_floors(db: duckdb.DuckDBPyConnection) -> None:
    with threadpool_limits(limits=1, user_api="blas"):
        scored = bt.score_candidates(read_catalogue(db, for_models=True), "billboard_hot_100")
    assert scored.found.provider == "import:playlists"
    found = bt.figures(scored, "2011-01-01", "2018-10-01", quarterly=False)
    row = found[found["segment"] == "all"].set_index("score")
    assert row.loc["alignment", "auc"] >= 0.66
    assert row.loc["alignment", "margin"] >= 0.06
    assert row.loc["alignment", "margin_low"] > 0
    assert row.loc["chart_likelihood", "auc"] >= 0.70
    assert row.loc["chart_likelihood", "lift_10"] >= 2.2
    # The target of 0.92 over all years is not reached, see docs/alignment.md.
    assert row.loc["likelihood_with_momentum", "auc"] >= 0.91
    assert row.loc["likelihood_with_momentum", "auc"] > row.loc["artist_momentum", "auc"]
    assert np.isfinite(row["auc"]).all()
