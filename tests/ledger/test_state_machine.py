"""Any order of anything that happens to wallets, on the real database, against the books in plain Python (model.py).

STATE_MACHINE_EXAMPLES=2000 looks for longer, at other examples every time.
"""

import logging
import os
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from logs import call_ids
from logs.models import Call
from tests.ledger.machine import SEEN, sell_all
from tests.ledger.model import Answer, Hold, Movement
from tests.ledger.refund_rules import RefundRules
from wallet import invariants
from wallet.models import Hold as HoldRow

USAGES: list[tuple[str, dict[str, int]]] = [
    ("chat", {"input_tokens": 1_200, "output_tokens": 300}),
    ("chat", {"input_tokens": 4_000, "output_tokens": 0}),
    ("chat", {"input_tokens": 400_000, "output_tokens": 7}),
    ("tiny", {"calls": 1}),
    ("tiny", {"calls": 3}),
    ("tiny", {"calls": 4_567}),
    ("dear", {"calls": 3}),
]
CHANGES: list[dict[str, Any]] = [{}] * 8 + [
    {"usage": {"input_tokens": 1}},
    {"usage": {"input_tokens": 100_000_001}},
    {"usage": {"calls": 1, "web_searches": 1}},
    {"model": "dear"},
    {"model": "nothing"},
    {"token_id": 2**60},
    {"status": "failed"},
]
RANDOM = st.randoms(use_true_random=True)
OTHERS = {"token_mismatch", "conflict"}


class Machine(RefundRules):
    """All rules: those of calls, beside those of money."""

    def __init__(self) -> None:
        super().__init__()
        self.released: list[str] = []
        self.sent: list[dict[str, Any]] = []

    @rule(
        data=st.data(),
        model=st.sampled_from(["chat", "chat", "chat", "unknown"]),
        size=st.sampled_from([0, 1, 4_000, 40_000, 4_000_000]),
        times=st.integers(1, 4),
    )
    def authorize(self, data: st.DataObject, model: str, size: int, times: int) -> None:
        key_id = self.a_key(data)
        for _ in range(times):
            self.ask_whether(key_id, model, size)

    def ask_whether(self, key_id: int, model: str, size: int) -> None:
        wallet_id = self.books.wallet_of_key[key_id]
        status = self.books.admits(key_id, model)
        answer = self.gateway.authorize(self.keys[key_id].text, model, input_tokens=size, max_output_tokens=0)
        assert answer.status_code == status
        SEEN[str(status)] += 1
        if status == 200:
            told = answer.json()
            self.books.holds[told["call_id"]] = Hold(wallet_id, key_id, size * 2_500)
            assert told["held_nanousd"] == size * 2_500
            assert told["available_nanousd"] == self.books.available(wallet_id)
            assert (told["token_id"], told["wallet_id"]) == (key_id, wallet_id)

    @precondition(lambda self: self.books.holds)
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        """The time of some holds is over; nothing happens yet."""
        over = data.draw(st.sets(st.sampled_from(sorted(self.books.holds)), min_size=1))
        HoldRow.objects.filter(pk__in=over).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        for call_id in over:
            self.books.holds[call_id].is_overdue = True

    @rule(data=st.data(), of_all=st.booleans())
    def beat_expires(self, data: st.DataObject, of_all: bool) -> None:
        self.expire(None if of_all else self.a_wallet(data))

    @precondition(lambda self: self.books.holds or self.books.calls)
    @rule(data=st.data(), shouts=st.booleans())
    def release(self, data: st.DataObject, shouts: bool) -> None:
        """Also of calls that were recorded or released before, which changes nothing."""
        known = [*self.books.holds, *self.books.calls, *self.released]
        call_id = data.draw(st.sampled_from(known))
        told = call_id.upper() if shouts else call_id
        assert self.gateway.post("release", {"call_id": told}).status_code == 204
        if self.books.holds.pop(call_id, None):
            self.released.append(call_id)

    @precondition(lambda self: self.books.holds)
    @rule(rng=RANDOM)
    def report_what_was_let_in(self, rng: Random) -> None:
        """Some of it, in any order, whatever became of the hold, the key and the wallet since."""
        let_in = rng.sample(sorted(self.books.holds), rng.randint(1, min(len(self.books.holds), 8)))
        self.send([self.a_call(rng, each, self.books.holds[each].key_id) for each in let_in])

    @rule(rng=RANDOM)
    def report_what_nobody_asked_for(self, rng: Random) -> None:
        ids = [*self.released, *(str(call_ids.new()) for _ in range(8))]
        self.send([self.a_call(rng, each, rng.choice(sorted(self.keys))) for each in rng.sample(ids, 4)])

    @precondition(lambda self: self.sent)
    @rule(rng=RANDOM)
    def report_again(self, rng: Random) -> None:
        """Old and new, right and wrong, several times in one batch, also in capitals."""
        new = [self.a_call(rng, str(call_ids.new()), rng.choice(sorted(self.keys))) for _ in range(2)]
        batch = []
        for call in rng.choices([*self.sent[-30:], *new], k=8):
            changed = call | rng.choice(CHANGES)
            call_id = changed["call_id"].upper() if rng.random() < 0.2 else changed["call_id"]
            batch.append(changed | {"call_id": call_id})
        self.send(batch)

    @precondition(lambda self: self.books.holds)
    @rule(rng=RANDOM)
    def report_the_id_of_another_key(self, rng: Random) -> None:
        let_in = rng.sample(sorted(self.books.holds), rng.randint(1, min(len(self.books.holds), 3)))
        mine = [self.a_call(rng, each, self.books.holds[each].key_id) for each in let_in]
        batch = [*mine, *(call | {"token_id": rng.choice(sorted(self.keys))} for call in mine)]
        rng.shuffle(batch)
        self.send(batch)

    def send(self, batch: list[dict[str, Any]]) -> None:
        self.sent += batch
        foreign = {c["call_id"].lower() for c in batch if self.is_foreign(c)}
        told = self.gateway.record(*batch)
        for call, answer, expected in zip(batch, told, self.books.record(batch), strict=True):
            code = answer.get("error", {}).get("code", "")
            if call["call_id"].lower() in foreign and {code, expected.code} <= OTHERS:
                code = expected.code  # Either name is right for the id of another key.
            assert answer["call_id"].lower() == call["call_id"].lower()
            assert Answer(answer["result"], answer["charged_nanousd"], code) == expected, (call, batch)
            SEEN[code or answer["result"]] += 1
        for movement in self.books.movements:
            if not movement.pk:
                movement.pk = paid_by(movement)

    def is_foreign(self, call: dict[str, Any]) -> bool:
        hold = self.books.holds.get(call["call_id"].lower())
        return hold is not None and hold.key_id != call["token_id"]

    def a_call(self, rng: Random, call_id: str, key_id: int) -> dict[str, Any]:
        model, usage = rng.choice(USAGES)
        started_at = datetime.now(UTC) - timedelta(hours=rng.choice([0, 20]))
        return {
            "call_id": call_id,
            "token_id": key_id,
            "model": model,
            "status": rng.choice(["succeeded", "succeeded", "succeeded", "failed"]),
            "started_at": started_at.isoformat(),
            "usage": dict(usage),
        } | rng.choice(CHANGES)


