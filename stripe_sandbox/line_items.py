"""What a checkout session sells: its line items, each with the price and product made for it."""

from typing import Any

from .context import Context
from .errors import ApiError, invalid, no_such, unsupported
from .ids import new_id
from .metadata import merged
from .params import Address, Boolean, Integer, Many, Metadata, Nested, Params, Text, Unsupported
from .store import Json

# What the account settles in. Others need exchange rates, which the stand-in has not.
CURRENCY = "usd"
LEAST_CENTS = 50
MOST_CENTS = 99_999_999

PRICE_DATA = Nested(
    {
        "currency": Text(required=True),
        "product": Text(),
        "product_data": Nested(
            {
                "description": Text(longest=40_000),
                "images": Many(Address(), most=8),
                "metadata": Metadata(),
                "name": Text(required=True),
                "tax_code": Text(),
                "unit_label": Text(longest=12),
            }
        ),
        "recurring": Unsupported(),
        "tax_behavior": Text(choices=("exclusive", "inclusive", "unspecified")),
        "unit_amount": Integer(least=0, most=MOST_CENTS),
        "unit_amount_decimal": Unsupported(),
    }
)
FIELD = Many(
    Nested(
        {
            "adjustable_quantity": Nested(
                {
                    "enabled": Boolean(required=True, only=False),
                    "maximum": Unsupported(),
                    "minimum": Unsupported(),
                }
            ),
            "dynamic_tax_rates": Unsupported(),
            "metadata": Metadata(),
            "price": Text(),
            "price_data": PRICE_DATA,
            "quantity": Integer(least=1, most=999_999),
            "tax_rates": Unsupported(),
        }
    )
)


def build(ctx: Context, given: list[Params]) -> list[Json]:
    """The items as the API shows them; ApiError for what is missing, too small or in another currency."""
    if not given:
        raise invalid(
            "You must specify at least one line item.", param="line_items", code="parameter_missing"
        )
    items = [_item(ctx, params, f"line_items[{index}]") for index, params in enumerate(given)]
    total = sum(item["amount_total"] for item in items)
    if total < LEAST_CENTS:
        raise _out_of_range("too_small", f"at least ${LEAST_CENTS / 100:.2f}")
    if total > MOST_CENTS:
        raise _out_of_range("too_large", f"no more than ${MOST_CENTS // 100:,}.{MOST_CENTS % 100}")
    return items


def _out_of_range(which: str, bound: str) -> ApiError:
    message = f"The Checkout Session's total amount due must add up to {bound} {CURRENCY}."
    return invalid(message, param="line_items", code=f"amount_{which}")


def _item(ctx: Context, params: Params, name: str) -> Json:
    if "price" in params:
        raise no_such("price", params["price"], param=f"{name}[price]", status=400)
    if "price_data" not in params:
        raise _missing(f"{name}[price_data]")
    if "quantity" not in params:
        raise _missing(f"{name}[quantity]")
    price = _price(ctx, params["price_data"], f"{name}[price_data]")
    amount = price["unit_amount"] * params["quantity"]
    return {
        "id": new_id("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": params["price_data"]["product_data"]["name"],
        "metadata": merged({}, params.get("metadata", {})),
        "price": price,
        "quantity": params["quantity"],
    }


def _price(ctx: Context, data: Params, name: str) -> Json:
    currency = data["currency"].lower()
    if currency != CURRENCY:
        if len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
            raise invalid(f"Invalid currency: {currency[:80]}", param=f"{name}[currency]")
        raise unsupported(
            f"prices in {currency}: its account settles in {CURRENCY}", param=f"{name}[currency]"
        )
    if "product" in data:
        raise no_such("product", data["product"], param=f"{name}[product]", status=400)
    if "product_data" not in data:
        raise _missing(f"{name}[product_data]")
    if "unit_amount" not in data:
        raise _missing(f"{name}[unit_amount]")
    nothing = "custom_unit_amount lookup_key nickname recurring tiers_mode transform_quantity"
    fields: dict[str, Any] = dict.fromkeys(nothing.split())
    return fields | {
        "id": new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": ctx.now,
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "product": new_id("product"),
        "tax_behavior": data.get("tax_behavior", "unspecified"),
        "type": "one_time",
        "unit_amount": data["unit_amount"],
        "unit_amount_decimal": str(data["unit_amount"]),
    }


def _missing(name: str) -> ApiError:
    return invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
