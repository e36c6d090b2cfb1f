"""Which chart keys are searched for at providers: those that nothing held answers to."""

from __future__ import annotations

from contextlib import closing

import duckdb
import pytest

from soundscope.ingest import identity
from soundscope.ingest.typed import create_raw

TITLES = (
    "Called So",
    "Linked By Rule",
    "Linked To Live",
    "For Review",
    "Decided: None",
    "Two Songs, One Linked",
    "Linked Without Id",
    "New",
)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    create_raw(opened)
    for rank, title in enumerate(TITLES, start=1):
        opened.execute(
            "insert into raw.chart_entries (chart, chart_date, rank, title, artist) values ('c', '2024-01-06', ?, ?, 'Ann')",
            [rank, title],
        )
    opened.execute("insert into raw.tracks (spotify_id, title, artist) values ('6f807x0ima9a1j3VPbc7VN', 'called so', 'Ánn')")
    links = [
        ("Linked By Rule", 1, "spotify:x", "matched", False),
        ("Linked To Live", 1, "spotify:x", "matched", True),
        ("For Review", 1, None, "review", False),
        ("Decided: None", 1, None, "overridden", False),
        ("Two Songs, One Linked", 1, "spotify:x", "matched", False),
        ("Two Songs, One Linked", 2, None, "unmatched", False),
        ("Linked Without Id", 1, "import:mine:7", "matched", False),
    ]
    for n, (title, run_no, track_id, status, other) in enumerate(links):
        opened.execute(
            "insert into raw.track_links (title, artist, run_no, track_id, status, is_other_version, fetched_at, landing_file, row_no) "
            "values (?, 'Ann', ?, ?, ?, ?, '2024-01-07', 'a', ?)",
            [title, run_no, track_id, status, other, n],
        )
    return opened


def test_what_is_known_or_linked_is_not_searched_for(con: duckdb.DuckDBPyConnection) -> None:
    with closing(con):
        asked = [title for _, title, _, _ in identity.keys(con, None)]
    assert asked == ["Linked To Live", "For Review", "Two Songs, One Linked", "Linked Without Id", "New"]


def test_the_newest_link_counts(con: duckdb.DuckDBPyConnection) -> None:
    with closing(con):
        con.execute(
            "insert into raw.track_links (title, artist, run_no, track_id, status, fetched_at, landing_file, row_no) "
            "values ('Linked By Rule', 'Ann', 1, null, 'unmatched', '2024-02-01', 'b', 1)"
        )
        assert "Linked By Rule" in [title for _, title, _, _ in identity.keys(con, None)]
