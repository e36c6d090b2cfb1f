"""Kill runs of the pipeline at random moments and see that each next run ends well: `python benchmarks/kills.py [--kills 200] [--seed 5]`.

A small sandbox in a temporary folder. Every tenth kill is followed by an undisturbed run whose tables must equal those of a home that was
never disturbed.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kills import Installation, kill_once

_ROUND = 10


def main() -> None:
    """Print what was killed and how long it took to come back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="keep the two homes here and use them again, instead of making new ones each time"
    )
    said = parser.parse_args()
    draw, began = random.Random(said.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = said.folder or Path(temporary)
        calm, shaken = (Installation(Path(folder, name), port) for name, port in (("calm", 4300), ("shaken", 4350)))
        for home in (calm, shaken):
            home.path.mkdir(parents=True, exist_ok=True)
        if not calm.published.exists():
            calm.complete()
        # The first run also makes the server's database and trains; those that are killed are like the second.
        longest = calm.complete()
        expected = calm.digests()
        done: Counter[str] = Counter()
        recovered = []
        for number in range(1, said.kills + 1):
            done[kill_once(shaken, draw, longest).rsplit(" after", 1)[0]] += 1
            if number % _ROUND == 0 or number == said.kills:
                recovered.append(shaken.complete())
                assert shaken.digests() == expected, f"after {number} kills the tables differ"
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, seed {said.seed}")
    print(f"{said.kills} kills: " + ", ".join(f"{n} times {what}" for what, n in sorted(done.items())))
    print(
        f"undisturbed run {longest:.0f} s; runs after kills {min(recovered):.0f} to {max(recovered):.0f} s, tables equal each time"
    )
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
