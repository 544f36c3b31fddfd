"""What moved in a wallet in each month: of given and of bought credit.

Transfers that are settled never change, and none comes between them any more, so what they come to is remembered (in the
cache) by the id of the last one, and only later ones are read again. Where the cache is away all of them are.
"""

import logging
from dataclasses import dataclass

from django.core.cache import cache

from wallet.seals import CLOSED_AFTER
from wallet.statements import months
from wallet.statements.months import Month
from wallet.transactions import report_rows

logger = logging.getLogger(__name__)

REMEMBERED_S = 40 * 86_400
MOVED = """
    SELECT t.id, t.code, t.created_at, t.reference, t.amount_nanousd AS amount, t.details,
        (t.credit_account_id = own.given)::int - (t.debit_account_id = own.given)::int AS of_given,
        (t.credit_account_id = own.bought)::int - (t.debit_account_id = own.bought)::int AS of_bought
    FROM wallet_transfer t, (
        SELECT max(id) FILTER (WHERE kind = 'promotional') AS given, max(id) FILTER (WHERE kind = 'paid') AS bought
        FROM wallet_account WHERE wallet_id = %(wallet)s
    ) AS own
    WHERE t.wallet_id = %(wallet)s
"""
"""A wallet's transfers, as SQL."""
# A transfer is made by one transaction, and none lasts for so long: ids below one that is older were given before, and are
# committed, or never will be.
_BY_MONTH = f"""
    WITH moved AS MATERIALIZED (
        SELECT id, created_at, amount * of_given AS given, amount * of_bought AS bought
        FROM ({MOVED}) AS moved WHERE id > %(known)s
    ), settled AS (SELECT coalesce(max(id), 0) AS id FROM moved WHERE created_at < now() - %(settled_after)s)
    SELECT settled.id, date_trunc('month', created_at, 'UTC'), moved.id <= settled.id,
        sum(given)::bigint, sum(bought)::bigint
    FROM moved, settled GROUP BY 1, 2, 3
"""  # noqa: S608 (made of constants)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Nano-dollars of given and of bought credit."""

    given_nanousd: int = 0
    bought_nanousd: int = 0

    @property
    def both_nanousd(self) -> int:
        return self.given_nanousd + self.bought_nanousd

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.given_nanousd + other.given_nanousd, self.bought_nanousd + other.bought_nanousd)

    def __neg__(self) -> "Amounts":
        return Amounts(-self.given_nanousd, -self.bought_nanousd)


type Months = dict[Month, Amounts]


def by_month(wallet_id: int, *, remembers: bool = True) -> Months:
    """Of the months in which anything moved, in one snapshot, where the caller has one."""
    known, found = _remembered(wallet_id) if remembers else (0, {})
    sums, settled = dict(found), known
    parameters = {"wallet": wallet_id, "known": known, "settled_after": CLOSED_AFTER}
    for newest, at, is_settled, given, bought in report_rows(_BY_MONTH, parameters):
        month, moved = months.of(at), Amounts(given, bought)
        sums[month] = sums.get(month, Amounts()) + moved
        if is_settled:
            found[month], settled = found.get(month, Amounts()) + moved, newest
    if settled != known:
        _remember(wallet_id, settled, found)
    return sums


def _remembered(wallet_id: int) -> tuple[int, Months]:
    try:
        known, found = cache.get(_name(wallet_id)) or (0, {})
        return known, {Month(*month): Amounts(*amounts) for month, amounts in found.items()}
    except Exception as error:
        logger.warning("Nothing is remembered of wallet %s: %r", wallet_id, error)
        return 0, {}


def _remember(wallet_id: int, known: int, found: Months) -> None:
    plain = {
        (month.year, month.number): (amounts.given_nanousd, amounts.bought_nanousd)
        for month, amounts in found.items()
    }
    try:
        cache.set(_name(wallet_id), (known, plain), timeout=REMEMBERED_S)
    except Exception as error:
        logger.warning("Nothing will be remembered of wallet %s: %r", wallet_id, error)


def _name(wallet_id: int) -> str:
    return f"moved-by-month:{wallet_id}"
