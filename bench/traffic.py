"""Requests as a gateway sends them, rendered before they are needed.

Every call that is going to be recorded has an open hold, as if it had been let in: the rows are inserted in bulk, and the
wallets' held totals raised by their sum. So recording does all of its work, closing holds included, and asking first
costs none of the window.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction

from bench.population import Key, Population, SoldModel
from logs import call_ids
from wallet import ledger
from wallet.transactions import rows

HELD_NANOUSD = 5_000_000
# Bounds memory: so many calls are rendered and held at a time.
HOLDS_AT_ONCE = 20_000


def request(path: str, gateway_key: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {gateway_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def plain_request(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    told = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{told}\r\n".encode()


def authorize_requests(population: Population, keys: Sequence[Key]) -> list[bytes]:
    """One for each of these keys, in random order."""
    drawn = random.sample(keys, len(keys))
    return [
        request(
            "/metering/v1/authorize",
            population.gateway_key,
            json.dumps(
                {
                    "key": key.text,
                    "model": random.choice(population.models).name,
                    "input_tokens": 900,
                    "max_output_tokens": 800,
                    "client_ip": "192.0.2.77",
                }
            ).encode(),
        )
        for key in drawn
    ]


@dataclass(slots=True)
class Stock:
    """Batches that wait to be sent. An id is sent once; what a window left over is for the next."""

    population: Population
    keys: Sequence[Key]
    size: int
    requests: list[bytes] = field(default_factory=list)

    def fill(self, calls: int) -> None:
        """Render batches and hold their calls until there are this many calls."""
        missing = -(-calls // self.size) - len(self.requests)
        at_once = max(1, HOLDS_AT_ONCE // self.size)
        while missing > 0:
            batches = [self._draw() for _ in range(min(missing, at_once))]
            hold([call for batch in batches for call in batch])
            self.requests.extend(self._request(batch) for batch in batches)
            missing -= len(batches)

    def taken(self, number: int) -> None:
        """Forget the first ones, which were sent."""
        del self.requests[:number]

    def _draw(self) -> list["Call"]:
        chosen = random.choices(self.keys, k=self.size)
        models = random.choices(self.population.models, k=self.size)
        return [Call(call_ids.new(), key, model) for key, model in zip(chosen, models, strict=True)]

    def _request(self, batch: Iterable["Call"]) -> bytes:
        started_at = datetime.now(UTC).isoformat()
        body = '{"calls": [' + ", ".join(call.as_json(started_at) for call in batch) + "]}"
        return request("/metering/v1/calls", self.population.gateway_key, body.encode())


@dataclass(frozen=True, slots=True)
class Call:
    id: UUID
    key: Key
    model: SoldModel

    def as_json(self, started_at: str) -> str:
        usage = json.dumps(random.choice(self.model.usages).quantities)
        return (
            f'{{"call_id": "{self.id}", "model": "{self.model.name}", "started_at": "{started_at}",'
            f' "token_id": {self.key.id}, "status": "succeeded", "usage": {usage}, "latency_ms": 1843,'
            f' "first_token_ms": 312, "stream": true, "endpoint": "/v1/chat/completions",'
            f' "upstream_id": "chatcmpl-{self.id.hex}"}}'
        )


def hold(calls: Sequence[Call]) -> None:
    """Open holds for these calls, and raise what their wallets have held, in one transaction."""
    held: dict[int, int] = {}
    for call in calls:
        held[call.key.wallet_id] = held.get(call.key.wallet_id, 0) + HELD_NANOUSD
    with transaction.atomic():
        ledger.lock(held)
        rows(
            "INSERT INTO wallet_hold (id, wallet_id, reference, memo, amount_nanousd, expires_at, state)"
            " SELECT id, wallet_id, reference, memo, %s, now() + interval '1 day', 'open'"
            " FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[]) AS h(id, wallet_id, reference, memo)",
            [
                HELD_NANOUSD,
                [call.id for call in calls],
                [call.key.wallet_id for call in calls],
                [str(call.key.id) for call in calls],
                [call.model.name for call in calls],
            ],
        )
        rows(
            "UPDATE wallet_funds f SET held_nanousd = f.held_nanousd + h.amount"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS h(wallet_id, amount) WHERE f.wallet_id = h.wallet_id",
            [list(held), list(held.values())],
        )
