"""Half an hour of faults: `python benchmarks/soak.py [--minutes 30] [--every 20] [--seed 7]`.

`soundscope up` on a small sandbox in a temporary folder, a pipeline and a chart run due every minute, a shell that stays open and one that asks
all the time, and every 20 seconds a part is killed: the run, the server, the schedules, the sandbox or `up` itself, which is started again as a
service manager does. At the end everything must come back by itself and hold what a home holds that was never disturbed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kills import Installation
from tests.soak import soak


def main() -> int:
    """Print what was hit and what held; 1 if something did not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=20, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--folder", type=Path, help="keep the two homes here and use them again, instead of making new ones each time"
    )
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = said.folder or Path(temporary)
        calm, shaken = (Installation(Path(folder, name), port) for name, port in (("calm", 4600), ("shaken", 4650)))
        for home in (calm, shaken):
            home.path.mkdir(parents=True, exist_ok=True)
            home.complete()
        found = soak(shaken, seconds=60 * said.minutes, every=said.every, seed=said.seed)
        expected = calm.digests()
        wrong = found.wrong + [
            f"{table} differs from an undisturbed home" for table, n in shaken.digests().items() if n != expected[table]
        ]
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, seed {said.seed}")
    print(
        f"{found.seconds:.0f} s, {found.faults.total()} faults: "
        + ", ".join(f"{n} x {what}" for what, n in sorted(found.faults.items()))
    )
    print(
        f"up was started again {found.restarts} times; runs: "
        + ", ".join(f"{n} {status}" for status, n in sorted(found.runs.items()))
    )
    print(f"{found.releases} releases published; {found.reads} reads by new shells, the slowest {found.slowest_read_s:.1f} s")
    print(f"after the last fault a scheduled run had completed by itself in {found.recovered_s:.0f} s")
    print(
        "\n".join(wrong)
        or "nothing lost, nothing twice, one writer at a time, every read one whole release, tables equal to an undisturbed home"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