def paid_by(movement: Movement) -> int:
    call = Call.objects.get(pk=movement.call_id)
    pk = call.promotional_transfer_id if movement.kind == "promotional" else call.paid_transfer_id
    assert pk is not None
    return pk


# Without these the machine would have proved little.
EXPECTED = {
    *("200", "402", "404", "accepted", "duplicate", "conflict", "unpriced_unit", "quantity_out_of_bounds"),
    *("token_not_found", "model_not_found", "paid", "parked", "refused to staff", "below zero"),
    *(
        "refund succeeded",
        "refund failed",
        "refund given up",
        "refund returned later",
        "refund at Stripe",
        "refund at Stripe that failed",
        "correction of what went back",
        "too much",
    ),
}
ASKED = os.environ.get("STATE_MACHINE_EXAMPLES", "")
PROFILE = settings(
    max_examples=int(ASKED or 35),
    stateful_step_count=35,
    derandomize=not ASKED,
    # Making a failure small takes minutes.
    phases=[Phase.generate, *([Phase.shrink] if ASKED else [])],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(0 if ASKED else 300)
@pytest.mark.django_db(transaction=True)
def test_whatever_happens_the_books_are_the_models(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.STARTER_CREDIT_DAILY_LIMIT, settings.STAFF_LIMIT_CENTS = 10**9, 2000
    caplog.set_level(logging.CRITICAL, "wallet.topups")
    sell_all()
    run_state_machine_as_test(Machine, settings=PROFILE)
    assert invariants.check() == []
    assert SEEN.keys() >= EXPECTED, EXPECTED - SEEN.keys()
