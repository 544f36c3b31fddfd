"""Gateways under load: ask, call, report; whatever is not acknowledged is sent again, with the same ids."""

import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from logs import call_ids
from tests.chaos.connection import Answer, Connection
from tests.chaos.journal import Journal

LARGEST_BATCH = 200
# Most calls of a large batch are reported without having been asked for, as after an outage; it keeps the load modest.
MOST_ASKED = 4
LONGEST_PAUSE_S = 0.15


@dataclass(frozen=True)
class Customers:
    """Whose calls they are, and at what price."""

    gateway_key: str
    keys: list[tuple[str, int]]
    """API key and token_id."""
    prices: dict[str, dict[str, int]]

    @classmethod
    def read(cls, made: dict[str, Any]) -> "Customers":
        return cls(made["gateway"], [(key, token_id) for key, token_id, _ in made["keys"]], made["prices"])

    def charge_nanousd(self, call: dict[str, Any]) -> int:
        """Worked out here once more: quantity × price, rounded once, half to even."""
        prices = self.prices[call["model"]]
        picousd = sum(quantity * prices[unit] for unit, quantity in call["usage"].items())
        whole, rest = divmod(picousd if call["status"] == "succeeded" else 0, 1000)
        return whole + (rest > 500 or (rest == 500 and whole % 2 == 1))


class Gateway(threading.Thread):
    """Stops when told to, after everything it sent was acknowledged."""

    def __init__(self, name: str, port: int, customers: Customers, journal: Journal, seed: str) -> None:
        super().__init__(name=name, daemon=True)
        self.random = random.Random(f"{seed}:{name}")
        self.customers, self.journal = customers, journal
        self.connection = Connection(port, customers.gateway_key)
        self.stopping = threading.Event()
        self._old: list[dict[str, Any]] = []

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.report(self.batch())
                time.sleep(self.random.uniform(0, LONGEST_PAUSE_S))
        except Exception as error:
            self.journal.wrong(f"{self.name} broke off: {error!r}")
        finally:
            self.connection.close()

    def batch(self) -> list[dict[str, Any]]:
        """Calls of any wallets in any order, now and then with some that were acknowledged long ago."""
        size = self.random.choice([1, 1, self.random.randint(2, 20), self.random.randint(21, LARGEST_BATCH)])
        calls = [self.call(is_asked=number < MOST_ASKED) for number in range(size)]
        if self._old and self.random.random() < 0.2:
            calls += self.random.sample(self._old, min(len(self._old), 3))
        self.random.shuffle(calls)
        return calls

    def report(self, calls: list[dict[str, Any]]) -> None:
        """Send until acknowledged; after a failure perhaps in two parts, in another order."""
        waiting = [calls]
        while waiting:
            part = waiting.pop()
            self.journal.send([call["call_id"] for call in part])
            answer = self.connection.post("calls", {"calls": part})
            if answer.status == 200:
                self.acknowledged(part, answer)
                continue
            self._failed(answer)
            self.random.shuffle(part)
            middle = self.random.randrange(len(part)) if self.random.random() < 0.3 else 0
            waiting += [half for half in (part[:middle], part[middle:]) if half]

    def acknowledged(self, calls: list[dict[str, Any]], answer: Answer) -> None:
        """Note the results of a good answer, each with the charge that it should have."""
        self.journal.answered_well()
        results = answer.body["results"]
        if [result["call_id"] for result in results] != [call["call_id"] for call in calls]:
            self.journal.wrong("the results are not those of the calls, in their order")
        for call, result in zip(calls, results, strict=True):
            expected = self.customers.charge_nanousd(call)
            self.journal.acknowledge(call["call_id"], result["result"], result["charged_nanousd"], expected)
        self._old = self.random.sample([*self._old, *calls], min(50, len(self._old) + len(calls)))

    def call(self, *, is_asked: bool) -> dict[str, Any]:
        """A finished call; one that `authorize` was asked about before, or one that only comes to be reported."""
        key, token_id = self.random.choice(self.customers.keys)
        model = self.random.choice(sorted(self.customers.prices))
        units = self.random.sample(["input_tokens", "cached_input_tokens", "output_tokens"], 2)
        return {
            "call_id": (self._ask(key, model) if is_asked else None) or str(call_ids.new()),
            "model": model,
            "started_at": datetime.now(UTC).isoformat(),
            "token_id": token_id,
            "status": "succeeded" if self.random.random() < 0.95 else "failed",
            "usage": {unit: self.random.randint(0, 5_000) for unit in units},
        }

    def _ask(self, key: str, model: str) -> str | None:
        """The id of an admitted call; None where there is no good answer soon, and the call is made all the same."""
        for _ in range(2):
            answer = self.connection.post("authorize", {"key": key, "model": model})
            if answer.status == 200:
                self.journal.answered_well()
                self.journal.admit(answer.body)
                return str(answer.body["call_id"])
            self._failed(answer)
        return None

    def _failed(self, answer: Answer) -> None:
        self.journal.retry()
        if answer.status not in {0, 503}:
            self.journal.wrong(f"the metering API answered {answer.status}: {answer.body}")
        if answer.status == 503 and not answer.retry_after:
            self.journal.wrong("a 503 came without Retry-After")
        time.sleep(self.random.uniform(0.02, 0.3))
