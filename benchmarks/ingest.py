"""Ingest against the sandbox: how much of a rate limit is used, and what a thousand chart keys cost in calls in each tier of Spotify.

`python benchmarks/ingest.py [--seconds 300] [--tracks 3000]`; prints Markdown. Five minutes per throughput figure by default, so that `make
bench` takes a quarter of an hour here. Nothing of it says how accurate anything is: the world is synthetic.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.ingest.test_budget import use_of_limit

TIERS = ("extended", "extended-new", "development-old", "development")
PROVIDERS = ("spotify", "deezer", "musicbrainz", "reccobeats", "billboard_hot_100", "billboard_csv")


def throughput(seconds: float) -> None:
    print(
        f"## Use of a rate limit\n\n100 calls in any 5 s, measured at the server over {seconds:g} s, four threads per process.\n"
    )
    print("| processes | used | most calls in any window | allowed |\n|---|---|---|---|")
    for processes in (1, 4):
        with tempfile.TemporaryDirectory() as folder:
            used, most = use_of_limit(Path(folder), processes, seconds, rate=100, window_s=5.0)
        print(f"| {processes} | {used:.1%} | {most} | 100 |", flush=True)


def calls(tracks: int) -> None:
    print("\n## Calls for a first ingest of the Hot 100, by tier\n")
    print(
        f"Three months of weeks (charts from 2022-11-26 to 2023-02-28), a catalogue of {tracks:,} ids; MusicBrainz with a contact,"
    )
    print(
        "no playlists followed. Time runs fifty times as fast. The last columns are per thousand chart keys without a candidate.\n"
    )
    print("| tier | keys | calls: " + " | ".join(PROVIDERS) + " | Spotify per 1,000 | all per 1,000 | keys found | seconds |")
    print("|" + "---|" * (len(PROVIDERS) + 6))
    for tier in TIERS:
        print(_row(tier, tracks), flush=True)


def _row(tier: str, tracks: int) -> str:
    from soundscope.ingest.ledger import Ledger
    from soundscope.pipeline.ingest import ingest
    from soundscope.pipeline.run import open_run
    from soundscope.sandbox import SandboxServer
    from soundscope.settings import load_settings

    with (
        tempfile.TemporaryDirectory() as home,
        SandboxServer(tracks=tracks, seed=7, today="2023-02-28", tier=tier, time_scale=50) as server,
    ):
        for name in [name for name in os.environ if name.startswith("SOUNDSCOPE_")]:
            del os.environ[name]
        os.environ |= {
            "SOUNDSCOPE_HOME": home, "SOUNDSCOPE_SANDBOX__TIER": tier, "SOUNDSCOPE_SANDBOX__TIME_SCALE": "50",
            "SOUNDSCOPE_PROVIDERS__MUSICBRAINZ__CONTACT": "bench@example.org",
            "SOUNDSCOPE_SANDBOX__FOLLOW__PLAYLISTS": "[]",
        }  # fmt: skip
        for name, url in server.provider_urls().items():
            field = "TOKEN_URL" if name.endswith("_token") else "URL"
            os.environ[f"SOUNDSCOPE_PROVIDERS__{name.removesuffix('_token').upper()}__{field}"] = url
        requests.post(
            f"{server.url}/_sandbox/limits", json={"spotify": {"rate": None, "quota": None}}, timeout=5
        ).raise_for_status()
        began = time.monotonic()
        with open_run(load_settings(), "benchmark", providers=True) as run, contextlib.redirect_stdout(io.StringIO()):
            ingest(run)
        seconds = time.monotonic() - began
        seen = requests.get(f"{server.url}/_sandbox/requests", timeout=5).json()["providers"]
        ledger = Ledger.open(load_settings())
        status = [ledger.unit_status(name, "search") for name in ("spotify", "deezer", "musicbrainz")]
        ledger.close()
    keys = set().union(*status)
    found = {key for said in status for key, what in said.items() if what == "done"}
    n = {name: seen.get(name, {}).get("total", 0) for name in PROVIDERS}
    total = sum(n[name] for name in PROVIDERS[:4])
    columns = [
        tier,
        len(keys),
        *n.values(),
        round(n["spotify"] / len(keys) * 1000),
        round(total / len(keys) * 1000),
        f"{len(found) / len(keys):.0%}",
    ]
    return "| " + " | ".join(str(value) for value in columns) + f" | {seconds:.0f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--tracks", type=int, default=3000)
    said = parser.parse_args()
    print(
        f"# Ingest\n\n{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.\n",
        flush=True,
    )
    throughput(said.seconds)
    calls(said.tracks)
