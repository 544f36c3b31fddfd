"""One quick start under load, with what every trial needs: start, quiet down, compare."""

import json
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Self

import psycopg

from tests.chaos.audit import findings
from tests.chaos.gateways import Customers, Gateway
from tests.chaos.journal import Journal
from tests.chaos.shoppers import Shopper
from tests.stack import Stack

WALLETS = 12
GATEWAYS = 3
STOP_TIMEOUT_S = 120.0
# Beat comes round every minute, and an event that a killed worker had taken waits half a minute.
QUIET_TIMEOUT_S = 240.0
# Short, so that many expire on the way, before their calls are reported.
SETTINGS = {"HOLD_SECONDS": "10", "LOG_LEVEL": "WARNING"}
BY_HAND = (
    "from wallet import events, grants, holds, topups; events.handle_due(); topups.settle_unfinished();"
    "grants.give_missing_starter_credit(); holds.expire_overdue()"
)


class Trial:
    """`seed` decides everything that is left to chance."""

    def __init__(self, data_dir: Path, seed: str) -> None:
        self.seed = seed
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.stack = Stack(data_dir, settings=SETTINGS)
        self.journal = Journal(data_dir.with_name(data_dir.name + ".journal"))
        self.gateways: list[Gateway] = []
        self.shoppers: list[Shopper] = []

    def __enter__(self) -> Self:
        self.stack.up()
        made = self.stack.manage(
            "shell", "-v0", "-c", f"from tests.chaos.people import make; make({WALLETS})"
        )
        self.customers = Customers.read(json.loads(made))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stopping.set()
        self.stack.down()
        self.journal.close()

    @property
    def _workers(self) -> "list[Gateway | Shopper]":
        return [*self.gateways, *self.shoppers]

    def gateway(self, name: str) -> Gateway:
        """One more client, which the caller drives."""
        return Gateway(name, self.stack.port, self.customers, self.journal, self.seed)

    def shopper(self, name: str) -> Shopper:
        return Shopper(name, self.stack.base_url, self.control, self.journal, self.seed)

    def load(self, name: str = "load") -> None:
        """Starts the clients; all of them go on until `unload`."""
        self.gateways = [self.gateway(f"{name} gateway {number}") for number in range(GATEWAYS)]
        self.shoppers = [
            Shopper(f"{name}-shopper", self.stack.base_url, self.control, self.journal, self.seed)
        ]
        for worker in self._workers:
            worker.start()

    def unload(self) -> None:
        """Lets every client finish what it began: after that nothing is unacknowledged."""
        for worker in self._workers:
            worker.stopping.set()
        give_up_at = time.monotonic() + STOP_TIMEOUT_S
        for worker in self._workers:
            while worker.is_alive() and time.monotonic() < give_up_at and not self.stack.process_ended:
                worker.join(0.2)
            if worker.is_alive():
                self.journal.wrong(f"{worker.name} still has no answer after {STOP_TIMEOUT_S:.0f} s")
        self.gateways, self.shoppers = [], []

    def settle(self, *, by_hand: bool = False) -> None:
        """Waits until the periodic jobs have found again whatever was lost with a process or the queue.

        `by_hand` runs those jobs once itself, for a trial that has no minute to spare.
        """
        if self.stack.process_ended:
            return
        if by_hand:
            self.stack.manage("shell", "-v0", "-c", BY_HAND)
        give_up_at = time.monotonic() + (60 if by_hand else QUIET_TIMEOUT_S)
        while open_ends := self._open_ends(and_events=not by_hand):
            if time.monotonic() > give_up_at:
                self.journal.wrong(f"still open when all should be quiet: {open_ends}")
                return
            time.sleep(0.5)

    def _open_ends(self, *, and_events: bool) -> str:
        events, unsettled, waiting = 0, len(self.journal.paid), len(self.journal.signed_up)
        with suppress(psycopg.OperationalError), psycopg.connect(self.stack.env["DATABASE_URL"]) as database:
            row = database.execute(
                """SELECT (SELECT count(*) FROM wallet_stripeevent WHERE state = 'pending'),
                    (SELECT count(*) FROM wallet_topup WHERE session_id = ANY(%s) AND state = 'paid'),
                    (SELECT count(*) FROM accounts_user u JOIN wallet_wallet w ON w.owner_id = u.id
                        JOIN wallet_transfer t ON t.wallet_id = w.id AND t.code = 'starter_grant'
                        WHERE u.email = ANY(%s))""",
                [list(self.journal.paid), list(self.journal.signed_up)],
            ).fetchone()
            assert row is not None
            events, unsettled, waiting = row[0] * and_events, unsettled - row[1], waiting - row[2]
        texts = {"events": events, "top-ups": unsettled, "people without starter credit": waiting}
        return ", ".join(f"{number} {name}" for name, number in texts.items() if number)

    def pending_events(self) -> int:
        """Stripe's events that are stored and not handled yet."""
        with psycopg.connect(self.stack.env["DATABASE_URL"]) as database:
            row = database.execute(
                "SELECT count(*) FROM wallet_stripeevent WHERE state = 'pending'"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def compare(self) -> list[str]:
        """Findings of the journal, of the audit and of the product's own invariants."""
        if self.stack.process_ended:
            return [*self.journal.contradictions, f"the quick start gave up:\n{self.stack.output[-2000:]}"]
        found = findings(self.stack.env["DATABASE_URL"], self.journal)
        try:
            self.stack.manage("check_invariants")
        except AssertionError as error:
            found.append(f"check_invariants: {error}")
        return found

    def control(self, path: str, body: str = "") -> None:
        """The stand-in's own addresses: pay without a browser, lose webhooks."""
        request = urllib.request.Request(  # noqa: S310 - our own http
            f"{self.stack.env['STRIPE_API_BASE']}/_sandbox/{path}",
            body.encode(),
            {"Authorization": f"Bearer {self.stack.env['STRIPE_SECRET_KEY']}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(request, timeout=20).close()
