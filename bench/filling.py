"""Fills the books with calls of the past, with all that belongs to them, as batches would have recorded them.

Written by COPY, chunk by chunk in the order of their time: the calls, a transfer for each wallet of a batch (which moves the
balances), and the roll-ups of usage, those by the product's own statements. So every invariant holds over them, and every
receipt adds up. The calls' indexes are built afterwards.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from bench.drawing import CALLS_OF_LAST_KEY, DAY_MS, Drawing, Drawn, Kind, Past, Payer
from bench.population import KEYS_PER_WALLET, Population
from tokens import spending
from wallet import ledger

CHUNK = 400_000
# The newest call is so old, so that what is recorded meanwhile comes after it.
AGO_MS = 3_600_000
CALLS: LiteralString = (
    "COPY logs_call (id, wallet_id, key_id, model_id, price_version_id, status, usage, charged_nanousd,"
    " promotional_nanousd, promotional_transfer_id, started_at, recorded_at, held_nanousd, balance_after_nanousd,"
    " stream, latency_ms, first_token_ms, endpoint, upstream_id) FROM STDIN"
)
TRANSFERS: LiteralString = (
    "COPY wallet_transfer (id, created_at, code, reference, debit_account_id, credit_account_id, wallet_id,"
    " amount_nanousd, details) FROM STDIN"
)
MONTHS = """
    SELECT logs_make_partition(month::date) FROM generate_series(
        date_trunc('month', to_timestamp(%s) AT TIME ZONE 'UTC'), now() AT TIME ZONE 'UTC', interval '1 month') AS month
"""
# Of the partitioned table itself: those of its months come and go with them.
INDEXES = """
    SELECT c.conname::text, 'ALTER TABLE logs_call ADD CONSTRAINT ' || c.conname || ' ' || pg_get_constraintdef(c.oid),
        'ALTER TABLE logs_call DROP CONSTRAINT ' || c.conname
    FROM pg_constraint c WHERE c.conrelid = 'logs_call'::regclass AND c.contype = 'p'
    UNION ALL
    SELECT i.indexrelid::regclass::text, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '),
        'DROP INDEX ' || i.indexrelid::regclass
    FROM pg_index i WHERE i.indrelid = 'logs_call'::regclass AND NOT i.indisprimary
"""


# As recording counts them, but for hours that would be gone by now.
ALL_HOURS = "FROM used\n        ON CONFLICT (hour, wallet_id"
ROLL_UPS = spending.ADD.replace(
    ALL_HOURS,
    ALL_HOURS.replace(
        "used",
        "used WHERE hour >= extract(epoch FROM date_trunc('day', now(), 'UTC') - interval '62 days') / 3600",
    ),
)


class History:
    """Calls of the past in the database of this address; `calls` is how many there are by now."""

    def __init__(
        self, connection: "psycopg.Connection[tuple[Any, ...]]", people: Population, past: Past
    ) -> None:
        self.connection = connection
        self.past = past
        self.calls = 0
        self.revenue_id = ledger.house_id("revenue")
        began_ms = int(time.time() * 1000) - AGO_MS - past.days * DAY_MS
        assert ALL_HOURS in spending.ADD
        hours_from_ms = int(spending.oldest_hour().timestamp() * 1000)
        # Rows of roll-ups in the order of their index, of which then each page is looked up once a chunk.
        connection.execute("SET work_mem = '256MB'; SET enable_hashagg = off")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(MONTHS, [began_ms / 1000])
        kinds = [[Kind.of(model, usage) for usage in model.usages] for model in people.models]
        self.drawing = Drawing(past, self._payers(people), kinds, began_ms, hours_from_ms)

    def _payers(self, people: Population) -> list[Payer]:
        first = people.keys[::KEYS_PER_WALLET]
        evenly = self.past.calls * (1 - self.past.largest_share) / len(first)
        payers = []
        for place, key in enumerate(first):
            expected = evenly + (self.past.calls * self.past.largest_share if place == 0 else 0)
            own = people.keys[place * KEYS_PER_WALLET : (place + 1) * KEYS_PER_WALLET]
            every = max(2, round(expected / CALLS_OF_LAST_KEY))
            payers.append(Payer(place, key.wallet_id, [one.id for one in own], every))
        return payers

    def _catch_up(self) -> None:
        """With what happened since the last time."""
        found = self.connection.execute("SELECT coalesce(max(id), 0) FROM wallet_transfer").fetchone()
        assert found is not None
        self.drawing.next_transfer_id = found[0] + 1
        funds = self.connection.execute(
            "SELECT f.wallet_id, a.id, f.promotional_nanousd + f.paid_nanousd FROM wallet_funds f"
            " JOIN wallet_account a ON a.wallet_id = f.wallet_id AND a.kind = 'promotional'"
        )
        known = {wallet_id: (account_id, balance) for wallet_id, account_id, balance in funds}
        for payer in self.drawing.payers:
            payer.account_id, payer.balance_nanousd = known[payer.wallet_id]

    def fill(self, size: int) -> None:
        """Write calls until there are so many of them, and leave the tables as a quiet night would: vacuumed.

        Nothing else may be recorded meanwhile.
        """
        self._catch_up()
        with self._indexed_afterwards():
            # The next ones are drawn while PostgreSQL is busy with the last.
            with ThreadPoolExecutor(1) as writer:
                written: Future[None] | None = None
                while self.calls < size:
                    until = min(self.calls + CHUNK, size)
                    drawn = self.drawing.draw(self.calls, until)
                    if written is not None:
                        written.result()
                    written = writer.submit(self._write, drawn, self.drawing.next_transfer_id)
                    self.calls = until
            if written is not None:
                written.result()
        self.connection.execute("VACUUM (ANALYZE)")
        self.connection.execute("CHECKPOINT")

    def _write(self, drawn: Drawn, next_transfer_id: int) -> None:
        with self.connection.transaction():
            self._copy(CALLS, "".join(drawn.calls))
            self._copy(TRANSFERS, "".join([bill.line(self.revenue_id) for bill in drawn.bills]))
            for _, parameters in spending.adding(dict(sorted(drawn.used.items()))).statements:
                self.connection.execute(ROLL_UPS.encode(), parameters)
            self.connection.execute("SELECT setval('wallet_transfer_id_seq', %s)", [next_transfer_id])

    def _copy(self, statement: LiteralString, lines: str) -> None:
        with self.connection.cursor().copy(statement) as sink:
            sink.write(lines)

    @contextmanager
    def _indexed_afterwards(self) -> Iterator[None]:
        found = self.connection.execute(INDEXES).fetchall()
        for _, _, drop in found:
            self.connection.execute(drop.encode())
        yield
        for _, make, _ in found:
            self.connection.execute(make.encode())

    def megabytes(self) -> int:
        found = self.connection.execute("SELECT pg_database_size(current_database()) / 1048576").fetchone()
        assert found is not None
        return int(found[0])
