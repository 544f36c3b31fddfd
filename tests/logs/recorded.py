"""Calls as they lie in the books, written without the metering API, for tests of what shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from accounts.models import User
from logs import call_ids, pages
from logs.models import Call
from pricing.listings import UNDATED_FROM
from pricing.models import Kind, Markup, Model, PriceVersion
from pricing.publishing import publish, rates_of
from pricing.rating import PriceTable, Rates, rate
from tokens import keys, spending
from tokens.models import ApiKey
from wallet import ledger
from wallet.models import Code
from wallet.transactions import report_rows
from wallet.wallets import wallet_of

TEXT_RATES: Rates = ((0, {"input_tokens": 2_500_000, "output_tokens": 10_000_000}),)


def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the list asks the database for past Django's log of queries, from now on."""
    asked: list[str] = []

    def rows(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return report_rows(sql, parameters)

    monkeypatch.setattr(pages, "report_rows", rows)
    return asked


def person(name: str) -> User:
    return User.objects.create_user(f"{name}@example.com")


def key_of(user: User, name: str = "Laptop") -> ApiKey:
    return keys.issue(wallet_of(user), name).key


def model(
    name: str = "gpt-test", rates: Rates = TEXT_RATES, *, multiplier_bp: int = 10_000, kind: Kind = Kind.TEXT
) -> PriceVersion:
    """A model for sale; returns its price version."""
    made = Model.objects.create(name=name, provider_code="openai", provider="OpenAI", kind=kind)
    Markup.objects.create(model=made, effective_from=UNDATED_FROM, multiplier_bp=multiplier_bp)
    return publish(made, rates, effective_from=UNDATED_FROM, source="test")


@transaction.atomic
def call(
    key: ApiKey,
    version: PriceVersion,
    usage: dict[str, int] | None = None,
    /,
    *,
    at: datetime | None = None,
    **changes: Any,
) -> Call:
    """A call, charged to bought credit as its usage says, unless `changes` say otherwise."""
    usage = {"input_tokens": 1_200, "output_tokens": 300} if usage is None else usage
    pk = changes.pop("id", None) or call_ids.new(int(at.timestamp() * 1000) if at else None)
    is_failed = changes.get("status") == Call.Status.FAILED
    table = PriceTable(version.pk, version.multiplier_bp, rates_of(version))
    charged = 0 if is_failed else rate(usage, table).charged_nanousd
    transfer = _post(key, pk, charged) if charged else None
    usual: dict[str, Any] = {
        "id": pk,
        "wallet_id": key.wallet_id,
        "key": key,
        "model_id": version.model_id,
        "price_version": version,
        "status": Call.Status.SUCCEEDED,
        "started_at": call_ids.moment(pk),
        "usage": usage,
        "charged_nanousd": charged,
        "promotional_nanousd": 0,
        "paid_transfer_id": transfer,
        "balance_after_nanousd": ledger.balances(key.wallet).balance_nanousd,
    }
    _count(key, version, pk, usage, charged=charged, is_failed=is_failed)
    return Call.objects.create(**{**usual, **changes})


def _post(key: ApiKey, pk: UUID, charged: int) -> int:
    transfer = ledger.post(
        code=Code.USAGE,
        reference=f"call:{pk}",
        debit=ledger.paid(key.wallet),
        credit=ledger.house("revenue"),
        amount_nanousd=charged,
    )
    return transfer.pk


def _count(
    key: ApiKey, version: PriceVersion, pk: UUID, usage: dict[str, int], *, charged: int, is_failed: bool
) -> None:
    at = call_ids.moment(pk)
    used = spending.Used(at)
    if is_failed:
        used.add_failed(at)
    else:
        used.add(usage, charged, at)
    place = (key.wallet_id, call_ids.hour(str(pk)), key.pk, version.model_id)
    spending.adding({place: used}).now()
