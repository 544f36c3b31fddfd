"""What the processes of a crew (crew.py) do. Every public function is a job: JSON in, JSON out.

Run as a program it takes pairs of pipes: jobs come by the one, answers go by the other.
"""

import importlib
import json
import os
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
import psycopg

if __name__ == "__main__":
    django.setup()

from django.conf import settings
from django.db import connection, transaction

from accounts.audit import Instruction, Refused
from accounts.models import User
from logs import authorizing, call_ids, estimating
from logs.recording import record
from pricing import catalogue
from tests.ledger.postings import paid_top_up
from tests.parallel import at_once
from tokens import keys
from wallet import acts, holds, invariants, ledger
from wallet.models import Transfer, Wallet
from wallet.transactions import rows


@contextmanager
def locks(*, taken: bool) -> Iterator[None]:
    """Wait behind each statement that locks or counts, so that others come in between; or leave all locks out."""
    pause = 0.02 if taken else 0.3  # Long enough that none misses the race on a busy machine.
    real = psycopg.Cursor.execute

    def execute(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        is_lock = isinstance(query, str) and "FOR UPDATE" in query
        done = real(self, query.replace("FOR UPDATE", "") if is_lock and not taken else query, *rest, **more)
        if is_lock or "COUNT(" in str(query):
            time.sleep(pause)
        return done

    psycopg.Cursor.execute = execute  # type: ignore[method-assign]  # that is the point
    try:
        yield
    finally:
        psycopg.Cursor.execute = real  # type: ignore[method-assign]


def call(key_id: int, **more: Any) -> dict[str, Any]:
    """$0.006 of gpt-4o."""
    return {
        "call_id": str(call_ids.new()),
        "model": "gpt-4o",
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "token_id": key_id,
        "status": "succeeded",
        "usage": {"input_tokens": 1200, "output_tokens": 300},
        **more,
    }


def split(*, number: int, key_id: int, count: int, is_locked: bool) -> list[str]:
    """Calls one at a time on one wallet."""
    with locks(taken=is_locked):
        return [record([call(key_id)])[0].result for _ in range(count)]


def issue(*, number: int, wallet_id: int, limit: int, count: int, is_locked: bool) -> int:
    """Keys up to the limit; how many were made."""
    settings.KEYS_PER_WALLET = limit
    wallet, made = Wallet.objects.get(pk=wallet_id), 0
    with locks(taken=is_locked):
        for _ in range(count):
            try:
                keys.issue(wallet, "the same name")
                made += 1
            except keys.KeyLimitReached:
                pass
    return made


def lock_all(*, number: int, wallet_ids: list[int], seconds: float, is_ordered: bool) -> int:
    """Lock the same wallets again and again; odd processes read the table in another way than even ones."""
    lost, over = 0, time.monotonic() + seconds
    plan = "enable_seqscan" if number % 2 else "enable_indexscan"
    while time.monotonic() < over:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
                cursor.execute(f"SET LOCAL {plan} = off")
                cursor.execute("SET LOCAL enable_bitmapscan = off")
                if is_ordered:
                    ledger.lock(wallet_ids)
                else:
                    cursor.execute(
                        "SELECT 1 FROM wallet_funds WHERE wallet_id = ANY(%s) FOR UPDATE", [wallet_ids]
                    )
        except django.db.OperationalError:
            lost += 1
    _tell_statistics()
    return lost


def opposite(*, number: int, key_ids: list[int], seconds: float) -> int:
    """Batches over all wallets, in an order that is another one in every process."""
    accepted, over = 0, time.monotonic() + seconds
    while time.monotonic() < over:
        order = (
            sorted(key_ids, reverse=bool(number % 2)) if number < 2 else random.sample(key_ids, len(key_ids))
        )
        accepted += sum(result.result == "accepted" for result in record([call(key) for key in order]))
    _tell_statistics()
    return accepted


def same(*, number: int, reports: list[dict[str, Any]], threads: int) -> list[list[str]]:
    """One report a thread, all at once: what became of it, and the charge."""

    def send(thread: int) -> list[str]:
        (result,) = record([reports[thread % len(reports)]])
        return [result.error["code"] if result.error else result.result, str(result.charged_nanousd)]

    return at_once(threads, send)


def undo(*, number: int, transfer_id: int, staff_id: int, threads: int) -> int:
    """How many of the threads' corrections of one transfer were made."""
    staff, transfer = User.objects.get(pk=staff_id), Transfer.objects.get(pk=transfer_id)

    def correct(_: int) -> bool:
        try:
            acts.correct(Instruction(staff, "It was a mistake.", uuid.uuid4()), transfer)
        except Refused:
            return False
        return True

    return at_once(threads, correct).count(True)


def ask(*, number: int, text: str, threads: int, most: int) -> list[list[Any]]:
    """As many calls as are let in; the id and the hold of each, in the order in which this process was answered."""

    def until_refused(_: int) -> list[list[Any]]:
        found: list[list[Any]] = []
        while len(found) < most:
            try:
                size = random.choice([100, 1_000, 4_000])
                told = authorizing.authorize(authorizing.Question(text, "gpt-4o", None, size, 0))
            except authorizing.Refused:
                break
            found.append([str(told.call_id), told.held_nanousd])
        return found

    return [each for thread in at_once(threads, until_refused) for each in thread]


def check_then_hold(*, number: int, wallet_id: int, amount: int) -> bool:
    """What authorize would be in two statements: look, and hold after."""
    available = ledger.balances(Wallet.objects.get(pk=wallet_id)).available_nanousd
    time.sleep(0.3)
    if available > 0:
        rows(
            "UPDATE wallet_funds SET held_nanousd = held_nanousd + %s WHERE wallet_id = %s",
            [amount, wallet_id],
        )
    return available > 0


def grant(*, number: int, wallet_id: int, staff_id: int, amount: int) -> int:
    staff = User.objects.get(pk=staff_id)
    by = Instruction(staff, "The line was bad.", uuid.uuid4())
    return acts.give_credit(by, Wallet.objects.get(pk=wallet_id), amount).amount_nanousd


def top_up(*, number: int, wallet_id: int, cents: int) -> None:
    paid_top_up(Wallet.objects.get(pk=wallet_id), cents=cents)


def drift(
    *, number: int, keys_of: dict[str, str], hot: str, staff_id: int, seconds: float
) -> dict[str, dict[str, int]]:
    """Mixed work on one hot wallet and many others; what came of it, by the key's id. Number 0 checks the books."""
    over = time.monotonic() + seconds
    if number == 0:
        return _watch(over)
    staff, rng = User.objects.get(pk=staff_id), random.Random(number)
    charged: Counter[str] = Counter()
    given: Counter[str] = Counter()
    open_calls: list[tuple[str, str]] = []
    sent: list[dict[str, Any]] = []
    while time.monotonic() < over:
        key_id = hot if rng.random() < 0.4 else rng.choice(sorted(keys_of))
        match rng.randrange(12):
            case 0 | 1 | 2:
                question = authorizing.Question(keys_of[key_id], "gpt-4o", None, rng.choice([0, 900]), 0)
                open_calls.append((str(authorizing.authorize(question).call_id), key_id))
            case 3 if open_calls:
                holds.release(uuid.UUID(open_calls.pop()[0]))
            case 4:
                holds.expire_overdue()
            case 5:
                key = keys_of[key_id]
                wallet_id = rows("SELECT wallet_id FROM tokens_apikey WHERE digest = %s", [keys.digest(key)])[
                    0
                ][0]
                by = Instruction(staff, "More of the same.", uuid.uuid4())
                acts.give_credit(by, Wallet.objects.get(pk=wallet_id), 5_000_000)
                given[key_id] += 5_000_000
            case _:
                batch = [call(int(rng.choice([hot, *keys_of]))) for _ in range(rng.choice([1, 1, 3, 20]))]
                batch += [call(int(owner), call_id=call_id) for call_id, owner in open_calls[:5]]
                batch += rng.sample(sent, min(len(sent), 3))
                rng.shuffle(batch)
                open_calls, sent = open_calls[5:], [*sent, *batch][-50:]
                for report, result in zip(batch, record(batch), strict=True):
                    assert result.error is None, result
                    if result.result == "accepted":
                        charged[str(report["token_id"])] += result.charged_nanousd
    _tell_statistics()
    return {"charged": charged, "given": given}


def _watch(over: float) -> dict[str, dict[str, int]]:
    """The invariants hold in every snapshot, also while everything moves."""
    runs = 0
    while time.monotonic() < over:
        assert invariants.check() == []
        runs += 1
        time.sleep(0.2)
    return {"runs": {"": runs}}


def _tell_statistics() -> None:
    """What this process counted, deadlocks among it, is seen by others from here on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")


def main(pipes: list[int]) -> None:
    """Divide into as many processes as there are pairs of pipes; the one that was started waits for the others."""
    for listens, speaks in zip(pipes[::2], pipes[1::2], strict=True):
        if os.fork() == 0:
            for other in set(pipes) - {listens, speaks}:
                os.close(other)
            work(listens, speaks)
            return
    for pipe in pipes:
        os.close(pipe)
    for _ in pipes[::2]:
        os.wait()


def work(listens: int, speaks: int) -> None:
    """One job after the other, until nobody gives any."""
    jobs = importlib.import_module("tests.ledger.jobs")
    with open(listens) as orders, open(speaks, "w") as answers:
        for line in orders:
            asked = json.loads(line)
            catalogue.forget()
            estimating.forget()
            connection.ensure_connection()
            print("ready", file=answers, flush=True)
            orders.readline()
            try:
                answer = {"done": getattr(jobs, asked["job"])(**asked["arguments"])}
            except Exception as error:
                answer = {"failed": f"{asked['job']}: {error!r}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main([int(pipe) for pipe in sys.argv[1:]])
