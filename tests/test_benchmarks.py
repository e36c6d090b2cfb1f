"""The benchmark by size, at its smallest: that every step, every rival and every comparison in it still works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from soundscope.settings import PROJECT

sys.path.insert(0, str(PROJECT / "benchmarks"))
from scale import exponents, slope


def test_slope_is_the_exponent_of_a_power() -> None:
    assert slope([10, 100, 1_000], [3.0, 12.0, 48.0]) == pytest.approx(0.60206, abs=1e-5)
    assert slope([1, 10], [5.0, 5.0]) == 0.0


def test_exponents_are_taken_along_one_size_at_the_largest_other() -> None:
    rows = [{"tracks": n, "years": y, "step": "load", "s": n * y / 100, "cpu": n * 1.0} for n in (10, 100) for y in (1, 60)]
    [line] = exponents(rows, "tracks")
    assert line.split() == [
        "load",
        "tracks^1.00",
        "by",
        "the",
        "clock,",
        "tracks^1.00",
        "of",
        "the",
        "processor",
        "(years",
        "60)",
    ]
    [line] = exponents(rows, "years")
    assert "years^1.00 by the clock, years^0.00 of the processor (tracks 100)" in line


@pytest.mark.slow
def test_the_benchmark_by_size_runs(tmp_path: Path) -> None:
    pytest.importorskip("polars")
    found = tmp_path / "rows.json"
    command = [sys.executable, "benchmarks/scale.py", "--smoke", "--json", str(found)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["step"]: row for row in json.loads(found.read_text())}
    assert {
        "load",
        "match",
        "build",
        "publish",
        "floor: all models",
        "pandas: trends",
        "polars: features",
        "week: publish",
    } <= set(rows)
    assert all(row["s"] > 0 and row["cpu"] > 0 for name, row in rows.items() if name != "disk")
    # A week brings about eight new songs, and leaves the tracks as they are.
    assert 0 < rows["week: match"]["said"]["matched"] - rows["match"]["said"]["matched"] <= 10
    assert rows["week: build"]["said"]["left"] > 5
