"""The ways to pay that the stand-in offers, each with the one thing that always comes of it."""

from dataclasses import dataclass

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
            "brand": "visa",
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass",
            },
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": None,
            "funding": "credit",
            "installments": None,
            "last4": "0002" if self.failure_code else "4242",
            "mandate": None,
            "network": "visa",
            "three_d_secure": None,
            "wallet": None,
        }
        return {"type": self.type, self.type: card}


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
    )
}
TYPES = ("card", "us_bank_account")
