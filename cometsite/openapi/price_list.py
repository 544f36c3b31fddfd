"""All prices for machines, as JSON and as CSV."""

from typing import Any

from cometsite.openapi.asking import rows, told
from cometsite.openapi.catalogue import ETAG, OTHERS, operation
from cometsite.openapi.parts import headed, ref
from cometsite.openapi.shapes import by_name, many, or_null, shape, text, whole
from pricing.models import MAX_MULTIPLIER_BP, MAX_PRICE_PICOUSD, Kind
from pricing.price_list import COLUMNS
from pricing.units import UNITS

_PICO = 2_500_000
PRICE = {
    "price_version": 41,
    "effective_from": "2024-10-02T00:00:00Z",
    "multiplier_bp": 11_000,
    "tiers": [
        {
            "above_input_tokens": 0,
            "prices": {
                "input_tokens": {"price_picousd_per_unit": _PICO, "charged_usd_per_unit": "0.00000275"}
            },
        }
    ],
}
PRICED_MODEL = {
    "id": "gpt-4o",
    "name": "GPT-4o",
    "provider": "OpenAI",
    "provider_code": "openai",
    "kind": "text",
    "is_deprecated": False,
    "context_window": 128_000,
    "max_output_tokens": 16_384,
    "endpoints": {"openai": {"path": "/v1/chat/completions", "method": "POST"}},
    "page": "https://example.com/pricing/gpt-4o/",
    "price": PRICE,
    "coming": [],
}


def _list(name: str, description: str, least: int = 0) -> dict[str, Any]:
    return many(ref(name), description, minItems=least, maxItems=10**6)


SCHEMAS: dict[str, Any] = {
    "UnitPrice": shape(
        "What one unit costs.",
        {
            "price_picousd_per_unit": whole(
                "Pico-dollars for one unit, before the multiplier; a million of them are a dollar for a million units.",
                minimum=0,
                maximum=MAX_PRICE_PICOUSD,
            ),
            "charged_usd_per_unit": text(
                "Dollars for one unit with the multiplier, exact: a decimal without an exponent.",
                pattern=r"^[0-9]+(\.[0-9]*[1-9])?$",
            ),
        },
    ),
    "ContextTier": shape(
        "Prices of calls with so much input, for all of their units.",
        {
            "above_input_tokens": whole(
                "For calls with more input tokens than this, up to the next tier's.", minimum=0
            ),
            "prices": {
                **by_name(
                    ref("UnitPrice"), "By unit, complete in every tier; a unit that is missing has no price."
                ),
                "propertyNames": {"enum": list(UNITS)},
                "minProperties": 1,
            },
        },
    ),
    "ListedPrice": shape(
        "A price version. It never changes.",
        {
            "price_version": whole("Its id, which receipts name too.", minimum=1),
            "effective_from": text("In force from then until the next version.", format="date-time"),
            "multiplier_bp": whole(
                "Basis points that a call's sum is multiplied by; 10,000 is times 1.",
                minimum=1,
                maximum=MAX_MULTIPLIER_BP,
            ),
            "tiers": _list(
                "ContextTier", "In the order of `above_input_tokens`; the first one is above 0.", 1
            ),
        },
    ),
    "PricedModel": shape(
        "A model for sale.",
        {
            "id": text("Its full name, for `model`; case counts."),
            "name": text("Its title."),
            "provider": text("Whose it is."),
            "provider_code": text("The same for programs."),
            "kind": text("What it makes.", enum=list(Kind)),
            "is_deprecated": {"type": "boolean", "description": "Whether its provider gives it up."},
            "context_window": or_null(
                whole("Tokens of input and output together, where it is known.", minimum=0)
            ),
            "max_output_tokens": or_null(whole("The longest answer, where it is known.", minimum=0)),
            "endpoints": by_name(
                shape("Where.", {"path": text("Below the host."), "method": text("HTTP's.")}),
                "Where it is called in the formats of OpenAI, by name.",
            ),
            "page": text("Where people read about it.", format="uri"),
            "price": {**ref("ListedPrice"), "description": "In force."},
            "coming": _list("ListedPrice", "Announced, in the order in which they take effect."),
        },
    ),
}

_ABOUT = (
    "Public, exact and complete: every model for sale with the prices in force and those that are announced. Ask again with "
    "`If-None-Match`: the validator changes when a price is published, when one takes effect and when the list of models "
    "changes. Members of customer groups pay these prices times their group's rate."
)


_CSV = {
    "description": "The list. No cell is a formula.",
    "content": {"text/csv": {"schema": {"type": "string"}}},
}
TAGS: list[dict[str, str]] = []
"""That of the catalogue."""
PATHS: dict[str, Any] = {
    "/api/pricing": {
        "get": {
            **operation("listPrices", "All prices", _ABOUT, []),
            "responses": {
                "200": headed(told("The list.", rows("PricedModel"), [PRICED_MODEL]), ETAG),
                **OTHERS,
            },
        }
    },
    "/api/pricing.csv": {
        "get": {
            **operation(
                "exportPrices",
                "All prices as CSV",
                f"The same, a row for each price. Columns: {', '.join(f'`{name}`' for name in COLUMNS)}. `status` is "
                "`in force` or `coming`.",
                [],
            ),
            "responses": {"200": headed(_CSV, ETAG), **OTHERS},
        }
    },
}
