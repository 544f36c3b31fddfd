"""Clients of the gateway under load, and what each of them remembers: the calls, and which answers it has whole."""

import json
import random
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psycopg

from tests.books import CHECKS
from tests.gateway.running import RunningGateway

MODEL = "gpt-4o-mini"
TIMEOUT = httpx2.Timeout(30.0, connect=2.0)
# Nobody asks again at once where nothing answers.
PAUSE_S = 0.1
TOLD_WITHIN_S = 60.0


@dataclass
class Remembered:
    """What the clients were answered. A call's id is the answer's x-request-id."""

    begun: set[str] = field(default_factory=set)
    """Answers of which at least the head arrived."""
    whole: dict[str, bool] = field(default_factory=dict)
    """Answers that were read to their end, and whether they were a success."""
    refused: Counter[int] = field(default_factory=Counter)
    """By status, of what no call was made for."""
    lost: int = 0
    """Requests of which no head arrived: whether there is a call for them, a client can't know."""
    served_at: list[float] = field(default_factory=list)
    """Times of whole successes, by the monotonic clock."""
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client(threading.Thread):
    """Calls until it is stopped, every second time with a stream."""

    def __init__(self, gateway: RunningGateway, key: str, remembered: Remembered, number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._url, self._key, self._remembered = f"{gateway.url}/v1/chat/completions", key, remembered
        self._random = random.Random(number)
        self.stopping = threading.Event()

    def run(self) -> None:
        with httpx2.Client(timeout=TIMEOUT, trust_env=False) as http:
            while not self.stopping.is_set():
                try:
                    self._call(http)
                except httpx2.HTTPError:
                    self.stopping.wait(PAUSE_S)
                except Exception as error:
                    self._remembered.wrong.append(f"{self.name} broke off: {error!r}")
                    return

    def _call(self, http: httpx2.Client) -> None:
        words = " ".join("word" for _ in range(self._random.randint(1, 200)))
        asked = {
            "model": MODEL,
            "messages": [{"role": "user", "content": words}],
            "stream": self._random.random() < 0.5,
        }
        call_id = ""
        try:
            headers = {"Authorization": f"Bearer {self._key}"}
            with http.stream("POST", self._url, json=asked, headers=headers) as answer:
                call_id = answer.headers.get("x-request-id", "")
                self._began(call_id)
                self._ended(call_id, answer, answer.read().decode())
        except httpx2.HTTPError:
            with self._remembered.lock:
                self._remembered.lost += not call_id
            raise
        if answer.status_code >= 500:
            self.stopping.wait(PAUSE_S)

    def _began(self, call_id: str) -> None:
        with self._remembered.lock:
            if call_id in self._remembered.begun:
                self._remembered.wrong.append(f"call {call_id} was answered twice")
            if call_id:
                self._remembered.begun.add(call_id)

    def _ended(self, call_id: str, answer: httpx2.Response, body: str) -> None:
        with self._remembered.lock:
            if not call_id:
                self._remembered.refused[answer.status_code] += 1
                return
            is_success = answer.status_code == 200
            is_stream = answer.headers["content-type"].startswith("text/event-stream")
            if is_success and (not is_stream or body.endswith("data: [DONE]\n\n")):
                self._remembered.whole[call_id] = True
                self._remembered.served_at.append(time.monotonic())
            elif not is_success:
                self._remembered.whole[call_id] = False


class Load:
    """Used as `with`: so many clients of one key call until it is left."""

    def __init__(self, gateway: RunningGateway, key: str, count: int = 6) -> None:
        self.remembered = Remembered()
        self._clients = [Client(gateway, key, self.remembered, number) for number in range(count)]

    def __enter__(self) -> Remembered:
        for client in self._clients:
            client.start()
        return self.remembered

    def __exit__(self, *error: object) -> None:
        for client in self._clients:
            client.stopping.set()
        for client in self._clients:
            client.join(60)
            assert not client.is_alive(), f"{client.name} still has no answer"


def wait_until_told(gateway: RunningGateway) -> None:
    """Until the journal has nothing more to tell."""
    gateway.wait_for(lambda: waiting(gateway) == 0, TOLD_WITHIN_S)


def waiting(gateway: RunningGateway) -> int:
    """How many calls its journal has."""
    journal = sqlite3.connect(f"file:{gateway.data_dir / 'journal.sqlite3'}?mode=ro", uri=True, timeout=20)
    try:
        return int(journal.execute("SELECT count(*) FROM calls").fetchone()[0])
    finally:
        journal.close()


def findings(url: str, email: str, remembered: Remembered, credited_nanousd: int) -> list[str]:
    """What is wrong between what the clients remember and the books; empty where all agrees."""
    with psycopg.connect(url) as database:
        rows = database.execute(_CALLS, [email]).fetchall()
        recorded = {call_id: (status, charged, usage) for call_id, status, charged, usage in rows}
        found = [*remembered.wrong, *_against(recorded, remembered)]
        if len(recorded) != len(rows):
            found.append("a call is recorded twice")
        found += _sums(database, email, sum(charged for _, charged, _ in recorded.values()), credited_nanousd)
        for claim, sql in CHECKS.items():
            if wrong := database.execute(sql).fetchall():
                found.append(f"not so: {claim}: {wrong[:5]}")
        return found


def _against(recorded: dict[str, tuple[str, int, Any]], remembered: Remembered) -> list[str]:
    found = []
    for call_id, is_success in remembered.whole.items():
        status, charged, usage = recorded.get(call_id, ("", 0, {}))
        if status != ("succeeded" if is_success else "failed"):
            found.append(
                f"call {call_id} was answered whole ({is_success}) and is {status or 'not recorded'}"
            )
        elif is_success and (charged <= 0 or not usage):
            found.append(f"call {call_id} was answered whole and costs {charged} for {json.dumps(usage)}")
    # Of a call without any head the client knows nothing, and of each such request there is one call at most.
    unknown = recorded.keys() - remembered.begun
    if len(unknown) > remembered.lost:
        found.append(f"{len(unknown)} calls are recorded for {remembered.lost} requests without an answer")
    found += [
        f"call {call_id} failed and costs {charged}"
        for call_id, (status, charged, _) in recorded.items()
        if status == "failed" and charged
    ]
    return found


def _sums(
    database: "psycopg.Connection[tuple[Any, ...]]", email: str, charged: int, credited: int
) -> list[str]:
    row = database.execute(_MONEY, {"email": email}).fetchone()
    assert row is not None
    used, balance, held_for_recorded, latest_hold_s = row
    found = []
    if not charged == used == credited - balance:
        found.append(f"calls cost {charged}, transfers are {used}, the wallet lacks {credited - balance}")
    if held_for_recorded:
        found.append(f"{held_for_recorded} holds are open of calls that are recorded")
    if latest_hold_s and latest_hold_s > 15 * 60:
        found.append(f"a hold ends only in {latest_hold_s} s")
    return found


_CALLS = """
    SELECT c.id::text, c.status, c.charged_nanousd, c.usage FROM logs_call c
    JOIN wallet_wallet w ON w.id = c.wallet_id JOIN accounts_user u ON u.id = w.owner_id WHERE u.email = %s
"""
_MONEY = """
    WITH mine AS (
        SELECT w.id FROM wallet_wallet w JOIN accounts_user u ON u.id = w.owner_id WHERE u.email = %(email)s
    ), holds AS (SELECT * FROM wallet_hold WHERE wallet_id IN (SELECT id FROM mine) AND state = 'open')
    SELECT (SELECT coalesce(sum(amount_nanousd), 0) FROM wallet_transfer
            WHERE code = 'usage' AND wallet_id IN (SELECT id FROM mine)),
        (SELECT promotional_nanousd + paid_nanousd FROM wallet_funds WHERE wallet_id IN (SELECT id FROM mine)),
        (SELECT count(*) FROM holds JOIN logs_call c ON c.id = holds.id),
        (SELECT extract(epoch FROM max(expires_at) - now()) FROM holds)
"""
