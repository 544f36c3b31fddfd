"""The part of the page to pay on where the shopper says where they live, types a code, and picks a currency."""

from . import presentment, terms
from .coupons import COUPONS
from .returning import dollars
from .store import Json, Record
from .templating import Markup, fill, joined


def amounts(session: Json) -> Markup:
    """Lines below the items, where the total is another than their sum."""
    details = session["total_details"]
    lines = []
    if session["discounts"]:
        coupon = COUPONS[session["discounts"][0]["coupon"]]
        lines.append((f"{coupon.code}, {coupon.name}", f"-{dollars(details['amount_discount'])}"))
    if session["automatic_tax"]["enabled"]:
        known = session["automatic_tax"]["status"] == "complete"
        lines.append(("Tax", dollars(details["amount_tax"]) if known else "Where do you live?"))
    if lines:
        lines.append(("Total", dollars(session["amount_total"])))
    return joined([fill("document_line.html", left=left, right=right) for left, right in lines])


def presented(record: Record) -> Markup:
    """The total in the currency that was picked."""
    code = record.private["choices"]["currency"]
    if code in (None, "usd"):
        return Markup()
    currency = presentment.CURRENCIES[code]
    written = currency.written(currency.from_cents(record.body["amount_total"]))
    return fill("presented.html", written=written, currency=code.upper())


def forms(record: Record) -> Markup:
    """What there is to choose in this session; each choice is a form of its own."""
    session, choices = record.body, record.private["choices"]
    found = []
    if session["automatic_tax"]["enabled"]:
        named = {code: _percent(code, name) for code, name in terms.COUNTRIES.items()}
        found.append(_select("country", "Country", named, choices["country"]))
    if session["allow_promotion_codes"]:
        found.append(fill("code.html", value=choices["coupon"] or "", known=", ".join(COUPONS)))
    if session["adaptive_pricing"]["enabled"]:
        named = {code: code.upper() for code in presentment.CURRENCIES}
        found.append(_select("currency", "Pay in", named, choices["currency"] or "usd"))
    return joined(found)


def _percent(code: str, name: str) -> str:
    rate = terms.TAX_RATES[code]
    return f"{name}, tax {rate / 10:g} %" if rate else f"{name}, no tax"


def _select(name: str, label: str, named: dict[str, str], chosen: str | None) -> Markup:
    options = joined(
        [
            fill("selected.html" if code == chosen else "plain_option.html", value=code, text=text)
            for code, text in named.items()
        ]
    )
    return fill("select.html", name=name, label=label, options=options)
