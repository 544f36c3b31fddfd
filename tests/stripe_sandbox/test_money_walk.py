"""Hundreds of steps at random, sensible or not: whatever is refused or done, the books stay right."""

import random

import pytest

from tests.stripe_sandbox.money import buy
from tests.stripe_sandbox.process import Sandbox

STEPS = 250
METHODS = ("card", "bank", "refund_pends", "refund_fails_later", "disputed_early", "inquired", "declined")
OUTCOMES = ("succeeds", "pends_then_fails", "waits", "lacks_funds", "needs_action")
OF_REFUND = ("succeed", "fail", "cancel")
OF_DISPUTE = ("withdraw", "reinstate", "win", "lose", "close", "escalate", "review")


def step(sandbox: Sandbox, rng: random.Random, charges: list[str], found: dict[str, list[str]]) -> int:
    """One request; the status of its answer."""
    kind = rng.choice(("refund", "dispute", "refunds", "disputes", "return"))
    fields: dict[str, object] = {"amount": rng.randint(1, 600)} if rng.random() < 0.7 else {}
    if kind in found:
        if not found[kind]:
            return 0
        name = rng.choice(OF_REFUND if kind == "refunds" else OF_DISPUTE)
        taken = fields if kind == "disputes" else {}
        return sandbox.request("POST", f"/_sandbox/{kind}/{rng.choice(found[kind])}/{name}", taken).status
    if kind == "refund":
        fields["outcome"] = rng.choice(OUTCOMES)
    elif kind == "dispute":
        fields |= {
            "funds": rng.choice(("after", "before", "later")),
            "inquiry": rng.choice(("true", "false")),
        }
    # Returned and disputed charges take no more refunds, so few of them are.
    elif rng.random() < 0.8:
        return 0
    if kind == "dispute" and rng.random() < 0.5:
        return 0
    reply = sandbox.request(
        "POST", f"/_sandbox/charges/{rng.choice(charges)}/{kind}", {} if kind == "return" else fields
    )
    if reply.status == 200 and f"{kind}s" in found:
        found[f"{kind}s"].append(reply.json[kind]["id"])
    return reply.status


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_books_stay_right(own: Sandbox, seed: int) -> None:
    own.command("webhooks/drop")
    rng = random.Random(seed)
    charges = [buy(own, method) for method in (*METHODS, *METHODS)]
    found: dict[str, list[str]] = {"refunds": [], "disputes": []}
    statuses = [step(own, rng, charges, found) for _ in range(STEPS)]
    assert set(statuses) <= {0, 200, 400}, f"seed {seed}"
    assert statuses.count(200) > 40, f"seed {seed}"
    own.command("clock", seconds=86_400)
    books = own.request("GET", "/_sandbox/books").json
    assert (books["differences"], books["agrees"]) == ([], True), f"seed {seed}"
    v1 = own.client().v1
    for charge in v1.charges.list({"limit": 100}):
        refunds = v1.refunds.list({"charge": charge.id, "limit": 100}).data
        counting = sum(one.amount for one in refunds if one.status not in ("failed", "canceled"))
        assert charge.amount_refunded == counting <= charge.amount, f"seed {seed}"
        assert charge.refunded == (counting == charge.amount), f"seed {seed}"
