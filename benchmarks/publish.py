"""How long publishing a release takes, by size: `python benchmarks/publish.py [--sizes 10 100] [--rounds 5]`.

The tables hold random text and numbers, so that they do not compress; everything happens in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from soundscope.settings import Settings, load_settings
from soundscope.warehouse.connect import open_writer
from soundscope.warehouse.lock import writer_lock
from soundscope.warehouse.publish import new_release_id, publish
from soundscope.warehouse.releases import Release, prune

_ROW_BYTES = 110


def fill(settings: Settings, megabytes: int) -> None:
    """Make a private warehouse of two tables with about that many MB together."""
    rows = megabytes * 1_000_000 // (2 * _ROW_BYTES)
    with writer_lock(settings):
        writer = open_writer(settings)
        for name in ("core.tracks", "marts.track_features"):
            schema = name.partition(".")[0]
            writer.execute(f"CREATE SCHEMA {schema}")
            numbers = ", ".join(f"random() AS feature_{n}" for n in range(9))
            writer.execute(
                f"CREATE TABLE {name} AS SELECT 'name:' || md5(i::VARCHAR) AS track_id, {numbers} FROM range({rows}) t(i)"
            )
            writer.execute(f"COMMENT ON TABLE {name} IS 'Random rows.'")
            for column, *_ in writer.execute(f"DESCRIBE {name}").fetchall():
                writer.execute(f"COMMENT ON COLUMN {name}.{column} IS 'Random.'")
        writer.close()


def measure(settings: Settings, rounds: int) -> tuple[list[float], Release]:
    """Publish so many times; seconds of each, and the last release."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        release = publish(settings, new_release_id(datetime.now(UTC)), ops={}, info={})
        seconds.append(time.perf_counter() - began)
        prune(settings, 1)
    return seconds, release


def main() -> None:
    """Print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100], help="MB of tables to publish")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{platform.platform()}, {os.cpu_count()} cores (load {load:.1f}), Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )
    print(f"{'tables MB':>9} {'file MB':>8} {'median s':>9} {'min s':>6} {'max s':>6}")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SOUNDSCOPE_HOME"] = str(Path(folder))
            settings = load_settings()
            settings.paths.create()
            fill(settings, size)
            seconds, release = measure(settings, options.rounds)
            median = statistics.median(seconds)
            print(f"{size:>9} {release.size / 1e6:>8.1f} {median:>9.2f} {min(seconds):>6.2f} {max(seconds):>6.2f}")


if __name__ == "__main__":
    main()
