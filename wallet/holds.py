"""Holds: what admitted calls are expected to cost. Owns wallet_hold and `held_nanousd`; never touches a balance.

A wallet is admitted while balance − open holds > 0, checked and held in one statement under the lock of its funds. So
with any number of parallel calls a balance falls below zero by no more than what the admitted calls cost beyond their
holds, plus the cost of the last one admitted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from wallet import ledger
from wallet.models import Hold, Wallet
from wallet.transactions import Ask, array, rows

# For the statement that admits a call: a common table expression that locks the funds of the wallet in `admitted`
# (wallet_id, and the columns of the hold), checks them as last committed, and holds the amount. Of several statements
# that wait for one wallet each sees what the one before it held, because UPDATE reads the row again after the wait.
PLACE = """
    funds AS (
        UPDATE wallet_funds f SET held_nanousd = f.held_nanousd + a.amount_nanousd
        FROM admitted a
        WHERE f.wallet_id = a.wallet_id AND f.promotional_nanousd + f.paid_nanousd - f.held_nanousd > 0
        RETURNING f.wallet_id, f.promotional_nanousd + f.paid_nanousd - f.held_nanousd AS available_nanousd
    ),
    held AS (
        INSERT INTO wallet_hold (id, wallet_id, reference, memo, amount_nanousd, expected_tokens, expires_at, state)
        SELECT a.call_id, a.wallet_id, a.reference, a.memo, a.amount_nanousd, a.expected_tokens, a.expires_at, 'open'
        FROM admitted a, funds
    )
"""


@dataclass(slots=True)
class ClosedHold:
    reference: str
    wallet_id: int
    amount_nanousd: int
    was_open: bool


REMOVE = """
    DELETE FROM wallet_hold h USING unnest(%s::uuid[], %s::text[]) AS c(id, reference)
    WHERE h.id = c.id AND h.reference = c.reference
    RETURNING h.id::text, h.reference, h.wallet_id, h.amount_nanousd, h.state = 'open'
"""
LOWER = """
    UPDATE wallet_funds f SET held_nanousd = f.held_nanousd - r.amount
    FROM unnest(%s::bigint[], %s::bigint[]) AS r(wallet_id, amount) WHERE f.wallet_id = r.wallet_id
"""


def removing(calls: Sequence[tuple[str, str]]) -> Ask[dict[str, ClosedHold]]:
    """Remove the holds of these (call id, reference); they come back by call id. Unknown ones are no error.

    A hold with another reference stays as it is. The wallets must be locked (`ledger.lock`) in this transaction, and
    `lowering` has to follow in it.
    """
    columns = [array([call_id for call_id, _ in calls]), array([reference for _, reference in calls])]
    return Ask([(REMOVE, columns)], lambda found: {row[0]: ClosedHold(*row[1:]) for row in found[0]})


def lowering(closed: Iterable[ClosedHold]) -> Ask[None]:
    """Take removed holds off the held totals. Last in a transaction: authorize waits for these rows."""
    released: dict[int, int] = {}
    for hold in closed:
        if hold.was_open:
            released[hold.wallet_id] = released.get(hold.wallet_id, 0) + hold.amount_nanousd
    columns = [array(released), array(released.values())]
    return Ask([(LOWER, columns)] if released else [], lambda _: None)


def references(call_ids: Sequence[str]) -> dict[str, str]:
    """Who asked for these holds, of those that exist."""
    found = rows("SELECT id::text, reference FROM wallet_hold WHERE id = ANY(%s::uuid[])", [array(call_ids)])
    return dict(found)


def release(call_id: UUID) -> bool:
    """Close the hold of a call that never happened. False where there is none; twice is fine."""
    with transaction.atomic():
        hold = Hold.objects.filter(pk=call_id).first()
        if hold is None:
            return False
        ledger.lock([hold.wallet_id])
        closed = removing([(str(call_id), hold.reference)]).now()
        lowering(closed.values()).now()
        return bool(closed)


OVERDUE = """
    SELECT DISTINCT wallet_id FROM (
        SELECT wallet_id FROM wallet_hold WHERE state = 'open' AND expires_at <= now() LIMIT %s::int
    ) AS overdue
"""
EXPIRE = """
    WITH expired AS (
        UPDATE wallet_hold SET state = 'expired'
        WHERE state = 'open' AND expires_at <= now() AND wallet_id = ANY(%s::bigint[])
        RETURNING wallet_id, amount_nanousd
    ),
    lowered AS (
        UPDATE wallet_funds f SET held_nanousd = f.held_nanousd - r.amount
        FROM (SELECT wallet_id, sum(amount_nanousd)::bigint AS amount FROM expired GROUP BY wallet_id) r
        WHERE f.wallet_id = r.wallet_id
    )
    SELECT count(*) FROM expired
"""


def expire_overdue(wallet: Wallet | int | None = None, limit: int = 10_000) -> int:
    """Stop counting holds whose time is over, of one wallet or of all; returns how many. They stay as evidence."""
    wallet_id = wallet.pk if isinstance(wallet, Wallet) else wallet
    with transaction.atomic():
        overdue = rows(OVERDUE, [limit]) if wallet_id is None else [(wallet_id,)]
        ledger.lock(row[0] for row in overdue)
        expired = rows(EXPIRE, [array([row[0] for row in overdue])])
    return int(expired[0][0])
