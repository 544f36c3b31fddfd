"""Headless Chromium, driven by Playwright; skipped loudly where the machine has none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def executable() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


needs_chromium = pytest.mark.skipif(
    executable() is None, reason="NO CHROMIUM ON THIS MACHINE: the journey in the browser was not tried"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


# htmx tells the console of a request that ended because the page was left. A failed one has a name of its own besides.
LEFT = ("htmx:sendAbort,", "htmx:afterRequest,")


class Complaints:
    """What the browser's console and the pages' scripts complained of: policy violations and errors."""

    def __init__(self, page: Page) -> None:
        self.found: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.found.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and "status of 4" not in text and not text.startswith(LEFT):
            self.found.append(text)


def screenshots(page: Page, folder: Path, name: str) -> None:
    """The page at phone and desktop width, in both themes: for a person to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    for width in (390, 1440):
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
