"""Take the pictures of the dashboard: `python docs/images/dashboard.py FOLDER`, while `soundscope up` runs on a home with a finished pipeline run.

Uses Debian's chromium through Playwright. Writes one picture per page: runs, a run, its report, the other artifacts, their list and history, the event feed.
"""

from __future__ import annotations

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
_PAGES = {"runs": "/runs", "artifacts": "/artifacts", "history": "/artifacts/key/pipeline-report", "events": "/events"}
_ARTIFACTS = {"report": "pipeline-report", "quality": "data-quality", "card": "model-card", "rows": "row-counts"}


def main(folder: Path) -> int:
    """Take them all; returns the exit status."""
    settings = load_settings()
    address = running(settings)
    if address is None:
        raise BadInput("No dashboard runs for this home.", next_step="start `soundscope up` first.")
    sign_in = credentials(settings).auth_string
    folder.mkdir(parents=True, exist_ok=True)
    api = _Api(address, sign_in)
    pages = _PAGES | {"run": f"/runs/flow-run/{api.newest_run()}"}
    pages |= {name: f"/artifacts/artifact/{api.newest_artifact(key)}" for name, key in _ARTIFACTS.items()}
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


class _Api:
    """The server's API, signed in."""

    def __init__(self, address: str, sign_in: str) -> None:
        user, _, password = sign_in.partition(":")
        self.url, self.session = f"{address}/api", requests.Session()
        self.session.auth = (user, password)
        token = self.session.get(f"{self.url}/csrf-token", params={"client": "pictures"}, timeout=10).json()["token"]
        self.session.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "pictures"})

    def newest_run(self) -> str:
        """Id of the newest finished run of the pipeline."""
        state = {"state": {"type": {"any_": ["COMPLETED"]}}}
        return self._first(
            "flow_runs", {"flows": {"name": {"any_": ["pipeline"]}}, "flow_runs": state, "sort": "START_TIME_DESC"}
        )

    def newest_artifact(self, key: str) -> str:
        """Id of the newest artifact of this key."""
        return self._first("artifacts", {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"})

    def _first(self, what: str, wanted: dict[str, Any]) -> str:
        answer = self.session.post(f"{self.url}/{what}/filter", json={**wanted, "limit": 1}, timeout=10)
        answer.raise_for_status()
        if not (found := answer.json()):
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
