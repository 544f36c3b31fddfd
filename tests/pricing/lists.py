"""Price lists for tests."""

from datetime import UTC, datetime
from typing import Any

from pricing.listings import UNDATED_FROM, Listing
from pricing.models import Kind
from pricing.publishing import DatedRates

TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rates(prompt: int = 2_500_000, completion: int = 10_000_000) -> tuple[tuple[int, dict[str, int]], ...]:
    """Rates with a prompt and a completion price, in pico-dollars a token."""
    return ((0, {"input_tokens": prompt, "output_tokens": completion}),)


def listing(name: str = "gpt-test", **changes: Any) -> Listing:
    """A listing of a text model, as `changes` say."""
    usual: dict[str, Any] = {
        "name": name,
        "provider_code": "openai",
        "provider": "OpenAI",
        "kind": Kind.TEXT,
        "title": name.upper(),
        "source": "a price list for tests",
        "history": (DatedRates(UNDATED_FROM, rates()),),
    }
    return Listing(**{**usual, **changes})
