"""What each step costs by size: so many tracks, so many years of one weekly chart; then one more week on top. Ends with growth exponents.

    python benchmarks/scale.py                                   10 and 100 thousand tracks, 1, 10 and 60 years
    python benchmarks/scale.py --tracks 1000000 --years 60       a million (memory and disk: see benchmarks/README.md)
    python benchmarks/scale.py --tracks 10000000 --years 10 --skip align train score --without-rivals    ten million, in 40 GB of disk
    python benchmarks/scale.py --smoke                           a thousand tracks, one year, the short steps: whether the script works

The world is drawn by a fixed seed (`scale_world.py`) and goes through the product's own steps: import, load, staging, matching, the SQL models
with all tests, alignment, training, scoring, publishing. Each step runs in a process of its own; seconds and processor seconds are those of
the step without the process's start, memory is the process's highest. Beside them stand the same SQL without dbt and tests (the floor), and pandas and
polars doing the part about features and trends; their figures are compared with the models' tables. The week's steps share one process,
as in a run; memory there is the highest up to the end of the step. Last of all eight tracks arrive that were not there before (`fresh`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))
sys.path.insert(0, str(PROJECT / "benchmarks"))

Row = dict[str, Any]
FIRST = ("load", "staging", "match", "build", "align", "train", "score", "publish")
WEEK = ("load", "staging", "match", "build", "align", "score", "publish")
FRESH = ("load", "staging", "match", "build", "publish")
LONG = ("align", "train", "score")
QUESTION = (
    "select feature, mean, change_1y from marts.chart_trends where window_weeks = 52 "
    "qualify chart_date = max(chart_date) over () order by feature"
)


# --- steps, each in a process of its own ---


def steps(names: list[str], folder: Path, came: str, skip: Sequence[str]) -> None:
    """Run steps in the home that the environment names, in one run as the product does; print a line for each.

    What alignment and scoring find is built by their own steps; where those are skipped, their tables are built with the others. A line tells seconds, processor seconds, the highest memory of the process so far in GB, and what the step has to say.
    """
    from soundscope.pipeline.run import open_run
    from soundscope.settings import load_settings

    with open_run(load_settings(), "benchmark") as run:
        for name in names:
            began, cpu = time.perf_counter(), time.process_time()
            said = _build(run, skip) if name == "build" else _STEPS[name](run, folder, came)
            row = {"step": name, "s": time.perf_counter() - began, "cpu": time.process_time() - cpu, "said": said}
            print(json.dumps(row | {"gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}), flush=True)


def _load(run: Any, folder: Path, came: str) -> Any:
    from soundscope.ingest.imports import ImportRequest, import_file
    from soundscope.pipeline.steps import load_step

    # The newest weeks come as a small dataset of their own, which the week replaces, as a chart archive's list of recent weeks does; so do
    # the newest tracks.
    files: dict[str, list[tuple[str, str, str]]] = {
        "first": [
            ("tracks", "tracks", "drawn_tracks"),
            ("earlier", "tracks", "drawn_fresh"),
            ("charts", "chart", "drawn_charts"),
            ("recent", "chart", "drawn_recent"),
        ],
        "week": [("week", "chart", "drawn_recent")],
        "fresh": [("fresh", "tracks", "drawn_fresh")],
    }
    for file, kind, dataset in files[came]:
        import_file(run.settings, run.ledger, run.run_id, ImportRequest(folder / f"{file}.parquet", kind, dataset, {}))
    load_step(run)


def _staging(run: Any, _folder: Path, _came: str) -> Any:
    from soundscope.pipeline.steps import build_step

    return _slowest(build_step(run, ("staging",)))


def _match(run: Any, _folder: Path, _came: str) -> Any:
    from soundscope.pipeline.steps import match_step

    return match_step(run)


def _build(run: Any, skip: Sequence[str]) -> Any:
    from soundscope.pipeline.steps import build_step

    later = [part for part, step in (("ml", "score"), ("tag:alignment", "align")) if step not in skip]
    return _slowest(build_step(run, exclude=("staging", *later)))


def _align(run: Any, _folder: Path, _came: str) -> Any:
    from soundscope.pipeline.align import ALIGN_MODELS, align_step
    from soundscope.pipeline.steps import build_step

    batches = align_step(run)
    built = build_step(run, ALIGN_MODELS)
    return {"batches": batches, **_slowest(built)}


def _train(run: Any, _folder: Path, _came: str) -> Any:
    from soundscope.pipeline.steps import begin_release, train_step

    begin_release(run)
    return train_step(run)["verdict"]


def _score(run: Any, _folder: Path, _came: str) -> Any:
    from soundscope.pipeline.steps import begin_release, build_step, score_step

    begin_release(run)
    scored = score_step(run)
    return {"scored": scored, **_slowest(build_step(run, ("ml",)))}


def _publish(run: Any, _folder: Path, _came: str) -> Any:
    from soundscope.pipeline.steps import publish_step

    return {"bytes": publish_step(run).size}


def _slowest(result: Any) -> Row:
    """The slowest models with their seconds, how many were left as they were, and how many tests stand."""
    models = sorted(result.models, key=lambda model: -model.seconds)[:8]
    left = sum(model.seconds == 0 for model in result.models)
    return {
        "slowest": {model.name: round(model.seconds, 2) for model in models if model.seconds},
        "left": left,
        "tests": len(result.checks),
    }


_STEPS: dict[str, Callable[[Any, Path, str], Any]] = {
    "load": _load,
    "staging": _staging,
    "match": _match,
    "align": _align,
    "train": _train,
    "score": _score,
    "publish": _publish,
}


def child(home: Path, *arguments: str) -> Row:
    """Run one command of this Python in a home; its wall and processor seconds, its highest memory in GB, and what it printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SOUNDSCOPE_", "SPOTIPY_", "PREFECT_"))}
    began = time.perf_counter()
    # Files and not pipes: a full pipe would keep the child from ending, and wait4 is what tells its memory.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=kept | {"SOUNDSCOPE_HOME": str(home)}, stdout=out, stderr=err, cwd=PROJECT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        out.seek(0), err.seek(0)
        printed, complained = out.read().decode(), err.read().decode()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{printed}{complained}")
    return {"s": seconds, "cpu": usage.ru_utime + usage.ru_stime, "gb": usage.ru_maxrss / 1e6, "printed": printed}


