"""May this key call this model now? One statement looks the key up, checks the wallet and places the hold.

Keys and balances are read fresh every time; prices come from the process's catalogue. Order of the checks: key, wallet,
model and price, what the key allows, its limits, the balance. A key with limits that count something has them counted in
the same statement, by the function `logs_limit_reached`; the others don't pay for that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from logs import call_ids, estimating, waiting
from pricing import catalogue
from tokens import keys, limits
from tokens.models import ApiKey
from wallet import holds
from wallet.transactions import again_if_lost, rows


class Refused(Exception):
    """The call may not be made. `code` and `status` are the metering API's."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


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


# No call's id lies further ahead (logs/reports.py).
AHEAD = timedelta(hours=1)
# The fragment is a constant of ours; what comes from outside goes in as parameters. `unhurried` has the commit not wait for
# the disk: a crash of the database forgets the holds of its last moments (wal_writer_delay), which moves no money, and
# recording needs no hold. Nothing else commits like that.
ADMIT = f"""
    WITH unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
    key AS (
        SELECT k.id, k.wallet_id, CASE
                WHEN k.revoked_at IS NOT NULL OR k.digest <> %(digest)s AND k.previous_until <= now() THEN 'revoked'
                WHEN k.disabled_at IS NOT NULL THEN 'disabled'
                WHEN k.expires_at <= now() THEN 'expired'
                WHEN k.kind <> 'inference' THEN 'kind'
                ELSE '' END AS problem,
            w.suspended_at IS NULL AND u.is_active AS is_open,
            k.model_ids IS NULL OR %(model_id)s::bigint = ANY(k.model_ids) AS allows_model,
            k.networks IS NULL OR coalesce(%(client_ip)s::inet <<= ANY(k.networks::cidr[]), false) AS allows_address,
            CASE WHEN w.customer_group_id IS NULL THEN %(amount)s::bigint ELSE ceil(%(amount)s::numeric * (
                SELECT multiplier_bp FROM pricing_grouprate
                WHERE group_id = w.customer_group_id AND effective_from <= now() ORDER BY effective_from DESC LIMIT 1
            ) / 10000)::bigint END AS amount,
            CASE WHEN num_nonnulls(k.limit_nanousd, k.period_limit_nanousd, k.requests_per_minute, k.tokens_per_minute,
                k.calls_in_flight) > 0 THEN k END AS limited
        FROM tokens_apikey k
            JOIN wallet_wallet w ON w.id = k.wallet_id
            JOIN accounts_user u ON u.id = w.owner_id
        WHERE k.id = (
            SELECT id FROM tokens_apikey WHERE digest = %(digest)s
            UNION ALL SELECT id FROM tokens_apikey WHERE previous_digest = %(digest)s LIMIT 1
        )
    ),
    allowed AS MATERIALIZED (
        SELECT id, wallet_id, amount,
            CASE WHEN limited IS NULL THEN '' ELSE
                logs_limit_reached(limited, %(minute_floor)s, %(minute_ceiling)s) END AS limit_reached
        FROM key WHERE problem = '' AND is_open AND allows_model AND allows_address AND %(is_sold)s
    ),
    admitted AS (
        SELECT %(call_id)s::uuid AS call_id, wallet_id, id::text AS reference, %(model)s::text AS memo,
            amount AS amount_nanousd, %(tokens)s::bigint AS expected_tokens,
            now() + make_interval(secs => %(seconds)s) AS expires_at
        FROM allowed, unhurried WHERE limit_reached = ''
    ),
    {holds.PLACE}
    SELECT id, wallet_id, problem, is_open, allows_model, allows_address, (SELECT limit_reached FROM allowed), amount,
        (SELECT available_nanousd FROM funds), (SELECT expires_at FROM admitted)
    FROM key
"""  # noqa: S608

