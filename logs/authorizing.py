"""May this key call this model now? One statement looks the key up, checks the wallet and places the hold.

Keys and balances are read fresh every time; prices come from the process's catalogue. Order of the checks: key, wallet,
model and price, limits.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from logs import call_ids, estimating
from pricing import catalogue
from tokens import keys
from wallet import holds
from wallet.transactions import again_if_lost, rows


class Refused(Exception):
    """The call may not be made. `code` and `status` are the metering API's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Question:
    """What a gateway asks."""

    key: str
    model: str
    client_ip: str | None = None
    input_tokens: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The call is let in; report it under `call_id`."""

    call_id: UUID
    token_id: int
    wallet_id: int
    model: str
    available_nanousd: int
    held_nanousd: int
    expires_at: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "call_id": str(self.call_id),
            "token_id": self.token_id,
            "wallet_id": self.wallet_id,
            "model": self.model,
            "available_nanousd": self.available_nanousd,
            "held_nanousd": self.held_nanousd,
            "expires_at": self.expires_at.isoformat().replace("+00:00", "Z"),
        }


# The fragment is a constant of ours; what comes from outside goes in as parameters. `unhurried` has the commit not wait for
# the disk: a crash of the database forgets the holds of its last moments (wal_writer_delay), which moves no money, and
# recording needs no hold. Nothing else commits like that.
ADMIT = f"""
    WITH unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
    key AS (
        SELECT k.id, k.wallet_id, k.revoked_at IS NULL AS is_good, w.suspended_at IS NULL AND u.is_active AS is_open
        FROM tokens_apikey k
            JOIN wallet_wallet w ON w.id = k.wallet_id
            JOIN accounts_user u ON u.id = w.owner_id
        WHERE k.digest = %(digest)s
    ),
    admitted AS (
        SELECT %(call_id)s::uuid AS call_id, wallet_id, id::text AS reference, %(model)s::text AS memo,
            %(amount)s::bigint AS amount_nanousd, now() + make_interval(secs => %(seconds)s) AS expires_at
        FROM key, unhurried WHERE is_good AND is_open AND %(is_sold)s
    ),
    {holds.PLACE}
    SELECT key.id, key.wallet_id, key.is_good, key.is_open, funds.available_nanousd, admitted.expires_at
    FROM key LEFT JOIN funds USING (wallet_id) LEFT JOIN admitted USING (wallet_id)
"""  # noqa: S608


def authorize(question: Question) -> Admission:
    """Admit the call and hold its expected cost, or raise Refused."""
    if not keys.is_well_formed(question.key):
        raise _invalid_key()
    try:
        return _admit(question)
    except Refused as refusal:
        # An abandoned hold may be all that stands in the way.
        if refusal.code != "insufficient_balance" or not _expire_overdue(question.key):
            raise
        return _admit(question)


def _admit(question: Question) -> Admission:
    now = timezone.now()
    model = catalogue.find(question.model, at=now)
    table = model.price_at(now) if model else None
    amount = 0
    if model and table:
        amount = estimating.expected_cost(model.id, table, question.input_tokens, question.max_output_tokens)
    parameters = {
        "digest": keys.digest(question.key),
        "model": question.model,
        "amount": amount,
        "seconds": settings.HOLD_SECONDS,
        "is_sold": table is not None,
    }
    call_id, found = again_if_lost(lambda: _ask(parameters), is_one_statement=True)
    if not found or not found[0][2]:
        raise _invalid_key()
    key_id, wallet_id, _, is_open, available, expires_at = found[0]
    if not is_open:
        raise Refused(403, "account_suspended", "This account is suspended.")
    if table is None:
        raise Refused(404, "model_not_found", "There is no model of that name for sale.")
    if available is None:
        raise Refused(402, "insufficient_balance", "The balance is used up. Top up to go on.")
    return Admission(
        call_id=call_id,
        token_id=key_id,
        wallet_id=wallet_id,
        model=question.model,
        available_nanousd=available,
        held_nanousd=amount,
        expires_at=expires_at,
    )


def _ask(parameters: dict[str, Any]) -> tuple[UUID, list[tuple[Any, ...]]]:
    """Each try has an id of its own: where the answer to one was lost, its hold is left to expire."""
    call_id = call_ids.new()
    return call_id, rows(ADMIT, {**parameters, "call_id": call_id})


def _expire_overdue(key: str) -> int:
    found = rows("SELECT wallet_id FROM tokens_apikey WHERE digest = %s", [keys.digest(key)])
    return holds.expire_overdue(found[0][0]) if found else 0


def _invalid_key() -> Refused:
    return Refused(401, "invalid_key", "The API key is unknown, revoked or expired.")
