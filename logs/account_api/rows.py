"""Rows of the log as clients read them."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import prefetch_related_objects

from logs import call_ids, pages
from logs.account_api import ratios
from logs.account_api.looking import DEFAULT_GROUP, TYPES, Place, Type
from logs.models import Call, CallDetails
from pricing import quota
from pricing.money import usd
from wallet.models import Code, Transfer, Wallet

_RELATED = ("model", "key", "wallet__owner", "group_rate__group")


def of(places: Sequence[Place], *, has_other: bool = True) -> Iterator[dict[str, Any]]:
    """The rows at these places, in their order. `other` takes longer than all else of a call together.

    A call whose month left the table since its place was found has none.
    """
    ids = [UUID(int=place.key) for place in places if place.is_call]
    calls = _calls(places)
    details = CallDetails.objects.in_bulk(ids)
    moved = Transfer.objects.select_related("debit_account", "wallet__owner").in_bulk(
        [place.key for place in places if not place.is_call]
    )
    for place in places:
        if place.is_call:
            call = calls.get(UUID(int=place.key))
            if call is None:
                continue
            other = {"other": _other(call)} if has_other else {}
            yield _of_call(call, details.get(call.pk)) | other
        else:
            yield _of_movement(moved[place.key])


def _calls(places: Sequence[Place]) -> dict[UUID, Call]:
    ids = [UUID(int=place.key) for place in places if place.is_call and place.call is None]
    read = [place.call for place in places if place.call is not None]
    prefetch_related_objects(read, *_RELATED)
    return Call.objects.select_related(*_RELATED).in_bulk(ids) | {call.pk: call for call in read}


def username(owner_id: int) -> str:
    """People sign in with an address and have no other name; this one is for clients that show or ask for one."""
    return f"user-{owner_id}"


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def _of_call(call: Call, details: CallDetails | None) -> dict[str, Any]:
    counts = ratios.counts(call.usage)
    is_failed = call.status == Call.Status.FAILED
    error = details.error if details else ""
    return {
        "id": str(call.pk),
        "request_id": str(call.pk),
        "response_id": call.upstream_id,
        "created_at": call_ids.milliseconds(call.pk) // 1000,
        "type": Type.ERROR if is_failed else Type.CONSUME,
        "model_name": call.model.name,
        "token_name": call.key.name,
        **_whose(call.wallet),
        "group": call.group_rate.group.name if call.group_rate else DEFAULT_GROUP,
        "quota": quota.used_units(call.charged_nanousd),
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "use_time": round((call.latency_ms or 0) / 1000),
        "is_stream": bool(call.stream),
        "ip": (details and details.client_ip) or "",
        "content": error if is_failed else pages.quantity(call.usage),
    }


def _other(call: Call) -> str:
    return json.dumps(
        {
            "cache_tokens": ratios.counts(call.usage).cached,
            **ratios.of(call),
            "total_ms": call.latency_ms,
            "frt": call.first_token_ms,
            "request_path": call.endpoint,
        }
    )


def _of_movement(transfer: Transfer) -> dict[str, Any]:
    """`quota` counts as the type says: into the wallet, but of a refund out of it. One the other way round is negative."""
    assert transfer.wallet is not None
    code = Code(transfer.code)
    is_out = transfer.debit_account.wallet_id is not None
    is_counted_out = TYPES[code] is Type.REFUND
    units = quota.units(transfer.amount_nanousd)
    return {
        "id": f"transfer-{transfer.pk}",
        "request_id": "",
        "response_id": "",
        "created_at": seconds(transfer.created_at),
        "type": TYPES[code],
        "model_name": "",
        "token_name": "",
        **_whose(transfer.wallet),
        "group": "",
        "quota": units if is_out == is_counted_out else -units,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "use_time": 0,
        "is_stream": False,
        "ip": "",
        "content": f"{code.label}: {usd(-transfer.amount_nanousd if is_out else transfer.amount_nanousd)}",
        "other": "{}",
    }


def _whose(wallet: Wallet) -> dict[str, Any]:
    return {"username": username(wallet.owner_id), "user_id": wallet.owner_id}