# --- one world ---


def measure(
    n_tracks: int,
    years: int,
    seed: int,
    tell: Callable[[str], None],
    *,
    rivals: bool,
    skip: Sequence[str] = (),
    together: bool = False,
) -> list[Row]:
    """All steps of one world, first whole and then with one more week; a row per step.

    Args:
        n_tracks, years, seed: the world.
        tell: takes a line per step as it ends.
        rivals: measure the floor, pandas and polars too.
        skip: steps to leave out.
        together: let the first steps share a process, which is quicker; their memory is then that of all before them.
    """
    rows: list[Row] = []

    def note(name: str, found: Row) -> None:
        kept = {key: value for key, value in found.items() if key not in ("printed", "step")}
        rows.append({"tracks": n_tracks, "years": years, "step": name, **kept})
        memory, said = f"{found['gb']:7.2f}" if "gb" in found else " " * 7, found.get("said")
        figures = f"{n_tracks:>10,} {years:>3} {name:<24} {found['s']:>8.2f} {found['cpu']:>8.2f} {memory}"
        tell(f"{figures}  {json.dumps(said) if said else ''}")

    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        home, files = Path(folder) / "home", Path(folder) / "files"
        home.mkdir()
        # In a process of its own: the highest memory of a child is never below that of its parent.
        child(home, __file__, "--world", str(n_tracks), str(years), str(seed), "--files", str(files))
        first = [name for name in FIRST if name not in skip]
        for group in [first] if together else [[name] for name in first]:
            for found in _lines(child(home, __file__, "--steps", *group, "--files", str(files), "--skip", *skip)):
                note(found["step"], found)
            if rivals and "build" in group:
                _rivals(home, note)
        note("disk", {"s": 0.0, "cpu": 0.0, "said": {"MB": _megabytes(home)}})
        names = [name for name in WEEK if name not in skip]
        for came, its, left_out in (("week", names, skip), ("fresh", FRESH, LONG)):
            arguments = ("--steps", *its, "--came", came, "--files", str(files), "--skip", *left_out)
            for found in _lines(child(home, __file__, *arguments)):
                note(f"{came}: {found['step']}", found)
        for name, arguments in (("help", ["--help"]), ("sql select 1", ["sql", "select 1"]), ("sql question", ["sql", QUESTION])):
            done = min(
                (child(home, "-m", "soundscope.cli", *arguments) for _ in range(1 if together else 3)), key=lambda one: one["s"]
            )
            note(name, done)
    return rows


def _lines(done: Row) -> list[Row]:
    return [json.loads(line) for line in done["printed"].splitlines()]


def _rivals(home: Path, note: Callable[[str, Row], None]) -> None:
    for rival in ("floor", "pandas", "polars"):
        done = child(home, __file__, "--rival", rival)
        for what, found in _lines(done)[-1].items():
            note(f"{rival}: {what}", found | {"gb": done["gb"]})


