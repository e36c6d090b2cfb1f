"""Runs that are killed at random moments: readers always see a whole release, and the next run ends well with equal tables."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.kills import Installation, kill_once

KILLS = 20


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_leave_nothing_behind_and_landing_is_enough_to_restore(tmp_path: Path) -> None:
    calm, shaken = (Installation(tmp_path / name, port) for name, port in (("calm", 4300), ("shaken", 4350)))
    for home in (calm, shaken):
        home.path.mkdir()
    calm.complete()
    # The first run also makes the server's database and trains; those that are killed are like the second.
    longest = calm.complete()
    draw = random.Random(11)
    done = [kill_once(shaken, draw, longest) for _ in range(KILLS)]
    shaken.complete()
    assert shaken.digests() == calm.digests(), done
    restored = Installation(tmp_path / "restored", 4400)
    shutil.copytree(calm.path / "warehouse" / "landing", restored.path / "warehouse" / "landing")
    restored.replay()
    restored.complete()
    assert restored.digests() == calm.digests(), "landing alone is not enough"
    assert sum("nothing was left" not in what for what in done) > KILLS // 2, done
