"""The fault matrix: how long an ingest takes while every provider has a fault, what becomes of its units, and what is asked for after it.

`python benchmarks/faults.py [--tiers development ...]`; prints Markdown. A case takes some ten seconds, a tier about five minutes. What must
hold in each case is in `tests/ingest/matrix.py` and is checked here too: a case that fails ends the benchmark.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.ingest import matrix


def tier_table(tier: str, faults: list[str]) -> None:
    """Print the cases of one tier."""
    with tempfile.TemporaryDirectory() as folder:
        expected = matrix.undisturbed(tier, Path(folder))
    print(f"\n## {tier}\n\nHad in the end: " + ", ".join(f"{len(keys):,} {what}" for what, keys in expected.items()) + ".\n")
    print("| fault at every provider | units | seconds | calls with the fault | calls of the next run |\n|---|---|---|---|---|")
    for fault in faults:
        with tempfile.TemporaryDirectory() as folder:
            case = matrix.run_case(tier, fault, Path(folder), expected)
        units = ", ".join(f"{n} {outcome}" for outcome, n in sorted(case.outcomes.items()))
        print(f"| {fault} | {units} | {case.seconds:.1f} | {case.calls} | {case.calls_after} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiers", nargs="+", choices=matrix.TIERS, default=["development"])
    parser.add_argument("--faults", nargs="+", choices=list(matrix.FAULTS), default=list(matrix.FAULTS))
    said = parser.parse_args()
    print(
        f"# Faults\n\n{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}."
    )
    for one in said.tiers:
        tier_table(one, said.faults)
