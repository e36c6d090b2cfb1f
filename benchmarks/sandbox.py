"""How quick the sandbox is: making a world by size, starting a server, answers per second: `python benchmarks/sandbox.py [--sizes 3000 1000000]`."""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import time

from soundscope.sandbox import SandboxServer
from soundscope.sandbox.world import World

_ASKED = 1_000


def main() -> None:
    """Print one line per measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3_000, 1_000_000], help="tracks of the worlds to make")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, seed {arguments.seed}")
    for size in arguments.sizes:
        began = time.perf_counter()
        world = World(arguments.seed, size)
        print(f"world of {size:,} tracks ({len(world.tracks.day):,} ids): {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    with SandboxServer(seed=arguments.seed) as server:
        print(f"server with a world of 3,000 tracks: ready after {time.perf_counter() - began:.2f} s")
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        track = server.world.track_id(3)
        for path in ("/hot100/valid_dates.json", f"/reccobeats/v1/track?ids={track}", f"/deezer/track/isrc:{track}"):
            began = time.perf_counter()
            for _ in range(_ASKED):
                connection.request("GET", path)
                connection.getresponse().read()
            print(f"{path.split('?')[0]}: {_ASKED / (time.perf_counter() - began):,.0f} answers/s for one client")
        connection.close()


if __name__ == "__main__":
    main()
