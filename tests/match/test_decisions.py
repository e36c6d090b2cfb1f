"""A person's decisions: the file, what is refused and why, which of two holds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from soundscope.errors import BadInput
from soundscope.match import check_decisions, read_decisions, write_decisions

HEAD = "title,artist,run_no,track_id,decided_by,decided_at,reason\n"


def write(folder: Path, *lines: str) -> Path:
    file = folder / "decisions.csv"
    file.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '"Song, With Comma",Ácť,2,t:1,ana,2026-01-02T03:04:05Z,"she said ""yes"""',
        "No Such,Act,,,ana,,",
        "NA,NULL,1,t:2,ana,2026-01-02,",
    )
    first = read_decisions(file)
    assert first["title"].tolist() == ["Song, With Comma", "No Such", "NA"]
    assert first["run_no"].tolist() == [2, 1, 1]
    assert first["track_id"].isna().tolist() == [False, True, False]
    assert first["decided_at"].iloc[0] == pd.Timestamp("2026-01-02 03:04:05")
    again = tmp_path / "again.csv"
    write_decisions(first, again)
    pd.testing.assert_frame_equal(read_decisions(again), first)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (",Act,1,t:1,ana,,", "row 1 .* has no title"),
        ("Song,,1,t:1,ana,,", "has no artist"),
        ("Song,Act,first,t:1,ana,,", "run_no"),
        ("Song,Act,0,t:1,ana,,", "run_no"),
        ("Song,Act,1,t:1,,,", "who decided"),
        ("Song,Act,1,t:1,ana,yesterday,", "decided_at"),
    ],
)
def test_a_wrong_row_is_named(line: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=words):
        read_decisions(write(tmp_path, line))


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        read_decisions(tmp_path / "nowhere.csv")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(BadInput, match="not a CSV file"):
        read_decisions(tmp_path / "empty.csv")
    (tmp_path / "latin.csv").write_bytes(HEAD.encode() + "Caf\xe9,Act,1,t:1,ana,,\n".encode("latin-1"))
    with pytest.raises(BadInput, match="not a CSV file in UTF-8"):
        read_decisions(tmp_path / "latin.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="no column title, artist, track_id"):
        read_decisions(tmp_path / "other.csv")


def test_an_unknown_track_is_refused_when_the_catalogue_is_given(tmp_path: Path) -> None:
    frame = read_decisions(write(tmp_path, "Song,Act,1,t:1,ana,,"))
    assert len(check_decisions(frame, track_ids=pd.Series(["t:1"]))) == 1
    with pytest.raises(BadInput, match="not in the catalogue"):
        check_decisions(frame, track_ids=pd.Series(["t:2"]))


def test_the_newest_of_two_decisions_holds(tmp_path: Path) -> None:
    file = write(
        tmp_path, "Song,Act,1,t:2,ana,2026-02-01T00:00:00Z,", "Song,Act,1,t:1,bob,2026-01-01T00:00:00Z,", "Song,Act,1,t:0,eve,,"
    )
    assert read_decisions(file)["track_id"].tolist() == ["t:2"]
