"""What people, banks and staff do with their payments: one story after the other, all of it by a seed."""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import stripe

from tests.stripe_sandbox.process import Sandbox
from wallet import auto_topups, events, refunds, topups
from wallet.models import Dispute, Refund, SavedCard, TopUp, Wallet
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups.customers import customer_of

# How people pay, and how often; each that bears money may be followed by what happens later.
WAYS = {
    "card": 50, "declined_first": 8, "bank": 10, "bank_fails": 4, "abandoned": 6, "closed": 3, "refund_pends": 6,
    "refund_fails_later": 5, "disputed": 4, "disputed_early": 2, "inquired": 2,
}  # fmt: skip
LATER = {
    "nothing": 50, "refund": 22, "refund_in_dashboard": 10, "dispute": 6, "dispute_won": 4, "dispute_lost": 3,
    "debit_returned": 3, "payout": 1, "stripe_fee": 1,
}  # fmt: skip
CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_chargeCustomerFail")
WISH = auto_topups.Wish(below_cents=2_000_00, add_cents=50_00, monthly_cents=100_000_00)
PEOPLE_TRIES = 8


class Shoppers:
    """Deals with the stand-in and with the wallet's own functions, as a page or a job would. `done` counts the stories."""

    def __init__(self, sandbox: Sandbox, wallets: list[Wallet], seed: str) -> None:
        self.sandbox = sandbox
        self.wallets = wallets
        self.done: Counter[str] = Counter()
        self._dice = random.Random(seed)
        self._paid: list[str] = []

    def save_cards(self) -> None:
        """Every third wallet charges a card by itself while it holds less than $2,000; some of the cards decline."""
        v1 = self.sandbox.client().v1
        for wallet in self.wallets[::3]:
            name = self._dice.choice(CARDS)
            card = v1.payment_methods.attach(name, {"customer": customer_of(wallet)})
            SavedCard.objects.create(wallet=wallet, payment_method_id=card.id)
            auto_topups.switch_on(wallet, WISH)

    def buy(self) -> None:
        """One payment from the click on, whatever becomes of it; then something that concerns an earlier one."""
        way, later = self._one_of(WAYS), self._one_of(LATER)
        wallet, cents = self._dice.choice(self.wallets), self._dice.randint(100, 20_000)
        top_up = self._start(wallet, cents)
        if top_up is not None:
            self.done[way] += 1
            self._pay(top_up, way)
        # Jobs come now and then, so that events wait, and come after what follows from them.
        if self._dice.random() < 0.2:
            events.handle_due(limit=50)
        if self._dice.random() < 0.1:
            self.done["automatic"] += auto_topups.charge_due()
        if later != "nothing":
            self._later(later)

    def _one_of(self, weights: dict[str, int]) -> str:
        return self._dice.choices(list(weights), list(weights.values()))[0]

    def _start(self, wallet: Wallet, cents: int) -> TopUp | None:
        """A person tries again where Stripe did not answer, by the same form."""
        form = f"{self._dice.random()}"
        for _ in range(PEOPLE_TRIES):
            try:
                return topups.start(wallet, cents, form).top_up
            except StripeUnavailable:
                continue
        # Stripe keeps an error of its own for the key: given up, and the row is looked after by the job.
        self.done["no page"] += 1
        return None

    def _pay(self, top_up: TopUp, way: str) -> None:
        address = f"sessions/{top_up.session_id}"
        if way == "abandoned":
            return
        if way == "closed":
            # Where Stripe fails just then, the page is abandoned.
            with suppress(stripe.StripeError):
                self.sandbox.client().v1.checkout.sessions.expire(str(top_up.session_id))
            return
        if way == "declined_first":
            self.sandbox.command(f"{address}/pay", method="declined")
            way = "card"
        self.sandbox.command(f"{address}/pay", method=way)
        self._paid.append(str(top_up.session_id))
        if way.startswith("bank") and self._dice.random() < 0.7:
            self.sandbox.command(f"{address}/settle")
        elif self._dice.random() < 0.3:
            _patiently(lambda: topups.settle(top_up.pk))  # the person comes back to the wallet's page

    def _later(self, what: str) -> None:
        steps: dict[str, Callable[[], Any]] = {
            "refund": self._refund,
            "refund_in_dashboard": lambda: self._of_a_charge("refund", amount=self._dice.randint(1, 300)),
            "dispute": lambda: self._of_a_charge("dispute"),
            "dispute_won": lambda: self._end_dispute("win"),
            "dispute_lost": lambda: self._end_dispute("lose"),
            "debit_returned": lambda: self._of_a_charge("return"),
            "payout": lambda: self._try("payouts", amount=self._dice.randint(1, 500)),
            "stripe_fee": lambda: self._try("balance_transactions", amount=-self._dice.randint(1, 500)),
        }
        if steps[what]():
            self.done[what] += 1

    def _refund(self) -> bool:
        """Somebody asks for some of the rest, on the wallet's page."""
        wallet = self._dice.choice(self.wallets)
        share = self._dice.random()
        most = refunds.overview(wallet).cents
        if most < 1:
            return False
        refunds.start(wallet, max(1, int(most * share)))
        _patiently(refund_asking.settle_unfinished)
        return True

    def _of_a_charge(self, step: str, **more: Any) -> bool:
        """In Stripe's dashboard, or by a bank: whether or not the wallet has heard of the payment yet."""
        return bool(self._paid) and self._try(f"charges/{self._dice.choice(self._paid)}/{step}", **more)

    def _end_dispute(self, step: str) -> bool:
        known = list(Dispute.objects.order_by("pk").values_list("pk", flat=True))
        return bool(known) and self._try(f"disputes/{self._dice.choice(known)}/{step}")

    def _try(self, path: str, **fields: Any) -> bool:
        """What the stand-in refuses, as a refund of what is gone already, is a story that did not happen."""
        return self.sandbox.request("POST", f"/_sandbox/{path}", fields).status == 200


def _patiently(act: Callable[[], Any]) -> None:
    try:
        act()
    except (StripeUnavailable, StripeRefused):
        return


def unfinished() -> dict[str, int]:
    """What is still under way here."""
    return {
        "top-ups": TopUp.objects.filter(state__in=TopUp.UNFINISHED).count(),
        "refunds": Refund.objects.filter(state__in=Refund.UNFINISHED).count(),
    }
