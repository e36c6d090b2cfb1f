"""About two minutes of faults under `soundscope up`; the same code runs for half an hour in `benchmarks/soak.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kills import Installation
from tests.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found by /proc, which only Linux has")
def test_after_minutes_of_faults_everything_comes_back_by_itself(tmp_path: Path) -> None:
    calm = Installation(tmp_path / "calm", 4600)
    calm.path.mkdir()
    calm.complete()
    shaken = Installation(tmp_path / "shaken", 4650)
    shutil.copytree(calm.path, shaken.path)
    found = soak(shaken, seconds=100, every=20, seed=7)
    log = (shaken.path / "up.log").read_text()[-3000:]
    assert found.wrong == [], f"{found}\n{log}"
    assert found.faults.total() >= 3, found
    assert found.releases >= 1, found
    assert found.reads > 20, found
    assert shaken.digests() == calm.digests()
