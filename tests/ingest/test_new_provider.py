"""Adding a provider is one file and one line: a file that is not part of the project, its name put into `PROVIDERS`, nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soundscope.settings import PROJECT

FILE = '''
"""A provider of features by Spotify id, as somebody might add it."""
import json
from soundscope.sources.base import Answer, Capability, Entry, Outcome, RowSpec
from soundscope.sources.json_sql import elements, text

class Example:
    name, licence, train_ok, popularity_scale, ttl = "example", "CC0", True, "0..100", None
    gives = {"features": ("audio_features",)}
    fresh = {"audio_features": None}
    rows = {"audio_features": (RowSpec("audio_features", elements("$.content[*]"), {
        "spotify_id": f"right({text('$.href')}, 22)", "energy": text("$.energy"), "tempo": text("$.tempo")}),)}
    shapes = {}

    def __init__(self, client, url):
        self.client, self.url = client, url

    def batch_size(self, kind):
        return 40

    def probe(self):
        return [Capability("audio_features", True, "open to all")]

    def fetch(self, kind, units):
        for start in range(0, len(units), 40):
            keys = [unit.key for unit in units[start : start + 40]]
            reply = self.client.get(kind, f"{self.url}/audio-features", params={"ids": ",".join(keys)})
            got = {row["href"][-22:] for row in json.loads(reply.body)["content"]}
            yield Answer(kind, keys, reply, {key: Outcome.OK if key in got else Outcome.ABSENT for key in keys})

SOURCE = Entry(Example, "https://example.org", rate=100)
'''
LINE = "import soundscope.settings as settings; settings.PROVIDERS += ('example',)"


@pytest.mark.slow
def test_a_provider_is_one_file_and_one_line(
    own_sandbox: Any, ingest: Callable[..., dict[str, Counter[str]]], rows: Callable[[str], list[tuple[Any, ...]]],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sandbox = own_sandbox(tier="development-old", today="2022-12-20", off=("billboard_csv",))
    ingest("charts", "tracks")
    (tmp_path / "example.py").write_text(FILE)
    place = f"import soundscope.sources; soundscope.sources.__path__.append({str(tmp_path)!r})"
    run = "import sys; sys.argv = ['soundscope', *sys.argv[1:]]; from soundscope.cli import main; main()"
    environment = os.environ | {
        "SOUNDSCOPE_PROVIDERS__EXAMPLE__URL": sandbox.server.provider_urls()["reccobeats"],
        "SOUNDSCOPE_FEATURE_ORDER": '["import", "spotify", "example", "reccobeats"]',
    }
    command = [sys.executable, "-c", f"{place}; {LINE}; {run}"]
    done = subprocess.run(
        [*command, "ingest", "features"], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    ((n, n_tempo),) = rows("select count(*), count(tempo) from raw.audio_features where provider = 'example'")
    assert n > 30
    assert n_tempo == n
    assert rows(
        "select count(*) from raw.audio_features a join raw.audio_features b using (spotify_id) where a.provider < b.provider"
    ) == [(0,)], "one provider per track"
    doctor = subprocess.run([*command, "doctor"], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120)
    assert "example" in doctor.stdout
    # The same file is taken for a typing error where the line is missing.
    without = subprocess.run(
        [sys.executable, "-m", "soundscope.cli", "doctor"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert without.returncode == 2
    assert "unknown provider example" in without.stderr
