"""Reported calls that were not charged are kept with their reason, for staff to look at."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logs.models import RejectedCall
from logs.reports import UNSTORABLE

if TYPE_CHECKING:
    from logs.recording import Result

LONGEST_PAYLOAD = 20_000


def keep(calls: Sequence[object], results: "Sequence[Result]", wallets: Mapping[int, int]) -> None:
    """Keep the rejected ones, once per call id and reason however often they are sent."""
    kept = [
        RejectedCall(
            call_id=_clean(result.call_id),
            wallet_id=_wallet_id(raw, wallets),
            reason=result.error["code"],
            message=result.error["message"],
            payload=_payload(raw),
        )
        for raw, result in zip(calls, results, strict=True)
        if result.error is not None and result.call_id
    ]
    if kept:
        RejectedCall.objects.bulk_create(kept, ignore_conflicts=True)


def _wallet_id(raw: object, wallets: Mapping[int, int]) -> int | None:
    key_id = raw.get("token_id") if isinstance(raw, dict) else None
    return wallets.get(key_id) if type(key_id) is int else None


def _payload(raw: object) -> Any:
    """The call as it came, as far as it can be stored."""
    text = json.dumps(raw)
    if len(text) > LONGEST_PAYLOAD or "\\u0000" in text or "\\ud" in text:
        return {"cut": _clean(text[:LONGEST_PAYLOAD])}
    return raw


def _clean(text: str | None) -> str:
    return UNSTORABLE.sub("\ufffd", text or "").replace("\\u0000", "\ufffd")
