"""Parameters that the pinned version of the API no longer takes."""

from .errors import invalid
from .params import Node


class RemovedPaymentMethodTypes:
    """Writable until 2026-09-30; callers name what they allow, or leave it to the account."""

    required = False

    def read(self, node: Node, name: str) -> None:
        message = "payment_method_types is no longer supported. Use allowed_payment_method_types instead."
        raise invalid(message, param=name, code="payment_method_types_no_longer_supported")
