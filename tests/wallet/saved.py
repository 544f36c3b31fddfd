"""A wallet with a card that was saved on Stripe's page, and with automatic top-ups switched on."""

from typing import Any

from django.db import transaction

from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT
from wallet import auto_topups, cards, ledger
from wallet.auto_topups import Wish
from wallet.models import CardSetup, Code, SavedCard, StripeCustomer, TopUp, Wallet

BELOW_5_ADD_10 = Wish(below_cents=500, add_cents=1000, monthly_cents=3000)


def opened_page(wallet: Wallet) -> CardSetup:
    cards.start(wallet)
    return CardSetup.objects.filter(wallet=wallet).latest("created_at")


def save_card(sandbox: Sandbox, wallet: Wallet, card: str = "visa") -> SavedCard:
    setup = opened_page(wallet)
    sandbox.command(f"sessions/{setup.session_id}/setup", card=card)
    assert cards.settle(setup)
    return SavedCard.objects.get(wallet=wallet)


def switched_on(
    sandbox: Sandbox, wallet: Wallet, card: str = "visa", wish: Wish = BELOW_5_ADD_10
) -> SavedCard:
    saved = save_card(sandbox, wallet, card)
    auto_topups.switch_on(wallet, wish)
    return saved


def spend(wallet: Wallet, cents: int, reference: str) -> None:
    """Bought credit goes, below zero if need be; without calls, so it is no usage."""
    with transaction.atomic():
        ledger.post(
            code=Code.CORRECTION,
            reference=reference,
            debit=ledger.paid(wallet),
            credit=ledger.house("revenue"),
            amount_nanousd=cents * CENT,
        )


def automatic(wallet: Wallet) -> list[TopUp]:
    """Oldest first."""
    return list(TopUp.objects.filter(wallet=wallet, is_automatic=True).order_by("created_at"))


def payments_at_stripe(sandbox: Sandbox, wallet: Wallet) -> list[Any]:
    customer = StripeCustomer.objects.get(wallet=wallet).customer_id
    return list(sandbox.client().v1.payment_intents.list({"customer": customer, "limit": 100}).data)
