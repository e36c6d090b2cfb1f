"""Words, files and curves of the app: other people's titles do nothing, spreadsheets run nothing, curves bridge no hole."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from soundscope.app import look, text, upload
from soundscope.app.serve import LOOPBACK, UPLOAD_MB, command
from soundscope.errors import BadInput

GOOD = "Song Title,Artist,tempo,Danceability,energy,valence,loudness,popularity\nOne,A,120,0.5,0.6,0.7,-6,50\nTwo,B,,0.1,,0.2,,\n"


def test_titles_are_escaped_and_missing_ones_are_a_dash() -> None:
    assert text.escape("a*b_[c](d) <e> $f$ `g`") == r"a\*b\_\[c\]\(d\) \<e\> \$f\$ \`g\`"
    assert text.escape("line\nbreak\tand\u2028more") == "line break and more"
    assert text.escape(None) == text.escape(float("nan")) == "–"
    # Icons and addresses are found after Markdown was read: a joiner breaks them.
    assert ":smile:" not in text.escape(":smile:")
    assert not any(pair in text.escape("-- -> <- >= ~=").replace("\\", "") for pair in ("--", "->", "<-", ">=", "~="))
    assert "https://" not in text.escape("https://a.example").replace("\\", "")
    assert "\x1b" not in text.escape("\x1b[31mred")
    assert "\u202e" not in text.escape("abc\u202edef")
    assert text.escape("x" * 5_000_000) == "x" * 599 + "…"


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_of_a_csv_is_a_formula(start: str) -> None:
    frame = pd.DataFrame({start: [start, "plain"], "number": [-1.5, 2.0]})
    rows = list(csv.reader(io.StringIO(text.to_csv(frame).decode("utf-8-sig"), newline="")))
    assert rows[0][0] == rows[1][0] == "'" + start
    assert rows[2][0] == "plain"
    assert [float(row[1]) for row in rows[1:]] == [-1.5, 2.0]


def test_parquet_keeps_texts_as_they_are() -> None:
    frame = pd.DataFrame({"title": ["=1+1", None], "n": [1, 2]})
    back = pd.read_parquet(io.BytesIO(text.to_parquet(frame)))
    assert back["title"].iloc[0] == "=1+1"
    assert back["n"].tolist() == [1, 2]


def test_lines_bridge_no_hole_and_change_where_little_is_known() -> None:
    days = pd.to_datetime(["2020-01-01", "2020-01-08", "2020-01-15", "2020-06-03", "2020-06-10"])
    frame = pd.DataFrame({"date": days, "is_faint": [False, False, True, True, True], "value": range(5)})
    parts = look.segments(frame, "date", "is_faint", 21)
    by_part = [part["value"].tolist() for _, part in parts.groupby("part")]
    # The third point ends the clear part and begins the faint one; the hole before June is not crossed.
    assert by_part == [[0, 1, 2], [2], [3, 4]]


def test_a_file_of_tracks_is_read_and_what_is_wrong_is_named() -> None:
    read = upload.read((GOOD + "Three,C,120,x,7,0.5,-5,20\n").encode(), "mine.csv")
    assert read.mapping["title"] == "Song Title"
    assert read.rows["tempo"].iloc[0] == 120
    assert read.rows[["tempo", "energy"]].iloc[1].isna().all()
    assert {(row, column, value) for row, column, value, _ in read.refused} == {(3, "energy", "7"), (3, "Danceability", "x")}
    assert read.rows["energy"].isna().iloc[2]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty or no text"),
        (b"\xff\xfe\x00\x01", "not text in UTF-8"),
        (b"PK\x03\x04\x00\x00", "empty or no text"),
        (b"tempo,energy\n", "no rows"),
        (b"name,colour\nx,red\n", "no column that is known"),
        (b"tempo,energy\n1,2,3,4\n5\n", "line 2 has 4 fields"),
        (b"tempo,tempo\n1,2\n", "two columns of one name"),
        (b"tempo\n" + b"100\n" * (upload.MOST_ROWS + 1), "at most"),
        (b"tempo\n" + b"1" * (UPLOAD_MB * 1_048_576), "larger than"),
    ],
)
def test_a_bad_file_is_refused_in_words(content: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        upload.read(content, "mine.csv")
    assert refused.value.next_step


def test_the_app_listens_on_loopback_takes_small_files_and_tells_nobody() -> None:
    options = dict(part.removeprefix("--").split("=", 1) for part in command(8501) if part.startswith("--"))
    assert options["server.address"] == options["browser.serverAddress"] == LOOPBACK == "127.0.0.1"
    assert options["server.maxUploadSize"] == str(UPLOAD_MB)
    assert options["browser.gatherUsageStats"] == "false"
    assert options["server.headless"] == "true"
    assert options["client.showErrorDetails"] == "none"


def test_columns_that_nobody_recognises_are_named_by_hand() -> None:
    content = b"x,y,z\n120,0.5,rock me\n"
    assert upload.columns(content, "f.csv") == ["x", "y", "z"]
    assert upload.recognised(["x", "Tempo", "track_name"]) == {"tempo": "Tempo", "title": "track_name"}
    read = upload.read(content, "f.csv", {"tempo": "x", "energy": "y", "title": "z"})
    assert read.rows[["tempo", "energy", "title"]].iloc[0].tolist() == [120.0, 0.5, "rock me"]
    with pytest.raises(BadInput, match="no column that is known"):
        upload.read(content, "f.csv", {"title": "z"})


def test_dates_and_numbers_in_words() -> None:
    assert text.day(pd.Timestamp("2017-01-06")) == "6 January 2017"
    assert (text.count(1, "song"), text.count(2000, "song")) == ("1 song", "2,000 songs")
    assert text.provider_name("import:my file") == "your import my file"
    assert text.provider_name("reccobeats") == "Reccobeats"
