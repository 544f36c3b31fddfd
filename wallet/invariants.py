"""What must always hold of the books, as named checks that the product runs on itself.

Owns wallet_checkrun. Reads the books in one snapshot and changes nothing of what it reads. An invariant finds the ids of
what breaks it: none is good. Apps above the wallet add theirs (`register`), so that the wallet need not know them. What is
no matter of the database alone is a subject of its own, with runs of its own: its reading takes no snapshot and no time of
the books' check.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from wallet import seals
from wallet.models import BOOKS, CheckRun
from wallet.transactions import report_rows, rows, snapshot

logger = logging.getLogger(__name__)

MOST_IDS = 20


type Find = Callable[[list[int] | None], list[str]]
"""The first ids that break an invariant, looking at these wallets, or at everything where None."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """`failure` says what it means when an id comes back, and what to do first."""

    name: str
    failure: str
    find: Find
    subject: str = BOOKS


def by_sql(sql: str, bounds: Callable[[], dict[str, object]] = dict) -> Find:
    """An invariant as a statement whose first column says what breaks it: "wallet 4: …", with both numbers.

    `%(wallets)s` is an array, or null for all; `bounds` gives what else it names, at the time of the check.
    """
    limited = f"SELECT * FROM ({sql}) AS broken LIMIT {MOST_IDS}"  # noqa: S608 (a constant of ours)
    return lambda wallet_ids: [
        str(row[0]) for row in report_rows(limited, {"wallets": wallet_ids, **bounds()})
    ]


_registered: dict[str, Invariant] = {}


def register(*invariants: Invariant) -> None:
    for invariant in invariants:
        _registered[invariant.name] = invariant


def every() -> list[Invariant]:
    return list(_registered.values())


def subjects() -> list[str]:
    """The books, and what else is checked."""
    return list(dict.fromkeys(invariant.subject for invariant in every()))


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant, and the first ids that break it."""

    invariant: Invariant
    ids: list[str]


def check(
    wallet_ids: list[int] | None = None, progress: Callable[[str], None] = lambda name: None
) -> list[Finding]:
    """Run every invariant of the books over these wallets (all where None) in one snapshot; the broken ones come back."""
    with snapshot(*seals.tables()):
        return _broken(BOOKS, wallet_ids, progress)


def check_subject(subject: str, progress: Callable[[str], None] = lambda name: None) -> list[Finding]:
    """The same of another subject than the books, in no snapshot."""
    return _broken(subject, None, progress)


def _broken(subject: str, wallet_ids: list[int] | None, progress: Callable[[str], None]) -> list[Finding]:
    findings = []
    for invariant in every():
        if invariant.subject == subject:
            progress(invariant.name)
            if broken := invariant.find(wallet_ids):
                findings.append(Finding(invariant, broken))
    return findings


def run(*, full: bool) -> CheckRun:
    """A recorded run over the books: over all wallets, or over those whose money moved since the run before."""
    before = last()
    newest = rows("SELECT coalesce(max(id), 0) FROM wallet_transfer")[0][0]
    # What was found before stays found until it is mended, so all wallets are looked at again.
    is_full = full or before is None or bool(before.failures)
    wallet_ids = None if is_full or before is None else _moved_since(before.last_transfer_id)
    started = CheckRun.objects.create(is_full=wallet_ids is None, last_transfer_id=newest)
    findings = check(wallet_ids)
    started.wallets = (
        len(wallet_ids) if wallet_ids is not None else rows("SELECT count(*) FROM wallet_wallet")[0][0]
    )
    return _finished(started, findings)


def run_subject(subject: str) -> CheckRun:
    """A recorded run over another subject than the books."""
    started = CheckRun.objects.create(subject=subject, is_full=True)
    return _finished(started, check_subject(subject))


def _finished(run: CheckRun, findings: list[Finding]) -> CheckRun:
    run.failures = {finding.invariant.name: finding.ids for finding in findings}
    run.finished_at = timezone.now()
    run.save()
    for name, ids in run.failures.items():
        logger.critical("The books break %s: %s", name, ", ".join(ids))
    return run


def last(subject: str = BOOKS) -> CheckRun | None:
    """The newest run over the subject that was finished."""
    return CheckRun.objects.filter(subject=subject, finished_at__isnull=False).first()


def last_good() -> CheckRun | None:
    """The newest finished run over the books if it found nothing; None where it found something, or none was finished."""
    newest = last()
    return newest if newest is not None and newest.is_good else None


def was_good_since(moment: datetime) -> bool:
    """Whether a run over all the books began since then and found nothing."""
    since = CheckRun.objects.filter(subject=BOOKS, is_full=True, started_at__gte=moment)
    return since.filter(finished_at__isnull=False, failures={}).exists()


