"""How quickly the app answers: a generated release of many tracks, the app's own process, and a browser that looks and clicks.

    .venv/bin/python benchmarks/app.py [--sizes 200000 1000000] [--seed 7]

Needs Debian's chromium. Times are from the request, or the click, until the app has answered it whole, the browser has drawn the
answer, its charts and the page's last line, and has nothing left to do. The browser itself looks for that at every frame: Playwright's
own waiting asks every half second.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.app.browsing import CHROMIUM, FLAGS, serving
from tests.app.made_release import make_release

_ENDS = r"(Last run|No run is recorded)"
# Counts the app's answers that have come to their end; a view's first is counted from its beginning.
_COUNT = """
window.__ended = 0;
new MutationObserver(changes => changes.forEach(({target}) => {
  if (target.getAttribute("data-test-script-state") === "notRunning") window.__ended += 1;
})).observe(document, {subtree: true, attributes: true, attributeFilter: ["data-test-script-state"]});
"""
_DRAWN = """
([ended, words]) => window.__ended > ended
  && document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]")
  && !document.querySelector("[data-testid=stMain] [data-testid=stSkeleton]")
  && [...document.querySelectorAll("[data-testid=stVegaLiteChart]")].every(chart => chart.querySelector("svg, canvas"))
  && words.every(w => new RegExp(w).test(document.querySelector("[data-testid=stMain]").textContent))
"""
_GOALS = {200_000: (2.0, 1.0), 1_000_000: (2.0, 2.0)}


def main() -> int:
    """Measure every size; returns 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=7)
    said = parser.parse_args()
    if not CHROMIUM.exists():
        print(f"{CHROMIUM} is not there: apt-get install chromium. Nothing was measured.")
        return 0
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, seed {said.seed}")
    missed = 0
    for size in said.sizes:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            track = make_release(Path(folder), tracks=size, weeks=1500, seed=said.seed)
            print(f"\n{size:,} tracks, 1,500 charts of 100 (made in {time.perf_counter() - begin:.0f} s)")
            with serving(Path(folder)) as address:
                missed += _measure(address, track, _GOALS.get(size, (2.0, 1.0)))
    return 1 if missed else 0


def _measure(address: str, track: str, goals: tuple[float, float]) -> int:
    rows: list[tuple[str, float, float]] = []

    def timed(name: str, act: Callable[[], object], goal: float) -> None:
        begin = time.perf_counter()
        act()
        seconds = time.perf_counter() - begin
        rows.append((name, seconds, goal))
        print(f"  {name:<38} {seconds:6.2f} s{'' if seconds <= goal else f'   over {goal:.0f} s'}", flush=True)

    first, click = goals
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.add_init_script(_COUNT)
        # A browser's own start is not the app's.
        page.wait_for_timeout(2_000)

        def view(path: str) -> None:
            page.goto(address + path, wait_until="commit")
            _drawn(page, 0)

        timed("first view of all: overview", lambda: view("/"), first)
        for path in ("/trends", "/fits", "/model", "/playground", "/quality", f"/track?id={track}"):
            timed(f"first view: {path.split('=')[0].strip('/?id')}", lambda path=path: view(path), first)  # type: ignore[misc]
        timed("overview again", lambda: view("/"), first)
        view("/track")
        for name, typed in (
            ("search, the first", "mar"),
            ("search, two words", "marble wi"),
            ("search, other words", "velvet ga"),
        ):
            timed(name, lambda typed=typed: _search(page, typed), click)  # type: ignore[misc]
        timed("open a track from the search", lambda: _open(page), click)
        view("/trends")
        timed("trends: another feature", lambda: _choose(page, "feature", "Valence"), click)
        timed("trends: two periods", lambda: _press(page, "Two periods", "Bars show how far"), click)
        timed("trends: genres", lambda: _press(page, "Genres", "Most entries of these years"), click)
        view("/fits")
        timed(
            "fits: hits that defy the trend", lambda: _press(page, "Hits that defy the trend", "The hit that fits least"), click
        )
        view("/playground")
        timed("playground: a slider, the first", lambda: _slide(page), click)
        timed("playground: a slider", lambda: _slide(page), click)
        browser.close()
    return sum(seconds > goal for _, seconds, goal in rows)


def _search(page: Page, typed: str) -> None:
    """Type what is missing of a text and wait until a result holds it."""
    box = page.get_by_label("Search by title or artist")
    box.fill(typed)
    words = typed.split()
    page.wait_for_function(
        "words => { const links = [...document.querySelectorAll('.st-key-found a')];"
        " return links.length && links.every(a => words.every(w => a.innerText.toLowerCase().includes(w))) }",
        arg=words,
        timeout=60_000,
    )


def _drawn(page: Page, ended: int, *words: str) -> None:
    """Wait until more answers than `ended` have come whole, the page holds the words, its last line and its charts, and all is painted."""
    page.wait_for_function(_DRAWN, arg=[ended, [*words, _ENDS]], polling="raf", timeout=60_000)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestIdleCallback(done, {timeout: 5000})))")


def _ended(page: Page) -> int:
    return int(page.evaluate("window.__ended"))


def _open(page: Page) -> None:
    ended = _ended(page)
    page.locator(".st-key-found a").first.click()
    _drawn(page, ended, "How it sounds")


def _choose(page: Page, key: str, option: str) -> None:
    ended = _ended(page)
    page.locator(f".st-key-{key} input").click()
    page.get_by_role("option", name=option, exact=True).click()
    page.wait_for_function("name => location.search.toLowerCase().includes(name)", arg=option.lower(), timeout=60_000)
    _drawn(page, ended)


def _press(page: Page, button: str, then: str) -> None:
    ended = _ended(page)
    page.get_by_role("radio", name=button).or_(page.get_by_role("button", name=button)).first.click()
    _drawn(page, ended, then)


def _slide(page: Page) -> None:
    ended = _ended(page)
    handle = page.get_by_role("slider").nth(2)
    before = page.url
    handle.press("ArrowRight")
    page.wait_for_function("before => location.href !== before", arg=before, timeout=60_000)
    _drawn(page, ended)


if __name__ == "__main__":
    sys.exit(main())
