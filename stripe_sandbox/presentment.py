"""What a shopper sees in their own currency, at rates that never move; the account is paid in dollars."""

from dataclasses import dataclass

from .errors import invalid
from .store import Json


@dataclass(frozen=True)
class Currency:
    """`per_100_dollars` counts units of the currency; `decimals` says how many of its minor units make one."""

    code: str
    sign: str
    per_100_dollars: int
    decimals: int = 2

    def from_cents(self, cents: int) -> int:
        """Minor units for an amount in US cents, halves rounded up."""
        scale = 100 if self.decimals else 1
        return (cents * self.per_100_dollars * scale + 5_000) // 10_000

    def written(self, minor_units: int) -> str:
        if not self.decimals:
            return f"{self.sign}{minor_units:,}"
        return f"{self.sign}{minor_units // 100:,}.{minor_units % 100:02d}"


CURRENCIES = {
    one.code: one
    for one in (
        Currency("usd", "$", 100),
        Currency("eur", "\u20ac", 92),
        Currency("gbp", "\u00a3", 79),
        Currency("jpy", "\u00a5", 15_000, decimals=0),
    )
}


def by_code(code: str) -> Currency:
    if code.lower() not in CURRENCIES:
        raise invalid(f"The sandbox presents amounts in {', '.join(CURRENCIES)} only.", param="currency")
    return CURRENCIES[code.lower()]


def details(cents: int, code: str | None) -> Json:
    """`presentment_details` as a property to add; nothing where the shopper pays in dollars."""
    if code in (None, "usd"):
        return {}
    amount = CURRENCIES[str(code)].from_cents(cents)
    return {"presentment_details": {"presentment_amount": amount, "presentment_currency": code}}


def written(body: Json) -> str:
    """What the shopper paid, or "" where that was dollars."""
    shown = body.get("presentment_details")
    if not shown:
        return ""
    return CURRENCIES[shown["presentment_currency"]].written(shown["presentment_amount"])