PROBLEMS = {
    "revoked": "This API key is revoked.",
    "disabled": "This API key is disabled.",
    "expired": "This API key has expired.",
    "kind": "This API key is not of the kind that calls models.",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What the statement found of a key, and whether it let the call in."""

    key_id: int
    wallet_id: int
    problem: str
    is_open: bool
    allows_model: bool
    allows_address: bool
    limit_reached: str | None
    """Its column, or nothing."""
    held_nanousd: int
    available_nanousd: int | None
    """After the hold; None where there is no hold."""
    expires_at: datetime | None


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
    expected = estimating.NOTHING
    if model and table:
        expected = estimating.expect(model.id, table, question.input_tokens, question.max_output_tokens)
    parameters = {
        "digest": keys.digest(question.key),
        "model": question.model,
        "model_id": model.id if model else None,
        "client_ip": question.client_ip,
        "amount": expected.cost_nanousd,
        "tokens": expected.tokens,
        "seconds": settings.HOLD_SECONDS,
        "is_sold": table is not None,
        "minute_floor": call_ids.floor(now - limits.MINUTE),
        "minute_ceiling": call_ids.floor(now + AHEAD),
    }
    call_id, found = again_if_lost(lambda: _ask(parameters), is_one_statement=True)
    _check(found, is_sold=table is not None)
    if found.available_nanousd is None or found.expires_at is None:
        raise _no_funds(found.wallet_id)
    return Admission(
        call_id=call_id,
        token_id=found.key_id,
        wallet_id=found.wallet_id,
        model=question.model,
        available_nanousd=found.available_nanousd,
        held_nanousd=found.held_nanousd,
        expires_at=found.expires_at,
    )


def _check(found: Found, *, is_sold: bool) -> None:
    """Raises Refused for everything but the balance."""
    if found.problem:
        raise _invalid_key(PROBLEMS[found.problem])
    if not found.is_open:
        raise Refused(403, "account_suspended", "This account is suspended.")
    if not is_sold:
        raise Refused(404, "model_not_found", "There is no model of that name for sale.")
    if not found.allows_model:
        raise Refused(403, "model_not_allowed", "This key may not call this model.")
    if not found.allows_address:
        raise Refused(403, "ip_not_allowed", "This key may not be used from this address.")
    if found.limit_reached:
        key, now = ApiKey.objects.get(pk=found.key_id), timezone.now()
        wait_s = waiting.seconds(key, found.limit_reached, now)
        reached = limits.reached(key, found.limit_reached, now, wait_s)
        code = "rate_limited" if reached.is_rate else "key_limit_reached"
        raise Refused(429, code, reached.message, reached.retry_after_s)


def _ask(parameters: dict[str, Any]) -> tuple[UUID, Found]:
    """Each try has an id of its own: where the answer to one was lost, its hold is left to expire."""
    call_id = call_ids.new()
    found = rows(ADMIT, {**parameters, "call_id": call_id})
    if not found:
        raise _invalid_key()
    return call_id, Found(*found[0])


def _expire_overdue(key: str) -> int:
    found = rows(
        "SELECT wallet_id FROM tokens_apikey WHERE digest = %(digest)s OR previous_digest = %(digest)s",
        {"digest": keys.digest(key)},
    )
    return holds.expire_overdue(found[0][0]) if found else 0


def _no_funds(wallet_id: int) -> Refused:
    """Looks only now whether there is money that running calls hold, which topping up is not needed for."""
    ((balance_nanousd,),) = rows(
        "SELECT promotional_nanousd + paid_nanousd FROM wallet_funds WHERE wallet_id = %(wallet_id)s",
        {"wallet_id": wallet_id},
    )
    if balance_nanousd <= 0:
        return Refused(402, "insufficient_balance", "The balance is used up. Top up to go on.")
    message = (
        "What is left is held by calls that are running. Try again when one of them has ended, or top up."
    )
    return Refused(402, "insufficient_balance", message, limits.SOON_S)


def _invalid_key(message: str = "The API key is unknown, revoked or expired.") -> Refused:
    return Refused(401, "invalid_key", message)