def _moved_since(transfer_id: int) -> list[int]:
    """Wallets with younger transfers or with open holds."""
    found = rows(
        "SELECT wallet_id FROM wallet_transfer WHERE id > %s - 10000 AND wallet_id IS NOT NULL"
        " UNION SELECT wallet_id FROM wallet_funds WHERE held_nanousd <> 0",
        [transfer_id],
    )
    return [row[0] for row in found]


OF_WALLETS = "(%(wallets)s::bigint[] IS NULL OR wallet_id = ANY(%(wallets)s::bigint[]))"

register(
    Invariant(
        "wallet_balances",
        "A wallet's cached balance is not the sum of its transfers: one of the two was written past the ledger. Suspend the"
        " wallet and compare its transfers with a backup.",
        by_sql(f"""
        WITH moved AS (
            SELECT a.wallet_id,
                coalesce(sum(s.amount) FILTER (WHERE a.kind = 'promotional'), 0) AS promotional,
                coalesce(sum(s.amount) FILTER (WHERE a.kind = 'paid'), 0) AS paid
            FROM (SELECT credit_account_id AS account_id, amount_nanousd AS amount FROM wallet_transfer WHERE {OF_WALLETS}
                  UNION ALL
                  SELECT debit_account_id, -amount_nanousd FROM wallet_transfer WHERE {OF_WALLETS}) s
                JOIN wallet_account a ON a.id = s.account_id
            WHERE a.wallet_id IS NOT NULL GROUP BY a.wallet_id
        )
        SELECT format('wallet %%s: promotional %%s and paid %%s nano-dollars, its transfers sum to %%s and %%s', wallet_id,
            f.promotional_nanousd, f.paid_nanousd, coalesce(m.promotional, 0), coalesce(m.paid, 0))
        FROM (SELECT * FROM wallet_funds WHERE {OF_WALLETS}) f FULL JOIN moved m USING (wallet_id)
        WHERE f.promotional_nanousd IS DISTINCT FROM coalesce(m.promotional, 0)
            OR f.paid_nanousd IS DISTINCT FROM coalesce(m.paid, 0)"""),  # noqa: S608
    ),
    Invariant(
        "house_balances",
        "A house account's cached balance is not the sum of its transfers. Only a run over all wallets looks at this.",
        by_sql("""
        SELECT format('%%s: %%s nano-dollars, its transfers sum to %%s', a.kind, h.cached, coalesce(m.moved, 0))
        FROM wallet_account a
            JOIN (SELECT account_id, sum(balance_nanousd) AS cached FROM wallet_housebalance GROUP BY account_id) h
                ON h.account_id = a.id
            LEFT JOIN (
                SELECT account_id, sum(amount) AS moved FROM (
                    SELECT credit_account_id AS account_id, amount_nanousd AS amount FROM wallet_transfer
                    UNION ALL SELECT debit_account_id, -amount_nanousd FROM wallet_transfer) s
                GROUP BY account_id) m ON m.account_id = a.id
        WHERE %(wallets)s::bigint[] IS NULL AND h.cached <> coalesce(m.moved, 0)"""),
    ),
    Invariant(
        "sum_is_zero",
        "The cached balances of all accounts do not sum to zero: money came from nowhere or went there.",
        by_sql("""
        SELECT 'off by ' || (total)::text || ' nano-dollars' FROM (
            SELECT (SELECT coalesce(sum(promotional_nanousd + paid_nanousd), 0) FROM wallet_funds)
                 + (SELECT coalesce(sum(balance_nanousd), 0) FROM wallet_housebalance) AS total) AS books
        WHERE total <> 0"""),
    ),
    Invariant(
        "wallet_accounts",
        "A wallet lacks one of its two accounts or its funds.",
        by_sql("""
        SELECT 'wallet ' || w.id FROM wallet_wallet w
        WHERE (SELECT count(*) FROM wallet_account a WHERE a.wallet_id = w.id) <> 2
            AND (%(wallets)s::bigint[] IS NULL OR w.id = ANY(%(wallets)s::bigint[]))
        UNION ALL SELECT 'wallet ' || w.id FROM wallet_wallet w LEFT JOIN wallet_funds f ON f.wallet_id = w.id
            WHERE f.wallet_id IS NULL AND (%(wallets)s::bigint[] IS NULL OR w.id = ANY(%(wallets)s::bigint[]))"""),
    ),
    Invariant(
        "references",
        "A reference moved money twice: the unique index was lost.",
        by_sql(f"""
        SELECT reference FROM wallet_transfer WHERE {OF_WALLETS} GROUP BY reference HAVING count(*) > 1"""),  # noqa: S608
    ),
    Invariant(
        "payments",
        "A paid top-up has no transfer of its amount, or a top-up transfer has no paid top-up: somebody was not credited, or"
        " was credited for nothing.",
        by_sql(f"""
        SELECT 'top-up ' || id FROM (SELECT * FROM wallet_topup WHERE {OF_WALLETS}) t
        WHERE state = 'paid' AND received_cents > 0 AND NOT EXISTS (
            SELECT FROM wallet_transfer x WHERE x.reference = 'top_up:' || t.payment_intent_id AND x.code = 'top_up'
                AND x.wallet_id = t.wallet_id AND x.amount_nanousd = t.received_cents * 10000000::bigint)
        UNION ALL
        SELECT 'transfer ' || x.id FROM (SELECT * FROM wallet_transfer WHERE code = 'top_up' AND {OF_WALLETS}) x
        WHERE (SELECT count(*) FROM wallet_topup t WHERE 'top_up:' || t.payment_intent_id = x.reference
               AND t.state = 'paid' AND t.wallet_id = x.wallet_id) <> 1"""),  # noqa: S608
    ),
    Invariant(
        "disputes",
        "What a dispute took from a wallet is not what Stripe withdrew for it less what it reinstated: a balance transaction"
        " was booked twice or not at all. Ask Stripe again on the dispute's page, then grant what is too much.",
        by_sql(f"""
        SELECT format('dispute %%s: its wallet lacks %%s nano-dollars and tax %%s, Stripe withdrew %%s cents and reinstated'
            ' %%s, of it tax %%s', d.id, coalesce(m.moved, 0), coalesce(s.tax, 0), d.withdrawn_cents, d.reinstated_cents,
            d.tax_cents)
        FROM wallet_dispute d JOIN (SELECT id FROM wallet_topup WHERE {OF_WALLETS}) t ON t.id = d.top_up_id
        LEFT JOIN (
            SELECT details ->> 'dispute' AS id, sum(amount_nanousd * CASE WHEN EXISTS (SELECT FROM wallet_account a
                WHERE a.id = debit_account_id AND a.wallet_id IS NOT NULL) THEN 1 ELSE -1 END) AS moved
            FROM wallet_transfer
            WHERE code IN ('dispute', 'dispute_reversal', 'tax') AND wallet_id IS NOT NULL AND {OF_WALLETS}
            GROUP BY details ->> 'dispute') m ON m.id = d.id
        CROSS JOIN LATERAL (
            SELECT sum(CASE WHEN x.debit_account_id = (SELECT id FROM wallet_account WHERE wallet_id IS NULL
                AND kind = 'tax_payable') THEN x.amount_nanousd ELSE -x.amount_nanousd END) AS tax
            FROM wallet_transfer x WHERE x.code = 'tax' AND x.details ->> 'dispute' = d.id) s
        WHERE (coalesce(m.moved, 0), coalesce(s.tax, 0)) IS DISTINCT FROM
            ((d.withdrawn_cents - d.reinstated_cents - d.tax_cents) * 10000000::bigint, d.tax_cents * 10000000::bigint)"""),  # noqa: S608
    ),
    Invariant(
        "held_totals",
        "What a wallet has held is not the sum of its open holds: its calls are let in or refused on a wrong number.",
        by_sql(f"""
        SELECT format('wallet %%s: holds %%s nano-dollars, its open holds sum to %%s', wallet_id, f.held_nanousd,
            coalesce(h.amount, 0))
        FROM (SELECT * FROM wallet_funds WHERE {OF_WALLETS}) f LEFT JOIN (
            SELECT wallet_id, sum(amount_nanousd) AS amount FROM wallet_hold WHERE state = 'open' AND {OF_WALLETS}
            GROUP BY wallet_id) h USING (wallet_id)
        WHERE f.held_nanousd <> coalesce(h.amount, 0)"""),  # noqa: S608
    ),
    Invariant(
        "sealed_days",
        "A row of a closed day was changed, removed or added after the day was sealed: somebody wrote past the triggers."
        " Compare that day with a backup. Only a run over all wallets looks at this.",
        seals.broken,
    ),
    Invariant(
        "leaked_holds",
        "A hold is neither closed nor expired an hour after its time: the periodic job does not run.",
        by_sql(f"""
        SELECT format('hold %%s of wallet %%s', id, wallet_id) FROM wallet_hold
        WHERE (state NOT IN ('open', 'expired') OR (state = 'open' AND expires_at < now() - interval '1 hour'))
            AND {OF_WALLETS}"""),  # noqa: S608
    ),
)
