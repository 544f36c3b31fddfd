"""What somebody with many calls looks at: addresses of the log, and conditions in SQL that find the same rows."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from bench.drawing import CALLS_OF_LAST_KEY
from bench.population import KEYS_PER_WALLET, Population
from logs import call_ids
from logs.pages import PAGE_SIZE, SEEN_DIGITS

DEEPEST_PAGE = 20_000
# So many addresses of a kind are asked for in turn, so that it is not one page that everybody remembers.
IN_TURN = 20


@dataclass(frozen=True, slots=True)
class Page:
    """A page in SQL: which calls, and how many of them stand before it."""

    condition: str
    parameters: tuple[Any, ...]
    skipped: int = 0


class Reader:
    """The owner of the first wallet, in the database of this connection."""

    def __init__(
        self, connection: "psycopg.Connection[tuple[Any, ...]]", people: Population, days: int
    ) -> None:
        self.connection = connection
        self.wallet_id = people.keys[0].wallet_id
        # The last one makes few calls, whatever the others make.
        self.key_id = people.keys[KEYS_PER_WALLET - 1].id
        # Drawing prefers the models in their order, and does not get to the last.
        self.seldom, self.never = people.models[-2], people.models[-1]
        # What few calls cost: more than all but the dearest ones of the model that is seldom called.
        charges = sorted(usage.charged_nanousd for usage in self.seldom.usages)
        self.dear = f"{Decimal(charges[-2]) / 10**9:f}"
        self.calls = int(self._one("SELECT count(*) FROM logs_call WHERE wallet_id = %s", self.wallet_id))
        # As long a time as calls for a page are made in.
        self.days = max(1, math.ceil(days * CALLS_OF_LAST_KEY / self.calls))

    def addresses(self) -> dict[str, list[str]]:
        """By the names of plan.LOG_PAGES."""
        ids = [self.id_at(self.calls * number // IN_TURN) for number in range(IN_TURN)]
        return {
            "first": ["/logs/"],
            "deep": [f"/logs/?before={self.id_at(place - 1)}" for place in self._deep()],
            "model": [f"/logs/?model={self.seldom.name}"],
            "model-never": [f"/logs/?model={self.never.name}"],
            "key": [f"/logs/?token={self.key_id}"],
            "day": [f"/logs/?from={first:%Y-%m-%d}&to={last:%Y-%m-%d}" for first, last in self._times()],
            "failed": ["/logs/?status=failed"],
            "dear": [f"/logs/?above={self.dear}"],
            "call": [f"/logs/?call={each}" for each in ids],
            "receipt": [f"/logs/{each}/" for each in ids],
            "poll": [self.poll()],
            "totals": ["/logs/?stream=yes"],
            "statistics": ["/logs/statistics/"],
            "statistics-long": ["/logs/statistics/?from=2000-01-01"],
            "statistics-hours": ["/logs/statistics/?preset=7d&by=hour"],
        }

    def pages(self) -> dict[str, Page]:
        """By the names of plan.LOG_PAGES_IN_SQL."""
        first, last = self._times()[0]
        bounds = (call_ids.floor(first), call_ids.floor(last + timedelta(days=1)))
        return {
            "first": Page("wallet_id = %s", (self.wallet_id,)),
            "deep": Page("wallet_id = %s", (self.wallet_id,), self._deep()[-1]),
            "model": Page("wallet_id = %s AND model_id = %s", (self.wallet_id, self.seldom.id)),
            "key": Page("wallet_id = %s AND key_id = %s", (self.wallet_id, self.key_id)),
            "day": Page("wallet_id = %s AND id >= %s AND id < %s", (self.wallet_id, *bounds)),
        }

    def id_at(self, place: int) -> UUID:
        """Of the call that has so many newer ones."""
        found = self._one(
            "SELECT id FROM logs_call WHERE wallet_id = %s ORDER BY id DESC OFFSET %s LIMIT 1",
            self.wallet_id,
            place,
        )
        assert isinstance(found, UUID)
        return found

    def poll(self) -> str:
        """Asks for calls that are newer than what a page shows now."""
        found = self.connection.execute(
            "SELECT id FROM logs_call WHERE wallet_id = %s ORDER BY id DESC LIMIT %s",
            (self.wallet_id, PAGE_SIZE),
        )
        return f"/logs/?live=1&seen={','.join(str(each)[-SEEN_DIGITS:] for (each,) in found)}"

    def _deep(self) -> list[int]:
        """How many calls stand before each of the deepest pages that are full."""
        last = min(DEEPEST_PAGE, self.calls // PAGE_SIZE) - 1
        return [page * PAGE_SIZE for page in range(max(1, last - IN_TURN), last + 1)]

    def _times(self) -> list[tuple[datetime, datetime]]:
        """First and last days of times that are over, the newest first."""
        today, length = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0), self.days
        ends = [today - timedelta(days=1 + number * length) for number in range(max(1, IN_TURN // length))]
        return [(end - timedelta(days=length - 1), end) for end in ends]

    def _one(self, statement: str, *parameters: object) -> Any:
        found = self.connection.execute(statement.encode(), parameters).fetchone()
        assert found is not None
        return found[0]
