"""The running app in headless Chromium: every page in every width and theme, search, files, a release that arrives, hostile titles, axe."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from soundscope.ingest.ledger import utcnow
from tests.app.browsing import CHROMIUM, FLAGS, footer, serving
from tests.app.made_release import HOSTILE, make_release

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (the extra dev)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python (the extra dev)")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium: apt-get install chromium"),
]
PATHS = (
    "/", "/trends", "/trends?view=Two+periods", "/trends?view=Genres", "/trends?view=Diversity+and+turnover", "/track", "/track?id={track}&why=true", "/fits", "/model",
    "/playground", "/playground?mode=Your+own+file", "/quality",
)  # fmt: skip
# What Streamlit draws itself and no page can change is left to it; everything else counts.
THEIRS = ("[data-testid=stDataFrame]", "[data-testid=stToolbar]")
Visit = Callable[..., Any]
# A text of the page without joiners, marks and spaces.
_BARE = r"text => text.replace(/[\u2060\u202e\u202c\ufffd\s]/g, '')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def site(whole: tuple[Path, str]) -> Iterator[tuple[str, str]]:
    with serving(whole[0]) as address:
        yield address, whole[1]


@pytest.fixture
def visit(browser: Any, site: tuple[str, str]) -> Iterator[Visit]:
    """`visit(path)` opens a page and waits until it is whole; afterwards nothing may have failed or left the machine."""
    wrong: list[str] = []
    contexts = []

    def go(path: str = "/", *, width: int = 1280, theme: str = "light", address: str = site[0]) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: wrong.append(request.url) if re.match(r"(?!http://127\.0\.0\.1[:/])\w+://", request.url) else None,
        )
        page.goto(address + path.format(track=site[1]))
        footer(page)
        assert page.locator("[data-testid=stException]").count() == 0
        return page

    yield go
    for context in contexts:
        context.close()
    assert not wrong


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_whole_at_every_width(visit: Visit, path: str, width: int) -> None:
    page = visit(path, width=width)
    assert page.locator("[data-testid=stAlertContentError]").count() == 0
    assert page.locator("h1").count() == 1
    # Nothing sticks out sideways: a phone scrolls down only.
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_serious(visit: Visit, path: str, theme: str) -> None:
    page = visit(path, theme=theme)
    page.wait_for_timeout(700)
    found = axe.Axe().run(page, context={"exclude": [[one] for one in THEIRS]}).response["violations"]
    serious = [
        (one["id"], node["target"], node.get("failureSummary", "")[:200])
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert not serious


def test_search_answers_while_typing_and_opens_a_track(visit: Visit) -> None:
    page = visit("/track")
    box = page.get_by_label("Search by title or artist")
    box.press_sequentially("marble wi", delay=40)
    links = page.locator(".st-key-found a")
    links.first.wait_for()
    page.wait_for_function(
        "() => { const links = [...document.querySelectorAll('.st-key-found a')];"
        " return links.length > 1 && links.every(a => /marble/i.test(a.innerText) && /wi/i.test(a.innerText)) }"
    )
    assert links.count() <= 12
    title = links.first.inner_text().split(" · ")[0].strip()
    links.first.click()
    page.get_by_role("heading", name="How it sounds").wait_for()
    assert title.endswith(page.locator("h2").first.inner_text())
    assert "id=spotify" in page.url
    footer(page)
    links.first.wait_for(state="detached")
    page.get_by_text("Why this genre?").click()
    page.wait_for_function("location.search.includes('why')")
    assert "id=spotify" in page.url
    again = visit("/" + page.url.split("/", 3)[3])
    assert again.locator("h2").first.inner_text() == page.locator("h2").first.inner_text()


def test_hostile_titles_are_shown_and_do_nothing(visit: Visit) -> None:
    page = visit("/track")
    box = page.get_by_label("Search by title or artist")
    for title in HOSTILE:
        words = re.sub(r"[^\w]+", " ", title.replace("\u202e", "").replace("\u202c", "")).strip()[:100]
        box.fill(words)
        page.wait_for_function(
            f"title => [...document.querySelectorAll('.st-key-found a')].some(a => ({_BARE})(a.innerText).includes(title))",
            arg="".join(_plain(title).split())[:60],
        )
        texts = [_plain(shown) for shown in page.locator(".st-key-found a").all_inner_texts()]
        place = next(n for n, shown in enumerate(texts) if _plain(title)[:60] in shown)
        page.locator(".st-key-found a").nth(place).click()
        page.wait_for_function(
            f"title => [...document.querySelectorAll('h2')].some(h => ({_BARE})(h.innerText) === title)",
            arg="".join(_plain(title).split()),
        )
        heading = page.locator("h2").first
        assert heading.locator("a, img, script, code, strong, em, .katex, [data-testid=stIconMaterial]").count() == 0
    assert page.evaluate("window.hurt") is None
    page = visit("/")
    assert page.evaluate("window.hurt") is None


def test_an_address_restores_the_view(visit: Visit) -> None:
    page = visit("/trends")
    page.locator(".st-key-feature input").click()
    page.get_by_role("option", name="Valence", exact=True).click()
    page.wait_for_function("location.search.toLowerCase().includes('valence')")
    page.get_by_role("radio", name="4 weeks").or_(page.get_by_role("button", name="4 weeks")).first.click()
    page.wait_for_function("location.search.includes('window')")
    footer(page)
    again = visit("/" + page.url.split("/", 3)[3])
    assert again.locator(".st-key-feature input").input_value() == "Valence"
    assert "Valence" in again.locator("[data-testid=stVegaLiteChart]").first.inner_html() or again.get_by_text("4 weeks").count()


def test_files_good_and_bad(visit: Visit) -> None:
    page = visit("/playground?mode=Your+own+file")
    field = page.locator("input[type=file]")
    good = b"title,artist,tempo,danceability,energy,valence,loudness\n=HYPERLINK(1),<b>me</b>,120,0.5,0.6,0.7,-6\nTwo,B,120,0.4,0.5,0.6,99\n"
    field.set_input_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": good})
    page.get_by_text("2 tracks").wait_for()
    assert page.get_by_text("1 value could not be used").count() == 1
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download the answers").click()
    rows = list(csv.DictReader(io.StringIO(Path(waited.value.path()).read_text("utf-8-sig"))))
    assert rows[0]["title"] == "'=HYPERLINK(1)"
    assert 0 < float(rows[0]["probability_1"]) <= 1
    for content, says in (
        (b"\x00\x01\x02", "no text"),
        (b"a,b\n1,2\n", "no column that is known"),
        (b"tempo\n" + b"1" * 2_200_000, "must be|larger|exceed"),
    ):
        page.reload()
        footer(page)
        page.locator("input[type=file]").set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": content})
        page.get_by_text(re.compile(says, re.IGNORECASE)).first.wait_for()
        assert page.locator("[data-testid=stException]").count() == 0


def test_columns_of_a_file_are_named_by_hand(visit: Visit) -> None:
    page = visit("/playground?mode=Your+own+file")
    content = b"a,b,<b>c</b>,d\n120,0.5,0.6,0.7\n"
    page.locator("input[type=file]").set_input_files({"name": "own.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_text("no column that is known").wait_for()
    for field, column in (("Tempo", "a"), ("Danceability", "b"), ("Energy", "<b>c</b>")):
        page.get_by_label(field, exact=True).click()
        page.get_by_role("option", name=column, exact=True).click()
        page.get_by_text("no column that is known").wait_for(state="detached")
    page.get_by_text("1 track answered").wait_for()
    footer(page)
    assert page.get_by_text("too little of the sound").count() == 0
    assert page.locator("[data-testid=stExpander] b").filter(has_text=re.compile("^c$")).count() == 0


def test_downloads_of_a_list_are_safe_for_spreadsheets(visit: Visit) -> None:
    page = visit("/fits?kind=Hits+that+defy+the+trend")
    with page.expect_download() as waited:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.reader(io.StringIO(Path(waited.value.path()).read_text("utf-8-sig"), newline="")))
    assert len(rows) > 5
    texts = [cell for row in rows for cell in row if not re.fullmatch(r"-?[\d.e+-]*", cell)]
    assert texts
    assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_release_that_arrives_is_offered_and_shown(browser: Any, tmp_path: Path) -> None:
    make_release(tmp_path, tracks=120, weeks=3, model=False, now=utcnow() - timedelta(hours=1))
    with serving(tmp_path) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        footer(page)
        shown = page.get_by_text("Release 2").first.inner_text()
        make_release(tmp_path, tracks=150, weeks=4, model=False)
        page.get_by_text("A new release has arrived").wait_for(timeout=30_000)
        assert page.get_by_text("Release 2").first.inner_text() == shown
        page.get_by_role("button", name="Show it now").click()
        page.wait_for_function("old => !document.body.innerText.includes(old)", arg=shown.split(",")[0])
        footer(page)
        assert page.get_by_text("A new release has arrived").count() == 0
        context.close()


def test_before_the_first_release_the_page_waits_for_it(browser: Any, tmp_path: Path) -> None:
    with serving(tmp_path) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.get_by_text("Nothing is published").wait_for()
        make_release(tmp_path, tracks=120, weeks=3, model=False)
        page.get_by_role("button", name="Show it now").click(timeout=30_000)
        page.get_by_role("heading", name="What is charting now").wait_for()
        context.close()


def _plain(words: str) -> str:
    return " ".join(re.sub("[\u2060\u202e\u202c\ufffd]", "", words).split())
