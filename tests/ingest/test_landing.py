"""Landing: whole files or nothing, and no answer lost when the process dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from soundscope.errors import SoundScopeError
from soundscope.ingest.landing import LandingWriter, files, ledger_row, read_lines, recover, redact
from soundscope.ingest.ledger import utcnow
from soundscope.sources.base import Outcome, Reply


def _reply(body: bytes = b'{"a": 1}', url: str = "http://127.0.0.1/x?ids=1") -> Reply:
    return Reply("GET", url, 200, {"etag": '"e"'}, body, utcnow())


def test_an_answer_is_landed_word_for_word(tmp_path: Path) -> None:
    body = '{"name": "Beyoncé \\u0000 ¥$"}'.encode()
    with LandingWriter(tmp_path, "spotify", "search", "20260101T000000-abc", "one") as writer:
        writer.add("search", ["k"], _reply(body), {"k": Outcome.OK})
    (path,) = files(tmp_path)
    (line,) = read_lines(path)
    assert line["body"].encode() == body
    assert line["outcomes"] == {"k": "ok"}
    assert line["headers"] == {"etag": '"e"'}
    assert writer.landed is not None
    assert ledger_row(tmp_path, path).row == writer.landed.row


def test_bytes_that_are_no_text_are_kept_too(tmp_path: Path) -> None:
    with LandingWriter(tmp_path, "p", "k", "20260101T000000-abc", "one") as writer:
        writer.add("k", ["k"], _reply(b"\xff\xfe\x00"), {})
    (line,) = read_lines(files(tmp_path)[0])
    assert line["encoding"] == "base64"


def test_nothing_asked_leaves_nothing(tmp_path: Path) -> None:
    with LandingWriter(tmp_path, "p", "k", "20260101T000000-abc", "one") as writer:
        pass
    assert writer.landed is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


_CHILD = """
import sys, time
from pathlib import Path
from soundscope.ingest.landing import LandingWriter
from soundscope.ingest.ledger import utcnow
from soundscope.sources.base import Outcome, Reply
with LandingWriter(Path(sys.argv[1]), "p", "k", "20260101T000000-abc", "one") as writer:
    for n in range(10_000):
        writer.add("k", [str(n)], Reply("GET", "u", 200, {}, b'{"n": 1}', utcnow()), {str(n): Outcome.OK})
        print(n, flush=True)
        time.sleep(0.002)
"""


def test_answers_survive_kill_9_and_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(40)]
    assert recover(tmp_path) == [], "the part file of a living process was taken away"
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.stdout.read().split()]
    child.wait()
    (path,) = recover(tmp_path)
    keys = [line["keys"][0] for line in read_lines(path)]
    assert keys[: len(acknowledged)] == [str(n) for n in acknowledged]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    with LandingWriter(tmp_path, "p", "k", "20260101T000000-abc", "one") as writer:
        for n in range(200):
            writer.add("k", [str(n)], _reply(os.urandom(64).hex().encode()), {})
    path = files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 0x55
    else:
        data = data[: len(data) // 2]
    path.write_bytes(data)
    with pytest.raises(SoundScopeError, match=path.name):
        list(read_lines(path))


def test_no_secret_is_landed() -> None:
    assert redact("https://x/?a=1&access_token=hush&b=2") == "https://x/?a=1&access_token=***&b=2"
