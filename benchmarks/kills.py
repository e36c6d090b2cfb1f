"""Kill runs of the pipeline at random moments and see that each next run ends well: `python benchmarks/kills.py [--kills 200] [--seed 5]`.

A small sandbox in a temporary folder. Every tenth kill is followed by an undisturbed run whose tables must equal those of a home that was
never disturbed. Only what was really killed counts: a run that ends before its moment is no kill. With `--folder` it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kills import Installation, kill_once, server_gone

_ROUND = 10


def main() -> None:
    """Print what was killed and how long it took to come back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="keep the two homes here and use them again, instead of making new ones each time"
    )
    parser.add_argument(
        "--gone", type=float, default=60, help="seconds without an answer from the server, at the end; 0 for none"
    )
    said = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = said.folder or Path(temporary)
        calm, shaken = (Installation(Path(folder, name), port) for name, port in (("calm", 4300), ("shaken", 4350)))
        for home in (calm, shaken):
            home.path.mkdir(parents=True, exist_ok=True)
        if not calm.published.exists():
            calm.complete()
        # The first run also makes the server's database and trains; those that are killed are like the second.
        longest = calm.complete()
        print(f"undisturbed run {longest:.0f} s", flush=True)
        expected = calm.digests()
        done, late, recovered = _kill(shaken, expected, folder / "kills.jsonl", said.kills, said.seed, longest)
        gone = [_server_gone(shaken, expected, how, said.gone) for how in ("killed", "stopped")] if said.gone else []
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, seed {said.seed}")
    print(f"{done.total()} kills: " + ", ".join(f"{n} times {what}" for what, n in sorted(done.items())))
    print(f"{late} runs ended before their moment came")
    print(
        f"undisturbed run {longest:.0f} s; {len(recovered)} runs after kills {min(recovered):.0f} to {max(recovered):.0f} s, "
        "tables equal each time"
    )
    for seconds in gone:
        print(f"the server gone for {said.gone:.0f} s: the run went on, ended after {seconds:.0f} s, tables equal")
    print(f"{time.monotonic() - began:.0f} s in all")


def _kill(
    shaken: Installation, expected: dict[str, str], notes: Path, wanted: int, seed: int, longest: float
) -> tuple[Counter[str], int, list[float]]:
    """What was killed how often, how many runs ended too early for it, and how long each undisturbed run in between took, in seconds.

    Each try and each recovery is a line of `notes`; those that are there already count.
    """
    kept = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    done = Counter(entry["killed"] for entry in kept if entry.get("killed"))
    tried = sum("killed" in entry for entry in kept)
    recovered = [entry["recovered_s"] for entry in kept if "recovered_s" in entry]
    while done.total() < wanted or len(recovered) < -(-wanted // _ROUND):
        if done.total() >= min(wanted, _ROUND * (len(recovered) + 1)):
            recovered.append(shaken.complete())
            # Moments are drawn from as long as a run takes now, under the load of now.
            longest = recovered[-1]
            found = shaken.digests()
            wrong = [table for table, digest in found.items() if digest != expected[table]]
            assert not wrong, f"after {done.total()} kills these tables differ: {wrong}; {found}; expected {expected}"
            _note(notes, {"recovered_s": recovered[-1], "after": done.total()})
            continue
        tried += 1
        said = kill_once(shaken, random.Random(f"{seed} {tried}"), longest)
        what = None if said.startswith("nothing") else said.rsplit(" after", 1)[0]
        done.update([what] if what else [])
        _note(notes, {"killed": what, "said": said})
    return done, tried - done.total(), recovered


def _server_gone(home: Installation, expected: dict[str, str], how: str, seconds: float) -> float:
    """Leave a run without its server for so long; returns how long it took in all."""
    began = time.monotonic()
    process = home.start()
    while home.writer_pid() != process.pid:
        assert process.poll() is None, "the run ended before it began to write"
        time.sleep(0.2)
    server_gone(home, seconds, how)
    assert process.wait(600) == 0, (home.path / "run.log").read_text()[-3000:]
    assert home.digests() == expected, f"the tables differ after the server was {how}"
    return time.monotonic() - began


def _note(notes: Path, entry: dict[str, object]) -> None:
    print(entry, flush=True)
    with notes.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
