"""Reported calls that were not charged are kept with their reason, for staff to rate.

What may identify a person is not kept with them: of a call's fields only those that say what it was and what it used.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from logs.models import RejectedCall
from logs.reports import LARGEST_BIGINT, UNSTORABLE
from tokens import keys, masking

if TYPE_CHECKING:
    from logs.recording import Result

LONGEST_PAYLOAD = 20_000
# All fields of a call but `client_ip` and `error`; what else a gateway may send along, nobody asked for.
KEPT = (
    "call_id", "model", "started_at", "token_id", "status", "usage", "latency_ms", "first_token_ms", "stream",
    "endpoint", "upstream_id", "upstream_cost_nanousd", "estimated",
)  # fmt: skip


def keep(calls: Sequence[object], results: "Sequence[Result]") -> None:
    """Keep the rejected ones, once per call id and reason however often they are sent."""
    rejected = [
        (raw, result.call_id, result.error)
        for raw, result in zip(calls, results, strict=True)
        if result.error is not None and result.call_id
    ]
    if not rejected:
        return
    payers = keys.payers_of(key_id for raw, _, _ in rejected if (key_id := _key_id(raw)) is not None)
    kept = [
        RejectedCall(
            call_id=_clean(call_id),
            wallet_id=_wallet_id(payers.get(_key_id(raw) or 0)),
            reason=error["code"],
            message=_clean(error["message"]),
            payload=_payload(raw),
        )
        for raw, call_id, error in rejected
    ]
    RejectedCall.objects.bulk_create(kept, ignore_conflicts=True)


def _wallet_id(payer: keys.Payer | None) -> int | None:
    return payer.wallet_id if payer else None


def _key_id(raw: object) -> int | None:
    """What may be the id of a key: it fits the column."""
    key_id = raw.get("token_id") if isinstance(raw, dict) else None
    return key_id if type(key_id) is int and 0 < key_id <= LARGEST_BIGINT else None


def _payload(raw: object) -> Any:
    """The call as far as it may be kept and can be stored; a key that somebody put into a wrong field is masked."""
    kept = {name: raw[name] for name in KEPT if name in raw} if isinstance(raw, dict) else raw
    text = _clean(json.dumps(kept, ensure_ascii=False))
    if len(text) > LONGEST_PAYLOAD or "\\u0000" in text or not _is_json(text):
        return {"cut": text[:LONGEST_PAYLOAD].replace("\\u0000", "\ufffd")}
    return json.loads(text)


def _is_json(text: str) -> bool:
    """Whether PostgreSQL takes it: no Infinity, which a number like 1e400 becomes."""
    try:
        json.dumps(json.loads(text), allow_nan=False)
    except ValueError:
        return False
    return True


def _clean(text: str | None) -> str:
    return masking.masked(UNSTORABLE.sub("\ufffd", text or ""))
