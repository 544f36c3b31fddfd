"""What people, banks and staff do to payments that were made: refunds, disputes, returns, payouts; all of it by a seed."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.stripe_sandbox.process import Sandbox
from wallet import refunds
from wallet.models import Dispute, Refund, TopUp, Wallet
from wallet.refunds import asking as refund_asking
from wallet.stripe_api import StripeRefused, StripeUnavailable

STORIES = {
    "nothing": 36, "refund": 20, "refund of all": 3, "refund in dashboard": 8, "refund in dashboard of all": 3,
    "refund fails": 4, "refund canceled": 2, "refunds change": 3, "dispute": 5, "partial dispute": 4, "inquiry": 3,
    "inquiry escalates": 2, "inquiry ends": 1, "funds later": 2, "dispute won": 4, "dispute won, funds later": 2,
    "dispute lost": 4, "part reinstated": 3, "debit returned": 3, "charge processed": 1, "payout": 1, "payout fails": 1,
    "stripe fee": 1,
}  # fmt: skip
OUTCOMES = ("succeeds", "fails_later", "pends", "pends_then_fails", "waits", "lacks_funds", "needs_action")


def one_of(weights: dict[str, int], dice: random.Random) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]


class Afterwards:
    """`paid` has the sessions that somebody paid, or tried to."""

    def __init__(self, sandbox: Sandbox, wallets: list[Wallet], dice: random.Random) -> None:
        self.paid: list[str] = []
        self._sandbox = sandbox
        self._wallets = wallets
        self._dice = dice
        self._payouts: list[str] = []
        self._steps: dict[str, Callable[[], bool]] = {
            "nothing": lambda: True,
            "refund": lambda: self._refund(self._dice.random()),
            "refund of all": lambda: self._refund(1.0),
            "refund in dashboard": lambda: self._charge("refund", amount=self._dice.randint(1, 300)),
            "refund in dashboard of all": lambda: self._charge("refund"),
            "refund fails": lambda: self._move_refund("fail"),
            "refund canceled": lambda: self._move_refund("cancel"),
            "refunds change": lambda: self._charge("refund_outcome", outcome=self._dice.choice(OUTCOMES)),
            "dispute": lambda: self._charge("dispute", funds=self._dice.choice(("before", "after"))),
            "partial dispute": lambda: self._charge("dispute", amount=self._dice.randint(1, 150)),
            "inquiry": lambda: self._charge("dispute", inquiry="true"),
            "inquiry escalates": lambda: self._move_dispute("escalate"),
            "inquiry ends": lambda: self._move_dispute("close"),
            "funds later": lambda: self._charge("dispute", funds="later") and self._move_dispute("withdraw"),
            "dispute won": lambda: self._move_dispute("win"),
            "dispute won, funds later": lambda: self._move_dispute("win", funds="later"),
            "dispute lost": lambda: self._move_dispute("lose"),
            "part reinstated": lambda: self._move_dispute("reinstate", amount=self._dice.randint(1, 500)),
            "debit returned": lambda: self._charge("return"),
            "charge processed": self._process,
            "payout": self._pay_out,
            "payout fails": lambda: bool(self._payouts) and self._try(f"payouts/{self._payouts.pop()}/fail"),
            "stripe fee": lambda: self._try("balance_transactions", amount=-self._dice.randint(1, 500)),
        }

    def happen(self) -> str:
        """One of the stories; its name, or that it could not be."""
        story = one_of(STORIES, self._dice)
        return story if self._steps[story]() else "not possible"

    def _refund(self, share: float) -> bool:
        """Somebody asks for some of the rest, on the wallet's page."""
        wallet = self._dice.choice(self._wallets)
        most = refunds.overview(wallet).cents
        if most < 1:
            return False
        refunds.start(wallet, max(1, int(most * share)))
        with suppress(StripeUnavailable, StripeRefused):
            refund_asking.settle_unfinished()
        return True

    def _charge(self, step: str, **more: Any) -> bool:
        """In Stripe's dashboard, or by a bank: whether or not the wallet has heard of the payment yet."""
        return bool(self.paid) and self._try(f"charges/{self._dice.choice(self.paid)}/{step}", **more)

    def _move_refund(self, step: str) -> bool:
        """Any that Stripe has, long after it succeeded too."""
        known = list(
            Refund.objects.exclude(refund_id=None).order_by("pk").values_list("refund_id", flat=True)
        )
        return bool(known) and self._try(f"refunds/{self._dice.choice(known)}/{step}")

    def _move_dispute(self, step: str, **more: Any) -> bool:
        known = list(Dispute.objects.order_by("pk").values_list("pk", flat=True))
        return bool(known) and self._try(f"disputes/{self._dice.choice(known)}/{step}", **more)

    def _process(self) -> bool:
        """A saved card that was charged and is in processing comes to its end."""
        waiting = TopUp.objects.filter(is_automatic=True, state=TopUp.State.PENDING).order_by("pk")
        known = [key for key in waiting.values_list("payment_intent_id", flat=True) if key]
        return bool(known) and self._try(f"payment_intents/{self._dice.choice(known)}/settle")

    def _pay_out(self) -> bool:
        reply = self._sandbox.request("POST", "/_sandbox/payouts", {"amount": self._dice.randint(1, 500)})
        if reply.status == 200:
            self._payouts.append(reply.json["payout"]["id"])
        return reply.status == 200

    def _try(self, path: str, **fields: Any) -> bool:
        """What the stand-in refuses, as a refund of what is gone already, is a story that did not happen."""
        reply = self._sandbox.request("POST", f"/_sandbox/{path}", fields)
        assert reply.status in (200, 400, 404), reply.body
        return reply.status == 200
