"""People under load: they sign up, which gives them starter credit, and top up, and come back when something fails."""

import http.cookiejar
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from typing import IO

from tests.chaos.journal import Journal

TIMEOUT_S = 20.0
PASSWORD = "correct horse battery"
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


class Browser:
    """A person's cookies. Every failure is (0, …): what became of the request is then unknown."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies, _NoRedirects(), urllib.request.ProxyHandler({}))

    def get(self, path: str) -> tuple[int, str]:
        """Status; the body, or where a redirect leads."""
        return self._open(urllib.request.Request(self.base_url + path))  # noqa: S310 - our own http

    def post(self, page: str, path: str, **fields: str) -> tuple[int, str]:
        """Fetches the page for its form's token, then sends the form."""
        status, body = self.get(page)
        token = CSRF.search(body)
        if status != 200 or token is None:
            return status, body
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        return self._open(urllib.request.Request(self.base_url + path, data))  # noqa: S310 - our own http

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return answer.status, _text(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location") or _text(error)
        except (OSError, http.client.HTTPException):
            return 0, ""


def _text(answer: "IO[bytes]") -> str:
    try:
        return answer.read().decode()
    except (OSError, http.client.HTTPException):
        return ""


class Shopper(threading.Thread):
    """One person after another, each with some top-ups. `control` speaks to the stand-in for Stripe."""

    def __init__(
        self, name: str, base_url: str, control: Callable[[str, str], None], journal: Journal, seed: str
    ) -> None:
        super().__init__(name=name, daemon=True)
        assert " " not in name, "it is also the name in an e-mail address"
        self.random = random.Random(f"{seed}:{name}")
        self.base_url, self.control, self.journal = base_url, control, journal
        self.stopping = threading.Event()

    def run(self) -> None:
        try:
            number = 0
            while not self.stopping.is_set():
                self._live(f"{self.name}-{number}@example.com")
                number += 1
        except Exception as error:
            self.journal.wrong(f"{self.name} broke off: {error!r}")

    def _live(self, email: str) -> None:
        browser = self.arrive(email)
        for _ in range(self.random.randint(1, 4)):
            if self.stopping.is_set():
                return
            self.top_up(browser, self.random.randint(100, 2_000), pays=self.random.random() < 0.9)
            time.sleep(self.random.uniform(0, 1))

    def arrive(self, email: str) -> Browser:
        """A new person, signed up and signed in."""
        browser = Browser(self.base_url)
        self._again(lambda: self._enter(browser, email))
        self.journal.sign_up(email)
        return browser

    def _enter(self, browser: Browser, email: str) -> bool:
        """Sign up, or sign in where a lost answer was a success; whether the wallet shows then."""
        signup = browser.post("/accounts/signup/", "/accounts/signup/", email=email, password1=PASSWORD)
        if signup[0] != 302 or "/wallet/" not in signup[1]:
            browser.post("/accounts/login/", "/accounts/login/", login=email, password=PASSWORD)
        status, body = browser.get("/wallet/")
        return status == 200 and 'id="balance"' in body

    def top_up(self, browser: Browser, cents: int, *, pays: bool) -> None:
        """The same form until Stripe's page opens, then the payment, from which nobody comes back to the site."""
        form = {"amount": f"{cents // 100}.{cents % 100:02}", "form_id": str(uuid.uuid4())}
        session = ""

        def opened() -> bool:
            nonlocal session
            status, where = browser.post("/wallet/", "/wallet/top-ups/", **form)
            session = where.rstrip("/").rsplit("/", 1)[-1]
            return status == 303 and session.startswith("cs_")

        self._again(opened)
        if pays:
            # An answer of the stand-in, which nobody kills, is final.
            self.control(f"sessions/{session}/pay", "method=card")
            self.journal.pay(session, cents)

    def _again(self, attempt: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + 180
        while not attempt():
            self.journal.retry()
            if time.monotonic() > give_up_at:
                raise TimeoutError("a page did not come back within three minutes")
            time.sleep(self.random.uniform(0.1, 0.5))
