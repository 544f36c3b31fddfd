"""The books against the clients' journal, in SQL of its own. Each finding is a sentence."""

from collections.abc import Iterator
from typing import Any

import psycopg

from tests.books import CHECKS
from tests.chaos.journal import Journal

NANO_PER_CENT = 10_000_000
SHOWN = 10

type Database = psycopg.Connection[tuple[Any, ...]]


def findings(url: str, journal: Journal) -> list[str]:
    """What is wrong; empty where all agrees. The load must have ended and the periodic jobs have come round."""
    with psycopg.connect(url) as database:
        return [
            *journal.contradictions,
            *_calls(database, journal),
            *_sums(database),
            *_top_ups(database, journal),
            *_starter_credit(database, journal),
            *_books(database),
        ]


def _calls(database: Database, journal: Journal) -> Iterator[str]:
    """Acknowledged is recorded once, at that charge; recorded is sent."""
    recorded: dict[str, int] = {}
    for call_id, charged in database.execute("SELECT id::text, charged_nanousd FROM logs_call"):
        if call_id in recorded:
            yield f"call {call_id} is recorded twice"
        recorded[call_id] = charged
    lost = journal.charged.keys() - recorded.keys()
    yield from _some("acknowledged calls are not recorded", lost)
    others = [
        call_id for call_id, charged in journal.charged.items() if recorded.get(call_id, charged) != charged
    ]
    yield from _some("calls are recorded at another charge than was answered", others)
    yield from _some("recorded calls were never sent", recorded.keys() - journal.sent)


def _sums(database: Database) -> Iterator[str]:
    """Three ways to what was used: the calls, the transfers, and what is missing from the wallets."""
    calls, transfers, missing = _row(
        database,
        """SELECT (SELECT coalesce(sum(charged_nanousd), 0) FROM logs_call),
            (SELECT coalesce(sum(amount_nanousd), 0) FROM wallet_transfer WHERE code = 'usage'),
            (SELECT coalesce(sum(amount_nanousd), 0) FROM wallet_transfer
                WHERE code IN ('grant', 'starter_grant', 'top_up'))
            - (SELECT sum(promotional_nanousd + paid_nanousd) FROM wallet_funds)""",
    )
    if not calls == transfers == missing:
        yield f"calls cost {calls}, transfers of usage are {transfers}, the wallets lack {missing} nano-dollars"


def _top_ups(database: Database, journal: Journal) -> Iterator[str]:
    """Paid once is credited once, to the cent; nothing else is credited."""
    credited: dict[str, list[int]] = {}
    found = database.execute(
        """SELECT p.session_id, t.amount_nanousd FROM wallet_transfer t
            LEFT JOIN wallet_topup p ON t.reference = 'top_up:' || p.payment_intent_id WHERE t.code = 'top_up'"""
    )
    for session, amount in found:
        credited.setdefault(session, []).append(amount)
    for session, cents in journal.paid.items():
        if credited.pop(session, []) != [cents * NANO_PER_CENT]:
            yield f"session {session} was paid with {cents} cents and is not credited once with that"
    yield from _some("sessions are credited that nobody paid", map(str, credited))


def _starter_credit(database: Database, journal: Journal) -> Iterator[str]:
    found = database.execute(
        """SELECT u.email, count(t.id) FROM accounts_user u LEFT JOIN wallet_wallet w ON w.owner_id = u.id
            LEFT JOIN wallet_transfer t ON t.wallet_id = w.id AND t.code = 'starter_grant' GROUP BY u.email"""
    )
    grants: dict[str, int] = dict(found.fetchall())
    wrong = [email for email in journal.signed_up if grants.get(email) != 1]
    yield from _some("people did not get their starter credit once", wrong)


def _books(database: Database) -> Iterator[str]:
    for claim, sql in CHECKS.items():
        rows = database.execute(sql).fetchall()
        if rows:
            yield f"not so: {claim}: {rows[:SHOWN]}"


def _row(database: Database, sql: str) -> tuple[Any, ...]:
    row = database.execute(sql).fetchone()
    assert row is not None
    return row


def _some(claim: str, ids: Any) -> Iterator[str]:
    listed = sorted(ids)
    if listed:
        yield f"{len(listed)} {claim}: {', '.join(listed[:SHOWN])}"
