"""Test cards, named as Stripe's `pm_card_…` ids name them, and what the bank says when one is charged."""

from dataclasses import dataclass

from .errors import ApiError
from .methods import Method
from .store import Json


@dataclass(frozen=True)
class Card:
    """`outcome` is what comes of charging it when the person is not there.

    `refusal` is the outcome that a try to save it has; `authenticates` says that the bank asks the person
    before it is saved.
    """

    name: str
    test_id: str
    last4: str
    brand: str = "visa"
    outcome: str = "succeeds"
    refusal: str | None = None
    authenticates: bool = False

    def shown(self) -> Json:
        """`card` of a payment method."""
        return {
            "brand": self.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": self.brand.replace("amex", "american_express"),
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": f"sandbox{self.last4}{self.brand[:5]}",
            "funding": "credit",
            "generated_from": None,
            "last4": self.last4,
            "networks": {"available": [self.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }


def _declined(code: str, decline_code: str, message: str) -> Method:
    return Method("saved", "card", failure_code=code, failure_message=message, decline_code=decline_code)


# What a saved card does when it is charged.
OUTCOMES = {
    "succeeds": Method("saved", "card"),
    "declined": _declined("card_declined", "generic_decline", "Your card was declined."),
    "insufficient_funds": _declined(
        "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "lost": _declined("card_declined", "lost_card", "Your card was declined."),
    "expired": _declined("expired_card", "expired_card", "Your card has expired."),
    "authentication": _declined(
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
    "disputed": Method("saved", "card", dispute="dispute"),
    "disputed_twice": Method("saved", "card", dispute="twice"),
    "inquired": Method("saved", "card", dispute="inquiry"),
    "refund_pends": Method("saved", "card", refund="pends"),
    "refund_fails_later": Method("saved", "card", refund="fails_later"),
    "processing": Method("saved", "card", settles_later=True),
    "processing_fails": Method(
        "saved",
        "card",
        settles_later=True,
        failure_code="card_declined",
        failure_message="Your card was declined.",
        decline_code="generic_decline",
    ),
}

CARDS = {
    card.name: card
    for card in (
        Card("visa", "pm_card_visa", "4242"),
        Card("mastercard", "pm_card_mastercard", "4444", brand="mastercard"),
        Card("amex", "pm_card_amex", "8431", brand="amex"),
        Card("declines_later", "pm_card_chargeCustomerFail", "0341", outcome="declined"),
        # Asks when it is saved and again whenever it is charged.
        Card(
            "authenticates",
            "pm_card_authenticationRequired",
            "3184",
            outcome="authentication",
            authenticates=True,
        ),
        # Asks when it is saved, and works by itself from then on.
        Card("authenticates_once", "pm_card_authenticationRequiredOnSetup", "3155", authenticates=True),
        Card("declined", "pm_card_chargeDeclined", "0002", outcome="declined", refusal="declined"),
        Card(
            "insufficient_funds",
            "pm_card_chargeDeclinedInsufficientFunds",
            "9995",
            outcome="insufficient_funds",
            refusal="insufficient_funds",
        ),
        Card("expired", "pm_card_chargeDeclinedExpiredCard", "0069", outcome="expired", refusal="expired"),
        # What comes later: of the payment, or of its refund.
        Card("disputed", "pm_card_createDispute", "0259", outcome="disputed"),
        Card("disputed_twice", "pm_card_createMultipleDisputes", "0079", outcome="disputed_twice"),
        Card("inquired", "pm_card_createDisputeInquiry", "1976", outcome="inquired"),
        Card("refund_pends", "pm_card_pendingRefund", "7726", outcome="refund_pends"),
        Card("refund_fails_later", "pm_card_refundFail", "5126", outcome="refund_fails_later"),
        # Stripe has no test card for these three; their ids are the stand-in's own.
        Card("expires_later", "pm_card_sandboxExpiresLater", "1117", outcome="expired"),
        Card("processing", "pm_card_sandboxProcessing", "1125", outcome="processing"),
        Card("processing_fails", "pm_card_sandboxProcessingFails", "1133", outcome="processing_fails"),
    )
}
TEST_IDS = {card.test_id: card for card in CARDS.values()} | {
    f"pm_card_visa_{card.test_id.removeprefix('pm_card_')}": card for card in CARDS.values() if card.refusal
}


def declined(method: Method, details: Json) -> ApiError:
    """A 402 as Stripe words it; `details` are the objects that it carries."""
    extra = {"decline_code": method.decline_code} if method.decline_code else {}
    message = method.failure_message or ""
    return ApiError(402, "card_error", message, code=method.failure_code, kept=True, details=extra | details)
