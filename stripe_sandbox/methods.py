"""The ways to pay that the stand-in offers, each with the one thing that always comes of it."""

from dataclasses import dataclass, replace

from .store import Json


@dataclass(frozen=True)
class Method:
    """`type` is Stripe's name of the kind; a method with a failure never succeeds."""

    name: str
    type: str
    settles_later: bool = False
    failure_code: str | None = None
    failure_message: str | None = None
    decline_code: str | None = None
    last4: str | None = None
    # What becomes of its refunds, one of refunds.OUTCOMES, and of its payments, one of disputes.STORIES.
    refund: str = "succeeds"
    dispute: str | None = None
    # What `card` of a saved payment method says; None for the card that belongs to the name.
    card: Json | None = None

    @property
    def balance_type(self) -> str:
        return "charge" if self.type == "card" else "payment"

    def details(self) -> Json:
        """`payment_method_details` of a charge."""
        if self.type == "us_bank_account":
            account = {
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE SANDBOX BANK",
                "fingerprint": None,
                "last4": "1116" if self.failure_code else "6789",
                "payment_reference": None,
                "routing_number": "110000000",
            }
            return {"type": self.type, self.type: account}
        card = {
            "brand": self.card["brand"] if self.card else "visa",
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass",
            },
            "country": "US",
            "exp_month": self.card["exp_month"] if self.card else 12,
            "exp_year": self.card["exp_year"] if self.card else 2034,
            "fingerprint": None,
            "funding": "credit",
            "installments": None,
            "last4": self.card["last4"]
            if self.card
            else self.last4 or ("0002" if self.failure_code else "4242"),
            "mandate": None,
            "network": self.card["brand"] if self.card else "visa",
            "three_d_secure": None,
            "wallet": None,
        }
        return {"type": self.type, self.type: card}

    def using(self, card: Json) -> "Method":
        """The same outcome for another card: `card` as a payment method shows it."""
        return replace(self, card=card)


METHODS = {
    method.name: method
    for method in (
        Method("card", "card"),
        Method(
            "declined",
            "card",
            failure_code="card_declined",
            failure_message="Your card was declined.",
            decline_code="generic_decline",
        ),
        Method("bank", "us_bank_account", settles_later=True),
        Method(
            "bank_fails",
            "us_bank_account",
            settles_later=True,
            failure_code="account_closed",
            failure_message="The customer's bank account has been closed.",
        ),
        Method("refund_pends", "card", last4="7726", refund="pends"),
        Method("refund_fails_later", "card", last4="5126", refund="fails_later"),
        Method("refund_waits", "card", last4="4242", refund="waits"),
        Method("refund_needs_action", "card", last4="4242", refund="needs_action"),
        Method("disputed", "card", last4="0259", dispute="dispute"),
        Method("disputed_early", "card", last4="0259", dispute="early"),
        Method("disputed_twice", "card", last4="0079", dispute="twice"),
        Method("inquired", "card", last4="1976", dispute="inquiry"),
    )
}
TYPES = ("card", "us_bank_account")
