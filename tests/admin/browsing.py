"""A browser that staff are logged in with, and its pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.test import Client
from playwright.sync_api import Page

from tests.journey.browser import chromium

PHONE, DESK = 390, 1440


@contextmanager
def staff_page(desk: Client, live_server: object, width: int = DESK) -> Iterator[Page]:
    session = desk.cookies[settings.SESSION_COOKIE_NAME].value
    with chromium() as browser:
        context = browser.new_context(viewport={"width": width, "height": 900}, base_url=str(live_server))
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": str(live_server)}]
        )
        context.set_default_timeout(20_000)
        yield context.new_page()


def shoot(page: Page, folder: Path, name: str) -> None:
    """For a person to look at: phone and desk, light and dark. The panel asks for the theme once, as it loads."""
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.reload()
        for width in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(300)
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png")
