"""A customer of the running site: signs up, pays, makes keys, and reads the log; by the pages, as a person does."""

import json
import re
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.shoppers import PASSWORD, Browser
from tests.stack import Stack

# A call is in the log within this time of its answer.
SEEN_WITHIN_S = 2.0
PICO_PER_NANO = 1_000


class _Reader(Browser):
    """Reads pages as data too."""

    def data(self, path: str) -> Any:
        """The JSON of a page; None where it is not there."""
        request = urllib.request.Request(  # noqa: S310 - our own http
            self.base_url + path, headers={"Accept": "application/json"}
        )
        status, body = self._open(request)
        return json.loads(body) if status == 200 else None


@dataclass
class Customer:
    """Signed up when made, with the starter credit of $0.10."""

    stack: Stack
    email: str = field(default_factory=lambda: f"customer-{uuid.uuid4().hex[:12]}@example.com")

    def __post_init__(self) -> None:
        self._browser = _Reader(self.stack.base_url)
        signup = "/accounts/signup/"
        told = self._browser.post(signup, signup, email=self.email, password1=PASSWORD)
        assert told == (302, "/wallet/"), told

    def key(self, **rules: str) -> str:
        """A new key; `rules` are fields of the form, such as models."""
        status, page = self._browser.post("/tokens/", "/tokens/", name="laptop", **rules)
        found = re.search(r'id="new-key"[^>]*>\s*(sk-\w+)', page)
        assert found, (status, page)
        return found[1]

    @property
    def balance_nanousd(self) -> int:
        _, page = self._browser.get("/wallet/")
        found = re.search(r'id="balance"[^>]*data-nanousd="(-?\d+)"', page)
        assert found, page
        return int(found[1])

    def top_up(self, dollars: int) -> None:
        """Paid at the stand-in; returns when it is in the balance."""
        before = self.balance_nanousd
        status, where = self._browser.post("/wallet/", "/wallet/top-ups/", amount=str(dollars))
        assert status == 303, where
        session = where.rstrip("/").rsplit("/", 1)[-1]
        request = urllib.request.Request(  # noqa: S310 - our own http
            f"{self.stack.env['STRIPE_API_BASE']}/_sandbox/sessions/{session}/pay",
            b"method=card",
            {"Authorization": f"Bearer {self.stack.env['STRIPE_SECRET_KEY']}"},
        )
        urllib.request.urlopen(request, timeout=20).close()  # noqa: S310
        self.stack.wait_for(lambda: self.balance_nanousd == before + dollars * 10**9, 60)

    def receipt(self, call_id: str, *, within_s: float = SEEN_WITHIN_S) -> "Receipt":
        """Of a call, as soon as its page is there."""
        give_up_at = time.monotonic() + within_s
        while True:
            if told := self._browser.data(f"/logs/{call_id}/"):
                return Receipt(told)
            assert time.monotonic() < give_up_at, f"call {call_id} is not in the log after {within_s} s"
            time.sleep(0.05)

    def log(self) -> str:
        """The page of the log."""
        status, page = self._browser.get("/logs/")
        assert status == 200
        return page

    def newest_call_after(self, before: str, *, within_s: float = 20.0) -> str:
        """The id of a call that was not the newest one before, as soon as it is in the log."""
        give_up_at = time.monotonic() + within_s
        while (found := self.newest_call()) == before:
            assert time.monotonic() < give_up_at, f"no further call is in the log after {within_s} s"
            time.sleep(0.1)
        return found

    def newest_call(self) -> str:
        """Its id; empty where there is none."""
        found = re.search(r'data-call-id="([^"]+)"', self.log())
        return found[1] if found else ""


@dataclass(frozen=True)
class Receipt:
    """A call's receipt as data."""

    told: dict[str, Any]

    @property
    def usage(self) -> dict[str, int]:
        return {line["unit"]: line["quantity"] for line in self.told["lines"]}

    @property
    def charged_nanousd(self) -> int:
        return int(self.told["charged_nanousd"])


def rated_nanousd(price: dict[str, Any], usage: dict[str, int]) -> int:
    """What a usage costs by the public price list, rounded once, half to even. Units without a price are an error."""
    (tier,) = price["tiers"]
    picousd = sum(count * tier["prices"][unit]["price_picousd_per_unit"] for unit, count in usage.items())
    whole, rest = divmod(picousd * price["multiplier_bp"], 10_000 * PICO_PER_NANO)
    half = 10_000 * PICO_PER_NANO // 2
    return int(whole + (rest > half or (rest == half and whole % 2)))
