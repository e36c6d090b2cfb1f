"""Declared shapes: what of an answer is new, gone or of another type; and names that fit."""

from __future__ import annotations

import json

import pytest

from soundscope.sources.alike import may_be, without_guests
from soundscope.sources.billboard_csv import csv_rows
from soundscope.sources.shape import Change, Shape

SHAPE = Shape("data.rows", "id:str n:num name?:str|null tags[].name:str album.year:int links?:obj")
GOOD = {"id": "a", "n": 1, "tags": [{"name": "x"}], "album": {"year": 1999}}


def _changes(*rows: object) -> list[Change]:
    return SHAPE.changes(json.dumps({"data": {"rows": list(rows)}}).encode())


def test_what_is_declared_is_no_drift() -> None:
    assert _changes(GOOD, GOOD | {"name": None, "n": 1.5, "links": {"anything": [1]}}) == []
    assert _changes() == []
    assert _changes(None) == [], "a list may hold nothing for an unknown id"


@pytest.mark.parametrize(
    ("row", "key", "what"),
    [
        (GOOD | {"extra": 1}, "extra", "appeared"),
        (GOOD | {"album": {"year": 1999, "month": 5}}, "album.month", "appeared"),
        ({k: v for k, v in GOOD.items() if k != "n"}, "n", "disappeared"),
        (GOOD | {"tags": [{"label": "x"}]}, "tags[].name", "disappeared"),
        (GOOD | {"n": "1"}, "n", "retyped"),
        (GOOD | {"id": None}, "id", "retyped"),
        (GOOD | {"n": True}, "n", "retyped"),
        (GOOD | {"album": {"year": 1999.5}}, "album.year", "retyped"),
    ],
)
def test_drift_names_the_key(row: dict[str, object], key: str, what: str) -> None:
    assert (key, what) in [(change.key, change.what) for change in _changes(row)]


def test_a_container_that_is_gone_is_drift() -> None:
    assert [c.what for c in SHAPE.changes(b'{"data": {"items": []}}')] == ["disappeared"]
    assert [c.what for c in SHAPE.changes(b'{"data": {"rows": 5}}')] == ["retyped"]


def test_columns_of_csv() -> None:
    shape = Shape("", "chart_week:str current_week:int", csv=True)
    assert shape.changes(b"\xef\xbb\xbfChart Week,CURRENT WEEK\n1,2\n") == []
    assert {(c.key, c.what) for c in shape.changes(b"chart_week,rank\n")} == {
        ("current_week", "disappeared"),
        ("rank", "appeared"),
    }


def test_csv_lines_that_are_no_rows_are_kept_without_a_key() -> None:
    assert csv_rows('\ufeffChart Week,Title\n2022-01-01,"A, ""B"""\n2022-01-08\n') == [
        {"chart_week": "2022-01-01", "title": 'A, "B"'},
        {"unreadable": "2022-01-08"},
    ]


@pytest.mark.parametrize(
    ("title", "artist", "found_title", "found_artist", "fits"),
    [
        ("Halo", "Beyonce", "Halo", "Beyoncé", True),
        ("So What", "P!nk", "So What (Main Version)", "Pink", True),
        ("Empire State Of Mind", "Jay-Z + Alicia Keys", "Empire State of Mind", "JAY Z", True),
        ("Uptown Funk!", "Mark Ronson Featuring Bruno Mars", "Uptown Funk (feat. Bruno Mars)", "Mark Ronson", True),
        ("I Want To Hold Your Hand", "The Beatles", "I Want to Hold Your Hand - Remastered 2015", "The Beatles", True),
        ("Hey Jude/Revolution", "The Beatles", "Revolution", "The Beatles", True),
        ("1985", "Bowling For Soup", "1985", "Bowling for Soup", True),
        ("Halo", "Beyonce", "Halo", "Karaoke All Stars", False),
        ("Halo", "Beyonce", "Hello", "Beyoncé", False),
        ("未来", "彩", "未来", "彩", True),
        ("未来", "彩", "過去", "彩", False),
        ("???", "!!!", "???", "!!!", True),
    ],
)
def test_names_that_may_be_the_same(title: str, artist: str, found_title: str, found_artist: str, fits: bool) -> None:
    assert may_be(title, artist, found_title, found_artist) is fits


@pytest.mark.parametrize(
    ("credit", "alone"),
    [
        ("Ann Featuring Bob", "Ann"),
        ("Ann (feat. Bob)", "Ann"),
        ("Ann With Bob", "Ann"),
        ("Earth, Wind & Fire", "Earth, Wind & Fire"),
        ("With", "With"),
    ],
)
def test_credits_without_guests(credit: str, alone: str) -> None:
    assert without_guests(credit) == alone
