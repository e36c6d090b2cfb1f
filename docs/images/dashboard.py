"""Take the pictures of the dashboard: `python docs/images/dashboard.py FOLDER`, while `soundscope up` runs on a home with a finished pipeline run.

Uses Debian's chromium through Playwright. Writes runs.png, run.png, report.png, quality.png, card.png, rows.png and artifacts.png.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, sync_playwright

from flows.environment import credentials
from flows.server import running
from soundscope.errors import BadInput, SoundScopeError
from soundscope.settings import load_settings

_SIZE = {"width": 1440, "height": 1000}
_PAGES = {
    "runs": "/runs",
    "artifacts": "/artifacts",
    "report": "/artifacts/key/pipeline-report",
    "quality": "/artifacts/key/data-quality",
    "card": "/artifacts/key/model-card",
    "rows": "/artifacts/key/row-counts",
}


def main(folder: Path) -> int:
    """Take them all; returns the exit status."""
    settings = load_settings()
    address = running(settings)
    if address is None:
        raise BadInput("No dashboard runs for this home.", next_step="start `soundscope up` first.")
    sign_in = credentials(settings).auth_string
    folder.mkdir(parents=True, exist_ok=True)
    pages = _PAGES | {"run": f"/runs/flow-run/{newest_run(address, sign_in)}"}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page(viewport=_SIZE)
        _sign_in(page, address, sign_in)
        for name, path in pages.items():
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
            # The graph of a run is drawn after its data are there.
            page.wait_for_timeout(4000)
            page.screenshot(path=folder / f"{name}.png")
            print(folder / f"{name}.png")
        browser.close()
    return 0


def newest_run(address: str, sign_in: str) -> str:
    """Id of the newest finished run of the pipeline.

    Raises:
        BadInput: there is none.
    """
    session = requests.Session()
    user, _, password = sign_in.partition(":")
    session.auth = (user, password)
    token = session.get(f"{address}/api/csrf-token", params={"client": "pictures"}, timeout=10).json()["token"]
    wanted: dict[str, Any] = {
        "flows": {"name": {"any_": ["pipeline"]}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        "sort": "START_TIME_DESC",
        "limit": 1,
    }
    headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "pictures"}
    found = session.post(f"{address}/api/flow_runs/filter", data=json.dumps(wanted), headers=headers, timeout=10).json()
    if not found:
        raise BadInput("No pipeline run has completed in this home.", next_step="soundscope run --rebuild")
    return str(found[0]["id"])


def _sign_in(page: Page, address: str, sign_in: str) -> None:
    page.goto(f"{address}/login")
    page.wait_for_load_state("networkidle")
    field = page.locator("input").first
    field.fill(sign_in)
    field.press("Enter")
    page.wait_for_timeout(2000)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except SoundScopeError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
