"""What a session costs in the end: the discount and the tax, which the shopper's choices on the page decide.

Amounts are cents. The subtotal is what the shop asked for and never moves.
"""

from . import coupons, presentment
from .context import Context
from .errors import ApiError, invalid
from .line_items import LEAST_CENTS
from .params import Params
from .store import Json, Record

# Tenths of a percent. Nothing is collected in other countries.
TAX_RATES = {"US": 0, "DE": 190, "FR": 200, "GB": 200, "CH": 81, "JP": 100}
COUNTRIES = {
    "US": "United States",
    "DE": "Germany",
    "FR": "France",
    "GB": "United Kingdom",
    "CH": "Switzerland",
    "JP": "Japan",
}
# What the shopper has not said yet, and what the shop wants done with what they say.
UNDECIDED: Json = {"country": None, "coupon": None, "currency": None, "typed": False, "update": {}}


def begin(ctx: Context, params: Params, items: list[Json]) -> tuple[Json, Json]:
    """Fields of a new session, and the choices as they stand; ApiError for what does not go together."""
    taxed = params.get("automatic_tax", {}).get("enabled", False)
    given = params.get("discounts", [])
    if len(given) > 1:
        raise invalid("You can only pass one discount.", param="discounts")
    if given and params.get("allow_promotion_codes"):
        message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise invalid(message, param="discounts")
    if "customer_update" in params and "customer" not in params:
        raise invalid("`customer_update` can only be used together with `customer`.", param="customer_update")
    coupon = coupons.of_request(given[0], "discounts[0]").code if given else None
    choices = UNDECIDED | {
        "country": _country(ctx, params) if taxed else None,
        "coupon": coupon,
        "update": params.get("customer_update", {}),
    }
    fields: Json = {
        "adaptive_pricing": {"enabled": params.get("adaptive_pricing", {}).get("enabled", True)},
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "automatic_tax": {
            "enabled": taxed,
            "liability": {"type": "self"} if taxed else None,
            "provider": "stripe" if taxed else None,
            "status": None,
        },
    }
    return fields | _amounts(fields["automatic_tax"], items, choices), choices


def _country(ctx: Context, params: Params) -> str | None:
    """Where the customer lives, as far as that is known."""
    if "customer" not in params:
        return None
    address = ctx.get("customer", params["customer"]).body["address"] or {}
    if address.get("country"):
        return str(address["country"])
    if "auto" not in (params.get("customer_update", {}).get(name) for name in ("address", "shipping")):
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid"
            " address to the Customer or set either `customer_update[address]` to 'auto' or"
            " `customer_update[shipping]` to 'auto' to save the address entered in Checkout to the Customer."
        )
        raise invalid(message, code="customer_tax_location_invalid")
    return None


def choose(
    session: Record, *, country: str | None = None, code: str | None = None, currency: str | None = None
) -> None:
    """The shopper's choices; None leaves one as it was, "" takes it back. The caller saves the session.

    ApiError 400 for an unknown one, and for a total that is too small to be paid.
    """
    choices = session.private.get("choices")
    if choices is None:
        raise invalid("Nothing is paid in this session.", param="mode")
    if country:
        if country.upper() not in TAX_RATES:
            raise invalid(f"The sandbox knows these countries: {', '.join(TAX_RATES)}.", param="country")
        choices["country"] = country.upper()
    if code is not None:
        choices |= {"coupon": coupons.by_code(code).code if code else None, "typed": bool(code)}
    if currency is not None:
        if currency and not session.body["adaptive_pricing"]["enabled"]:
            raise invalid("This session is paid in its own currency only.", param="currency")
        choices["currency"] = presentment.by_code(currency).code if currency else None
    session.body |= _amounts(session.body["automatic_tax"], session.private["items"], choices)


def settle_location(session: Record) -> None:
    """Nobody pays without saying where they live, where that decides about the tax."""
    if session.body["automatic_tax"]["status"] == "requires_location_inputs":
        choose(session, country="US")


def _amounts(automatic: Json, items: list[Json], choices: Json) -> Json:
    """The session's amounts; each item's are changed in place."""
    coupon = coupons.COUPONS.get(choices["coupon"] or "")
    _discount(items, coupon)
    rate = TAX_RATES.get(choices["country"] or "US", 0) if automatic["enabled"] else 0
    for item in items:
        _tax(item, rate)

    def total(name: str) -> int:
        return sum(item[name] for item in items)

    if 0 < total("amount_total") < LEAST_CENTS:
        raise _too_small()
    status = "complete" if choices["country"] else "requires_location_inputs"
    return {
        "amount_subtotal": total("amount_subtotal"),
        "amount_total": total("amount_total"),
        "automatic_tax": automatic | {"status": status if automatic["enabled"] else None},
        "discounts": [_shown(coupon, typed=choices["typed"])] if coupon else [],
        "total_details": {
            "amount_discount": total("amount_discount"),
            "amount_shipping": 0,
            "amount_tax": total("amount_tax"),
        },
    }


def _shown(coupon: coupons.Coupon, *, typed: bool) -> Json:
    return {"coupon": coupon.code, "promotion_code": coupon.promotion_code if typed else None}


def _discount(items: list[Json], coupon: coupons.Coupon | None) -> None:
    """Spread over the items by their part of the subtotal, to the cent."""
    subtotal = sum(item["amount_subtotal"] for item in items)
    whole = coupon.discount_cents(subtotal) if coupon else 0
    seen = given = 0
    for item in items:
        seen += item["amount_subtotal"]
        upto = whole * seen // subtotal if subtotal else 0
        item["amount_discount"] = upto - given
        given = upto


def _tax(item: Json, rate: int) -> None:
    """Per item, halves of a cent up. Where the shop says nothing, a price in dollars is without tax."""
    base = item["amount_subtotal"] - item["amount_discount"]
    if item["price"]["tax_behavior"] == "inclusive":
        item["amount_tax"] = (2 * base * rate + 1_000 + rate) // (2 * (1_000 + rate))
        item["amount_total"] = base
    else:
        item["amount_tax"] = (base * rate + 500) // 1_000
        item["amount_total"] = base + item["amount_tax"]


def _too_small() -> ApiError:
    message = f"The Checkout Session's total amount due must add up to at least ${LEAST_CENTS / 100:.2f} usd."
    return invalid(message, param="line_items", code="amount_too_small")
