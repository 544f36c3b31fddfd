"""The evidence of a dispute: texts as they are told, and files by the id that Stripe gave them."""

from .params import Nested, Params, Text, Unsupported
from .store import Json

TEXTS = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_tracking_number",
    "uncategorized_text",
]
# Files cannot be uploaded to the stand-in.
FILES = [
    "cancellation_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "receipt",
    "refund_policy",
    "service_documentation",
    "shipping_documentation",
    "uncategorized_file",
]
LONGEST = 20_000

EMPTY: Json = dict.fromkeys(sorted(TEXTS + FILES)) | {"enhanced_evidence": {}}
FIELD = Nested(
    {
        **dict.fromkeys(TEXTS, Text(clearable=True, longest=LONGEST)),
        **dict.fromkeys([*FILES, "enhanced_evidence"], Unsupported()),
    }
)


def with_given(old: Json, given: Params) -> Json:
    """`old` with what the request says; "" takes a text away."""
    return old | {name: value or None for name, value in given.items()}
