"""Runs that are killed at random moments: readers always see a whole release, and the next run ends well with equal tables."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.kills import Installation, kill_once

KILLS = 20


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_twenty_kills_leave_nothing_behind(tmp_path: Path) -> None:
    calm, shaken = (Installation(tmp_path / name, port) for name, port in (("calm", 4300), ("shaken", 4350)))
    for home in (calm, shaken):
        home.path.mkdir()
    longest = calm.complete()
    draw = random.Random(11)
    done = [kill_once(shaken, draw, longest) for _ in range(KILLS)]
    shaken.complete()
    assert shaken.digests() == calm.digests(), done
    assert sum("nothing was left" not in what for what in done) > KILLS // 2, done
