"""A gateway as the tests see it: talks to the metering API through Django's client, and prices to rate by."""

import json
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.test import Client

from accounts.models import User
from logs import call_ids
from pricing.models import Model
from pricing.publishing import publish
from tokens import keys
from tokens.models import ApiKey
from wallet import ledger
from wallet.models import Code, Wallet
from wallet.wallets import wallet_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# $2.50 and $10 per million tokens, cached input at $1.25.
TEXT = {"input_tokens": 2_500_000, "cached_input_tokens": 1_250_000, "output_tokens": 10_000_000}


def sell(name: str = "gpt-4o", rates: dict[str, int] | None = None, kind: str = "text") -> Model:
    model = Model.objects.create(name=name, provider_code="openai", provider="OpenAI", kind=kind)
    publish(model, ((0, rates or TEXT),), effective_from=LONG_AGO, source="tests")
    return model


def give(user: User, amount_nanousd: int, kind: str = "paid") -> Wallet:
    """Put money into the wallet by the ledger's own door."""
    wallet = wallet_of(user)
    with transaction.atomic():
        account = ledger.paid(wallet) if kind == "paid" else ledger.promotional(wallet)
        ledger.post(
            code=Code.GRANT,
            reference=f"test:{call_ids.new()}",
            debit=ledger.house("promotions"),
            credit=account,
            amount_nanousd=amount_nanousd,
        )
    return wallet


class Gateway:
    """Speaks the metering API with a gateway key of its own."""

    def __init__(self) -> None:
        self.key = keys.issue_gateway_key("tests")
        self.client = Client()

    def post(self, name: str, body: object, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.key}", **headers}
        return self.client.post(f"/metering/v1/{name}", data, content_type="application/json", headers=sent)

    def authorize(self, key: str, model: str = "gpt-4o", **more: object) -> Any:
        return self.post("authorize", {"key": key, "model": model, **more})

    def record(self, *calls: object) -> list[dict[str, Any]]:
        response = self.post("calls", {"calls": list(calls)})
        assert response.status_code == 200, response.content
        results: list[dict[str, Any]] = json.loads(response.content)["results"]
        return results


def call(key: ApiKey, **more: Any) -> dict[str, Any]:
    """A finished call of 1,200 prompt and 300 completion tokens: $0.006 at the prices above."""
    return {
        "call_id": str(call_ids.new()),
        "model": "gpt-4o",
        "started_at": datetime.now(UTC).isoformat(),
        "token_id": key.pk,
        "status": "succeeded",
        "usage": {"input_tokens": 1200, "output_tokens": 300},
        **more,
    }
