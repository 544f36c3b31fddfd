"""Events as Stripe posts them: signed, and each another one."""

import hashlib
import hmac
import time
from typing import Any
from uuid import uuid4


def posted(path: str, body: bytes, secret: str) -> bytes:
    """A request with Stripe's signature of this moment, which is good for 300 seconds."""
    at = int(time.time())
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nStripe-Signature: t={at},v1={digest}\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def event() -> dict[str, Any]:
    """A paid page, of the size that Stripe sends: about 3 kB."""
    order, key = str(uuid4()), uuid4().hex
    return {
        "id": f"evt_{key}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": _session(order, key)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "checkout.session.completed",
    }


def _session(order: str, key: str) -> dict[str, Any]:
    nothing = (
        "after_expiration client_secret collected_information consent consent_collection currency_conversion"
        " customer_account discounts invoice locale origin_context payment_link permissions recovered_from"
        " saved_payment_method_options setup_intent shipping_address_collection shipping_cost submit_type"
        " subscription url wallet_options branding_settings integration_identifier"
    )
    back = f"https://dashboard.example.com/wallet/top-ups/{order}/"
    return dict.fromkeys(nothing.split()) | {
        "id": f"cs_test_{key}",
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": True},
        "allow_promotion_codes": None,
        "amount_subtotal": 1000,
        "amount_total": 1000,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": f"{back}?cancelled=1",
        "client_reference_id": order,
        "created": int(time.time()),
        "currency": "usd",
        "custom_fields": [],
        "customer": f"cus_{key[:14]}",
        "customer_details": {"email": "ann@example.com", "name": "Ann", "phone": None, "tax_ids": []},
        "expires_at": int(time.time()) + 3600,
        "livemode": False,
        "metadata": {"top_up_id": order},
        "mode": "payment",
        "payment_intent": f"pi_{key[:24]}",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card", "link"],
        "payment_status": "paid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "complete",
        "success_url": back,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
    }