def _megabytes(home: Path) -> dict[str, float]:
    """MB of the private file, of a release, and of what was landed."""
    warehouse = home / "warehouse"
    found = {"private file": warehouse / ".private" / "writer.duckdb", "release": warehouse / "soundscope.duckdb"}
    sizes = {name: file.stat().st_size / 1e6 for name, file in found.items()}
    sizes["landing"] = sum(file.stat().st_size for file in (warehouse / "landing").rglob("*") if file.is_file()) / 1e6
    return {name: round(size, 1) for name, size in sizes.items()}


# --- what it came to ---


def weekly(rows: list[Row]) -> list[Row]:
    """One row per world: the week's matching is left out of build, as it is in the goal; `all` is every step."""
    parts = {
        "week: build and publish": ("week: staging", "week: build", "week: publish"),
        "week: all": tuple(f"week: {s}" for s in WEEK),
        "fresh: all": tuple(f"fresh: {s}" for s in FRESH),
    }
    parts["full build"] = ("staging", "build")
    found = []
    for world in dict.fromkeys((row["tracks"], row["years"]) for row in rows):
        held = {row["step"]: row for row in rows if (row["tracks"], row["years"]) == world}
        for name, steps in parts.items():
            its = [held[step] for step in steps if step in held]
            summed = {key: sum(row[key] for row in its) for key in ("s", "cpu")}
            found.append({"tracks": world[0], "years": world[1], "step": name, **summed, "gb": max(row["gb"] for row in its)})
    return found


def exponents(rows: list[Row], along: str) -> list[str]:
    """Lines "step: exponent of wall and processor seconds" along `tracks` or `years`, at the largest value of the other, where it was varied."""
    other = "years" if along == "tracks" else "tracks"
    most = max(row[other] for row in rows)
    lines = []
    for name in dict.fromkeys(row["step"] for row in rows):
        points = [row for row in rows if row["step"] == name and row[other] == most and row["s"] > 0]
        if len({row[along] for row in points}) < 2:
            continue
        found = [slope([row[along] for row in points], [max(row[key], 1e-3) for row in points]) for key in ("s", "cpu")]
        lines.append(
            f"{name:<24} {along}^{found[0]:.2f} by the clock, {along}^{found[1]:.2f} of the processor ({other} {most:,})"
        )
    return lines


def slope(sizes: list[float], values: list[float]) -> float:
    """Least-squares slope of log(values) over log(sizes): 1 is linear growth, 0 none."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)


def main() -> None:
    """Measure the worlds asked for, or be the child that runs one step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tracks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--years", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a thousand tracks, one year, without alignment and training")
    parser.add_argument("--skip", nargs="*", choices=LONG, default=[], help="leave out alignment, training or scoring")
    parser.add_argument("--without-rivals", action="store_true", help="leave out the floor, pandas and polars")
    parser.add_argument("--json", type=Path, help="write all rows there")
    parser.add_argument("--steps", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--came", default="first", help=argparse.SUPPRESS)
    parser.add_argument("--world", nargs=3, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rival", help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.steps:
        steps(given.steps, given.files, given.came, given.skip)
        return
    if given.world:
        from scale_world import write_world

        write_world(given.files, *given.world)
        return
    if given.rival:
        import scale_rivals

        print(json.dumps(scale_rivals.run(given.rival)))
        return
    worlds = [(1_000, 1)] if given.smoke else [(n, years) for n in given.tracks for years in given.years]
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "dbt-core", "pandas", "polars", "scikit-learn"))
    load_now = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}; load {load_now}; seed {given.seed}"
    )
    print(f"{'tracks':>10} {'yrs':>3} {'step':<24} {'seconds':>8} {'cpu s':>8} {'GB':>7}")
    rows: list[Row] = []
    for n, years in worlds:
        rivals = not given.without_rivals
        skip = LONG if given.smoke else given.skip
        rows += measure(
            n,
            years,
            given.seed,
            lambda line: print(line, flush=True),
            rivals=rivals,
            skip=skip,
            together=given.smoke,
        )
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1))
    rows += weekly(rows)
    for row in rows:
        if row["step"] in ("week: build and publish", "week: all", "fresh: all", "full build"):
            print(
                f"{row['tracks']:>10,} {row['years']:>3} {row['step']:<24} {row['s']:>8.2f} {row['cpu']:>8.2f} {row['gb']:>7.2f}"
            )
    for along in ("tracks", "years"):
        for line in exponents(rows, along):
            print(line)


if __name__ == "__main__":
    main()
