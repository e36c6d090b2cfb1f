"""Every page of the app on real charts and tracks in a browser; called by the test that builds them, because building takes minutes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.app.browsing import CHROMIUM, FLAGS, footer, serving

# What a page has to say where charts, sound, genres, alignment and a model are known. Nothing of it depends on a figure of the data.
SAYS = {
    "/": ("All I Want For Christmas Is You", "weeks old", "your import spotify_songs"),
    "/trends": ("The chart, ", "on average"),
    "/trends?genre=rock&feature=Loudness": ("Songs of rock in the chart", "One point per year"),
    "/trends?view=Two+periods": ("Bars show how far",),
    "/trends?view=Genres": ("Most entries of these years", "hip hop", "all others"),
    "/trends?view=Diversity+and+turnover": ("spread",),
    "/fits": ("Fits well and is hardly known", "the newest one that is known stands for it", "Confidence is weak"),
    "/fits?kind=Hits+that+defy+the+trend": ("The hit that fits least",),
    "/model": ("Champion and challengers", "What it takes for what", "promoted"),
    "/playground": ("What the model hears", "of 100", "Real tracks that sound most like it"),
    "/quality": ("are linked to a track", "time_signature: outside 3..7", "worth a look"),
}


def look_at_every_page(home: Path, publish: Callable[[], object]) -> None:
    """Open every page on a phone's width or a desk's, search, upload, and see a new release arrive.

    Args:
        home: with a published release of the real charts and tracks.
        publish: publishes another release there.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play, serving(home) as address:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for place, (path, says) in enumerate(SAYS.items()):
            page.set_viewport_size({"width": 390 if place % 2 else 1280, "height": 900})
            page.goto(address + path)
            _is_whole(page, path, says)
        page.set_viewport_size({"width": 1280, "height": 900})
        _search(page, address)
        _upload(page, address)
        page.goto(address)
        footer(page)
        publish()
        page.get_by_role("button", name="Show it now").click(timeout=60_000)
        page.get_by_text("A new release has arrived").wait_for(state="detached", timeout=60_000)
        _is_whole(page, "/", SAYS["/"])
        browser.close()


def _is_whole(page: Any, path: str, says: tuple[str, ...]) -> None:
    footer(page)
    wrong = page.locator("[data-testid=stException], [data-testid=stAlertContentError]").all_inner_texts()
    assert not wrong, (path, wrong)
    # The browser fetches some parts of a page only when they are first drawn, so words may come after the page's last line.
    missing = _missing(page, says)
    for _ in range(50):
        if not missing:
            break
        page.wait_for_timeout(200)
        missing = _missing(page, says)
    assert not missing, (path, missing)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= page.viewport_size["width"], path


def _missing(page: Any, says: tuple[str, ...]) -> list[str]:
    # Cells of tables are drawn, not written; a table's own text for readers aloud counts as written.
    said = page.locator("[data-testid=stMain]").inner_text() + page.locator("[data-testid=stMain]").inner_html()
    return [words for words in says if words not in said]


def _search(page: Any, address: str) -> None:
    page.goto(f"{address}/track")
    footer(page)
    page.get_by_label("Search by title or artist").press_sequentially("bohemian queen", delay=20)
    found = page.locator(".st-key-found a")
    page.wait_for_function("[...document.querySelectorAll('.st-key-found a')].some(a => /Bohemian Rhapsody/.test(a.innerText))")
    found.filter(has_text="Bohemian Rhapsody").first.click()
    page.get_by_role("heading", name="How it sounds").wait_for(timeout=60_000)
    _is_whole(page, "a track", ("Bohemian Rhapsody", "best rank", "Which genre the model hears", "Where each value came from"))


def _upload(page: Any, address: str) -> None:
    page.goto(f"{address}/playground?mode=Your+own+file")
    footer(page)
    rows = b"name,who,bpm,dance,energy,valence,loudness,acousticness\nMine,Me,120,0.7,0.8,0.6,-5,0.1\n"
    page.locator("input[type=file]").set_input_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": rows})
    page.get_by_text(re.compile("1 track answered")).wait_for(timeout=60_000)
    assert page.get_by_text(re.compile("of 8 columns are recognised")).count() == 1
