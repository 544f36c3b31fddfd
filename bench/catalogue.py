"""The price list as people and programs ask for it, beside a page that shows nothing, with 2,500 models for sale."""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import User
from bench import traffic
from bench.measures import Asking, Lab, Measure
from bench.results import Round
from pricing import catalogue
from pricing.listings import UNDATED_FROM
from pricing.models import Model, Origin
from pricing.publishing import Price, publish_new

MODELS = 2_500
# Each process of the web server looks at the catalogue's revision so often; then it makes its pages, before the windows.
SEEN_S = catalogue.TTL_SECONDS + 1
WARM_UP_S = 1.5
PAGE, LIST, PRICES = "/pricing/", "/api/models", "/api/pricing"
TITLES = {
    "page-empty": "A page's way in, and nothing (/healthz): requests",
    "page": f"{PAGE}, a visitor: requests",
    "page-again": f"{PAGE}, a visitor who has it: answers 304",
    "page-signed-in": f"{PAGE}, signed in: requests",
    "page-search": f"{PAGE}, a search as one types: requests",
    "models": f"{LIST}: requests",
    "models-again": f"{LIST}, who has it: answers 304",
    "prices": f"{PRICES}: requests",
    "prices-again": f"{PRICES}, who has it: answers 304",
}


@dataclass(slots=True)
class Shop:
    """The catalogue as the web server shows it, filled up before the first window."""

    lab: Lab
    requests: dict[str, bytes] = field(default_factory=dict)

    def asking(self, name: str) -> Asking:
        if not self.requests:
            _fill()
            time.sleep(SEEN_S)
            self._prepare()
        return self._asking(name, 1)

    def _asking(self, name: str, connections: int) -> Asking:
        status = b"304" if name.endswith("-again") else b"200"
        return Asking(self.lab, name, [self.requests[name]], connections, status)

    def _prepare(self) -> None:
        self.requests = {
            "page-empty": traffic.plain_request("/healthz"),
            "page": traffic.plain_request(PAGE),
            "page-signed-in": traffic.plain_request(PAGE, {"Cookie": _session()}),
            "page-search": traffic.plain_request(f"{PAGE}?q=gpt", {"HX-Request": "true"}),
            "models": traffic.plain_request(LIST),
            "prices": traffic.plain_request(PRICES),
        }
        for name, path in (("page", PAGE), ("models", LIST), ("prices", PRICES)):
            known = {"If-None-Match": self._validator(path)}
            self.requests[f"{name}-again"] = traffic.plain_request(path, known)
        for name in self.requests:
            # Over many connections, so that every process of the server has made its own.
            self.lab.drive(self._asking(name, 8).load(WARM_UP_S))

    def _validator(self, path: str) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.lab.machine.port}{path}", timeout=30) as answer:
            return str(answer.headers["ETag"])


def every(lab: Lab) -> list[Measure]:
    shop = Shop(lab)

    def run(name: str) -> Callable[[float], Round]:
        return lambda seconds: shop.asking(name)(seconds)

    return [Measure(name, {name: title}, run(name)) for name, title in TITLES.items()]


def _fill() -> None:
    """More models like those that are for sale, under other names, until there are MODELS of them."""
    now = timezone.now()
    known = catalogue.sellable(at=now)
    made = []
    for number in range(MODELS - len(known)):
        like = known[number % len(known)]
        table = like.price_at(now)
        assert table is not None
        model = Model(
            name=f"bench-{number}-{like.name}"[:200],
            provider_code=like.provider_code,
            provider=like.provider,
            kind=like.kind,
            title=like.title,
            description=like.description,
            context_window=like.context_window,
        )
        made.append((model, [Price(UNDATED_FROM, table.rates, table.multiplier_bp)]))
    publish_new(made, source="bench", origin=Origin.STAFF)


def _session() -> str:
    """The cookie of somebody with a wallet who signed in."""
    client = Client()
    client.force_login(User.objects.filter(email__startswith="bench-").earliest("pk"))
    cookies: SimpleCookie = client.cookies
    return f"{settings.SESSION_COOKIE_NAME}={cookies[settings.SESSION_COOKIE_NAME].value}"
