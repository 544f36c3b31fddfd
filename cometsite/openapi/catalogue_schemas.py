"""Shapes of the price list's answers."""

from typing import Any

from cometsite.openapi.shapes import number, shape, text
from pricing.models import Kind

_USD_OR_NULL = {"type": ["number", "null"], "minimum": 0}

_PRICES = shape(
    "What is charged is value × ratio; null where there is no such price.",
    {
        "input": {**_USD_OR_NULL, "description": "Dollars per million tokens."},
        "output": {**_USD_OR_NULL, "description": "Dollars per million tokens."},
        "per_request": {**_USD_OR_NULL, "description": "Dollars for a call, or for a picture."},
        "per_second": {**_USD_OR_NULL, "description": "Dollars for a second."},
        "ratio": number("Multiplier of this price.", minimum=0),
    },
)
_LISTED = {
    "id": text('What a caller writes in "model".'),
    "code": text("The id with `.` written as `-`."),
    "provider": text("Whose model it is."),
    "provider_code": text("The same, for programs."),
    "name": text("For people."),
    "description": text("In a few words."),
    "model_type": text("What it makes.", enum=[str(kind.value) for kind in Kind]),
    "features": {
        "type": "array",
        "minItems": 0,
        "maxItems": 20,
        "items": {"type": "string"},
        "description": "What it can do beside, as its prices tell.",
    },
    "endpoints": {
        "type": "object",
        "description": "By name, where it is called.",
        "additionalProperties": shape(
            "An address.", {"path": text("Below the gateway's."), "method": text("Of HTTP.")}
        ),
    },
    "pricing": _PRICES,
    "context_length": {"type": ["integer", "null"], "description": "Tokens; null where not known."},
    "max_completion_tokens": {"type": ["integer", "null"], "description": "Null where not known."},
    "api_doc_url": text("The model's page.", format="uri"),
}

SCHEMAS: dict[str, Any] = {
    "ListedModel": shape("A model for sale.", _LISTED),
    "ToldModel": shape("A model for sale, with more words.", {**_LISTED, "overview": text("What it is.")}),
}
