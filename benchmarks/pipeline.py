"""What a run costs: the default sandbox from an empty home, the same again with nothing new, and real charts and tracks where there are some.

Prints size, machine, load, seconds and peak memory. Real data is found by SOUNDSCOPE_REALDATA (default ../shared/data).
Run it alone on the machine: `python benchmarks/pipeline.py`.
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from tests.archive import serve_archive  # noqa: E402 - the path is set just above


def timed(home: Path, *arguments: str, **environment: str) -> tuple[float, str]:
    """Run one command; returns wall seconds and what it printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SOUNDSCOPE_", "SPOTIPY_", "PREFECT_"))}
    began = time.monotonic()
    command = [sys.executable, "-m", "soundscope.cli", *arguments]
    done = subprocess.run(
        command, env=kept | {"SOUNDSCOPE_HOME": str(home)} | environment, capture_output=True, text=True, cwd=PROJECT, check=False
    )
    if done.returncode:
        raise SystemExit(f"soundscope {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began, done.stdout


def sandbox() -> None:
    """The default sandbox: first run and second run."""
    with tempfile.TemporaryDirectory() as folder:
        first, out = timed(Path(folder), "run", "--json")
        inside = json.loads(out.splitlines()[-1])["seconds"]
        print(
            f"sandbox, 3,000 tracks, 4 years of weekly charts: first run {inside:.0f} s (server start included; {first:.0f} s for the command)"
        )
        second, out = timed(Path(folder), "run", "--json")
        said = json.loads(out.splitlines()[-1])
        print(f"the same with nothing new: {said['seconds']:.0f} s ({second:.0f} s for the command); outcome: {said['outcome']}")


def real(data: Path) -> None:
    """The Hot 100 archive and two track files: ingest, load and build."""
    weeks = json.loads(gzip.decompress((data / "billboard_hot_100_all.json.gz").read_bytes()))
    total = 0.0
    with serve_archive(weeks) as archive, tempfile.TemporaryDirectory() as folder:
        environment = {
            "SOUNDSCOPE_PROFILE": "live",
            "SOUNDSCOPE_PROVIDERS__BILLBOARD_HOT_100__URL": archive,
            "SOUNDSCOPE_FOLLOW__CHARTS": '["billboard_hot_100"]',
            **{
                f"SOUNDSCOPE_PROVIDERS__{name}__ENABLED": "false"
                for name in ("RECCOBEATS", "DEEZER", "MUSICBRAINZ", "APPLE", "BILLBOARD_CSV")
            },
        }
        steps = [
            ("ingest", "charts"),
            ("import", str(data / "spotify_songs.csv.gz"), "--as", "tracks", "--name", "spotify_songs"),
            ("import", str(data / "hot_100_audio_features.parquet"), "--as", "features", "--name", "hot_100_features"),
            ("build",),
        ]
        for step in steps:
            seconds, _ = timed(Path(folder), *step, **environment)
            total += seconds
            print(f"real data: {step[0]} {Path(step[1]).name if len(step) > 1 else ''}: {seconds:.1f} s")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"real data, {len(weeks):,} weeks: ingest, load and build {total:.0f} s; peak memory of any command {peak:.2f} GB")
        for step in (("train",), ("score",), ("publish",)):
            seconds, _ = timed(Path(folder), *step, **environment)
            print(f"real data: {step[0]}: {seconds:.1f} s")


def main() -> None:
    """Print the table."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    sandbox()
    data = Path(os.environ.get("SOUNDSCOPE_REALDATA", PROJECT.parent / "shared" / "data"))
    if (data / "billboard_hot_100_all.json.gz").exists():
        real(data)
    else:
        print(f"no real data in {data}: its part is left out")


if __name__ == "__main__":
    main()
