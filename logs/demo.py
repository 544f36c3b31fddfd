"""A demo account with calls to look at, reported the way a gateway does: over HTTP, to the metering API of this site.

For this machine only: it gives credit away and prints a password. Nothing here writes a call or a charge by itself.
"""

import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from logs import demo_traffic
from pricing import catalogue
from pricing.money import NANO_PER_USD
from tokens import keys
from tokens.models import ApiKey, GatewayKey
from wallet import grants, ledger
from wallet.models import Code, Transfer, Wallet
from wallet.wallets import wallet_of

EMAIL = "demo@example.com"
# No secret: it opens an account of made-up calls, on the machine of whoever reads this.
PASSWORD = "look-around-freely"  # noqa: S105
CREDIT_NANOUSD = 100 * NANO_PER_USD
LIVE_KEY = "Try-out"
GATEWAY_NAME = "demo"
BATCH = 200
MOST_CALLS = 20_000
LIVE_CALLS = 24
# Of the live ones, every seventh is left without a report and every twelfth never happens.
UNREPORTED_EVERY, RELEASED_EVERY = 7, 12
TIMEOUT_S = 60
ATTEMPTS = 4

type Progress = Callable[[int, int], None]


class DemoImpossible(Exception):
    """Why there can be no demo now; a sentence for whoever asked for it."""


