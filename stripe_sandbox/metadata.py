"""Metadata as Stripe keeps it."""

from .errors import invalid


def merged(old: dict[str, str], given: dict[str, str] | None) -> dict[str, str]:
    """`old` with what was given: a value "" removes its key, and None (sent as "") removes all of them."""
    if given is None:
        return {}
    new = {key: value for key, value in (old | given).items() if value}
    if len(new) > 50:
        raise invalid("You can only specify up to 50 metadata keys.", param="metadata")
    return new
