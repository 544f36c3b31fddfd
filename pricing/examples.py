"""A call of each kind of model as it is typically made: what it uses."""

from pricing.models import Kind
from pricing.rating import PriceTable

_IMAGE_TOKENS = 1_290
"""What Google and OpenAI count for a picture of 1024 x 1024 in their usual quality, roughly."""


def usage_of(kind: str, table: PriceTable) -> dict[str, int]:
    """A typical call's usage, in units that `table` has a price for."""
    base = table.rates[0][1]
    usual = {
        "input_tokens": 100 if kind == Kind.IMAGE else 1_000,
        "output_image_tokens": _IMAGE_TOKENS,
        "output_tokens": 500,
        "images": 1,
        "seconds": 5 if kind == Kind.VIDEO else 60,
        "characters": 1_000,
        "pages": 10,
        "calls": 1,
    }
    if kind == Kind.IMAGE:
        usual["output_tokens"] = 0 if "output_image_tokens" in base else _IMAGE_TOKENS
    return {unit: quantity for unit, quantity in usual.items() if unit in base and quantity}