@dataclass(slots=True)
class Outcome:
    """What a run did."""

    accepted: int = 0
    charged_nanousd: int = 0
    held: int = 0
    balance_nanousd: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Error codes of calls that the metering API did not take, and how many each."""

    def add(self, results: Sequence[dict[str, Any]]) -> None:
        for result in results:
            if result["result"] == "accepted":
                self.accepted += 1
                self.charged_nanousd += result["charged_nanousd"]
            elif "error" in result:
                self.refused[result["error"]["code"]] += 1


def run(*, calls: int, seed: int | None = None, progress: Progress = lambda done, total: None) -> Outcome:
    """Make or find the demo account and add `calls` calls to it, and a few live ones. Raises DemoImpossible.

    Run again, it adds more calls; the credit is given once. `seed` repeats the same draws (ids are always new).
    """
    if not settings.LOCAL:
        raise DemoImpossible(
            "The demo gives credit away and prints a password, so it works with DEBUG=true only."
        )
    if not 1 <= calls <= MOST_CALLS:
        raise DemoImpossible(f"--calls takes a number from 1 to {MOST_CALLS:,}.")
    outcome = Outcome()
    with Site(settings.SITE_URL) as site:
        site.check_ready()
        wallet, api_keys, live = _account()
        site.gateway_key = keys.issue_gateway_key(GATEWAY_NAME)
        try:
            _send(site, _history(calls, seed, api_keys), outcome, progress)
            _live_calls(site, live, random.Random(seed), outcome)  # noqa: S311 (traffic, no secret)
        finally:
            GatewayKey.objects.filter(name=GATEWAY_NAME, revoked_at=None).update(revoked_at=timezone.now())
    outcome.balance_nanousd = ledger.balances(wallet).balance_nanousd
    return outcome


class Site:
    """One connection to this site's own metering API. Raises DemoImpossible where it can't go on."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        is_https = parts.scheme == "https"
        connect = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
        self.url = url
        self.gateway_key = ""
        self._connection = connect(parts.netloc, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def check_ready(self) -> None:
        status, _ = self._ask("GET", "/readyz", None)
        if status != 200:
            raise DemoImpossible(f"{self.url} is not ready (status {status}). Is `make run` up?")

    def post(self, name: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer. An answer that asks for patience is waited for: sending again is safe."""
        status, answer = 0, b""
        for attempt in range(ATTEMPTS):
            status, answer = self._ask("POST", f"/metering/v1/{name}", json.dumps(body).encode())
            if status not in {429, 503}:
                break
            time.sleep(0.5 * 2**attempt)
        if not answer:
            return status, {}
        try:
            return status, dict(json.loads(answer))
        except ValueError:
            raise DemoImpossible(
                f"{self.url} does not answer like the metering API (status {status})."
            ) from None

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self.gateway_key}", "Content-Type": "application/json"}
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise DemoImpossible(
                f"{self.url} does not answer ({error}). Start it with `make run`, and run this in a second terminal."
            ) from error


def _fill_up(wallet: Wallet) -> None:
    """Credit for another run where little is left; the count in the reference keeps two runs from giving it twice."""
    with transaction.atomic():
        funds = ledger.lock([wallet.pk])[wallet.pk]
        given = Transfer.objects.filter(wallet=wallet, reference__startswith=f"demo:{wallet.pk}:").count()
        if funds.balance_nanousd > CREDIT_NANOUSD * 3 // 5:
            return
        ledger.post(
            code=Code.GRANT,
            reference=f"demo:{wallet.pk}:{given + 1}",
            debit=ledger.house("promotions"),
            credit=ledger.promotional(wallet),
            amount_nanousd=CREDIT_NANOUSD,
            details={"reason": "To look around with"},
        )


def _account() -> tuple[Wallet, dict[str, int], keys.IssuedKey]:
    """The wallet, the ids of its three keys by name, and a fresh key for the live calls."""
    user = _person()
    grants.give_starter_credit(user)
    wallet = wallet_of(user)
    _fill_up(wallet)
    good = ApiKey.objects.filter(wallet=wallet, revoked_at=None)
    for outdated in good.filter(name=LIVE_KEY):
        # Its text was never kept, so it can't be used again.
        keys.revoke(outdated)
    known = dict(good.filter(name__in=demo_traffic.KEYS).order_by("-pk").values_list("name", "pk"))
    try:
        for name in demo_traffic.KEYS:
            known.setdefault(name, 0)
            known[name] = known[name] or keys.issue(wallet, name).key.pk
        return wallet, known, keys.issue(wallet, LIVE_KEY)
    except keys.KeyLimitReached as error:
        raise DemoImpossible(f"The demo account can have no more keys. {error}") from error


def _person() -> User:
    """The demo person, who can sign in with the printed password whatever became of it before."""
    user = User.objects.filter(email=EMAIL).first() or User.objects.create_user(EMAIL, PASSWORD)
    if user.is_staff:
        raise DemoImpossible(f"{EMAIL} is a member of staff here; the demo won't change that password.")
    if not (user.is_active and user.check_password(PASSWORD)):
        user.is_active = True
        user.set_password(PASSWORD)
        user.save(update_fields=["is_active", "password"])
    EmailAddress.objects.update_or_create(
        user=user, email=EMAIL, defaults={"verified": True, "primary": True}
    )
    return user


def _history(calls: int, seed: int | None, key_ids: dict[str, int]) -> list[dict[str, Any]]:
    rng = random.Random(seed)  # noqa: S311 (traffic, no secret)
    now = timezone.now()
    planned = demo_traffic.plan(catalogue.sellable(at=now - demo_traffic.SPAN))
    if not planned:
        raise DemoImpossible("None of the demo's models is for sale. Run `manage.py import_prices` first.")
    return [
        demo_traffic.report(rng, planned, key_ids, moment) for moment in demo_traffic.moments(rng, calls, now)
    ]


def _send(site: Site, reports: Sequence[dict[str, Any]], outcome: Outcome, progress: Progress) -> None:
    for start in range(0, len(reports), BATCH):
        batch = reports[start : start + BATCH]
        outcome.add(_record(site, batch))
        progress(start + len(batch), len(reports))


def _record(site: Site, batch: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    status, answer = site.post("calls", {"calls": list(batch)})
    if status != 200:
        raise DemoImpossible(f"The metering API refused the calls: {_error(status, answer)}")
    results: list[dict[str, Any]] = answer["results"]
    return results


def _live_calls(site: Site, live: keys.IssuedKey, rng: random.Random, outcome: Outcome) -> None:
    """Calls of this minute: asked for first, then reported; some are still under way, some never happened."""
    planned = demo_traffic.plan(catalogue.sellable())
    key_ids = dict.fromkeys(demo_traffic.KEYS, live.key.pk)
    for number in range(1, LIVE_CALLS + 1):
        report = demo_traffic.report(rng, planned, key_ids, timezone.now())
        status, answer = site.post("authorize", {"key": live.text, "model": report["model"]})
        if status == 402:
            # More was spent than was given: what a person would see too.
            outcome.refused["insufficient_balance"] += LIVE_CALLS - number + 1
            return
        if status != 200:
            raise DemoImpossible(f"The metering API did not let a call in: {_error(status, answer)}")
        if number % RELEASED_EVERY == 0:
            site.post("release", {"call_id": answer["call_id"]})
        elif number % UNREPORTED_EVERY == 0:
            outcome.held += 1
        else:
            outcome.add(_record(site, [{**report, "call_id": answer["call_id"]}]))


def _error(status: int, answer: dict[str, Any]) -> str:
    error = answer.get("error", {})
    return f"{status} {error.get('code', '')} {error.get('message', '')}".strip()
