"""What people do with their payments: one story after the other, all of it by a seed."""

import random
from collections import Counter
from contextlib import suppress

import stripe

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.simulation.afterwards import Afterwards, one_of
from wallet import auto_topups, events, topups
from wallet.models import AutoTopUp, SavedCard, TopUp, Wallet
from wallet.stripe_api import StripeRefused, StripeUnavailable
from wallet.topups.customers import customer_of

# How people pay, and how often; each that bears money may be followed by what happens later.
WAYS = {
    "card": 50, "declined_first": 8, "bank": 10, "bank_fails": 4, "abandoned": 6, "closed": 3, "refund_pends": 6,
    "refund_fails_later": 5, "refund_waits": 2, "refund_needs_action": 2, "disputed": 4, "disputed_early": 2,
    "disputed_twice": 2, "inquired": 2,
}  # fmt: skip
# What they choose on the page: where they live, which decides the tax, a code, and a currency of their own.
COUNTRIES = {"": 40, "US": 20, "DE": 15, "FR": 5, "GB": 5, "CH": 10, "JP": 5}
CODES = {"": 76, "SAVE25": 12, "DOLLAR1": 8, "FREE100": 4}
CURRENCIES = {"": 76, "eur": 10, "gbp": 7, "jpy": 7}
FREE = "FREE100"
# Codes leave less of a smaller amount than Stripe takes.
LEAST_CENTS = 150

CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired")
# What a saved card does from some day on.
MOODS = {
    "succeeds": 40, "declined": 10, "insufficient_funds": 10, "expired": 5, "authentication": 15, "processing": 10,
    "processing_fails": 10,
}  # fmt: skip
WISH = auto_topups.Wish(below_cents=2_000_00, add_cents=50_00, monthly_cents=100_000_00)
PEOPLE_TRIES = 8


class Shoppers:
    """Deals with the stand-in and with the wallet's own functions, as a page or a job would. `done` counts the stories."""

    def __init__(self, sandbox: Sandbox, wallets: list[Wallet], seed: str) -> None:
        self.sandbox = sandbox
        self.wallets = wallets
        self.done: Counter[str] = Counter()
        self._dice = random.Random(seed)
        self._afterwards = Afterwards(sandbox, wallets, self._dice)

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
        way = one_of(WAYS, self._dice)
        wallet, cents = self._dice.choice(self.wallets), self._dice.randint(LEAST_CENTS, 20_000)
        top_up = self._start(wallet, cents)
        if top_up is not None:
            self.done[way] += 1
            self._pay(top_up, way)
        # Jobs come now and then, so that events wait, and come after what follows from them.
        if self._dice.random() < 0.2:
            events.handle_due(limit=50)
        if self._dice.random() < 0.1:
            self._change_a_card()
            self.done["automatic"] += auto_topups.charge_due()
        self.done[self._afterwards.happen()] += 1

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
        choices = self._choices()
        if way == "declined_first":
            # Nothing declines what costs nothing.
            if choices.get("coupon") == FREE:
                del choices["coupon"]
            self.sandbox.command(f"{address}/pay", method="declined", **choices)
            # Who comes back may have thought better of it.
            choices = self._choices() if self._dice.random() < 0.3 else {}
            way = "card"
        self.sandbox.command(f"{address}/pay", method=way, **choices)
        self._afterwards.paid.append(str(top_up.session_id))
        if way.startswith("bank") and choices.get("coupon") != FREE and self._dice.random() < 0.7:
            self.sandbox.command(f"{address}/settle")
        elif self._dice.random() < 0.3:
            # The person comes back to the wallet's page, which does without Stripe's answer.
            with suppress(StripeUnavailable, StripeRefused):
                topups.settle(top_up.pk)

    def _choices(self) -> dict[str, str]:
        drawn = {
            "country": one_of(COUNTRIES, self._dice),
            "coupon": one_of(CODES, self._dice),
            "currency": one_of(CURRENCIES, self._dice),
        }
        for name, value in drawn.items():
            if value:
                self.done[name] += 1
        return {name: value for name, value in drawn.items() if value}

    def _change_a_card(self) -> None:
        """A bank thinks otherwise of a card from now on; and who was told that it stopped switches it on again."""
        saved = list(SavedCard.objects.order_by("pk"))
        if not saved:
            return
        card, mood = self._dice.choice(saved), one_of(MOODS, self._dice)
        self.sandbox.command(f"payment_methods/{card.payment_method_id}/behave", outcome=mood)
        self.done[f"card {mood}"] += 1
        if AutoTopUp.objects.filter(wallet=card.wallet_id).exists():
            auto_topups.switch_on(card.wallet, WISH)
