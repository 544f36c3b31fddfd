"""Stories of a wallet that can be checked with pencil and paper: every posting, and what it leaves. Dollars.

Chat costs $2.50 per million prompt tokens and $10.00 per million completion tokens; a picture costs $0.04.
"""

from decimal import Decimal

import pytest

from accounts.audit import Refused
from accounts.models import User
from logs.models import Call
from tests.books import assert_books
from tests.ledger.postings import amounts, balances, dollars, holding, paid_top_up, postings, staff_wants
from tests.metering.gateway import Gateway, call, sell
from tokens import keys
from tokens.keys import IssuedKey
from wallet import acts, grants
from wallet.models import Transfer, Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet(alice: User) -> Wallet:
    """Alice's, just opened: $0.10 of starter credit."""
    assert grants.give_starter_credit(alice) is not None
    return wallet_of(alice)


@pytest.fixture
def key(wallet: Wallet) -> IssuedKey:
    sell("chat")
    sell("picture", {"images": 40_000_000_000}, "image")
    return keys.issue(wallet, "laptop")


def test_the_life_of_a_wallet(wallet: Wallet, key: IssuedKey) -> None:
    """Starter credit, a top-up, a call that both pay for, one call too many, and a top-up that makes good.

    | what                                    | debit           | credit       | amount | promo.  | paid    | balance |
    |-----------------------------------------|-----------------|--------------|--------|---------|---------|---------|
    | registered                              | promotions      | promotional  |  0.10  |  0.10   |  0.00   |  0.10   |
    | topped up $1                            | stripe_clearing | paid         |  1.00  |  0.10   |  1.00   |  1.10   |
    | 1 picture                               | promotional     | revenue      |  0.04  |  0.06   |  1.00   |  1.06   |
    | 20,000 prompt + 5,000 completion: $0.10 | promotional     | revenue      |  0.06  |  0.00   |  1.00   |         |
    |                                         | paid            | revenue      |  0.04  |  0.00   |  0.96   |  0.96   |
    | 30 pictures                             | paid            | revenue      |  1.20  |  0.00   | -0.24   | -0.24   |
    | topped up $5                            | stripe_clearing | paid         |  5.00  |  0.00   |  4.76   |  4.76   |
    """
    gateway = Gateway()
    paid_top_up(wallet, cents=100)
    gateway.record(call(key.key, model="picture", usage={"images": 1}))
    assert balances(wallet) == amounts("0.06", "1.00")
    gateway.record(call(key.key, model="chat", usage={"input_tokens": 20_000, "output_tokens": 5_000}))
    assert balances(wallet) == amounts("0.00", "0.96")
    gateway.record(call(key.key, model="picture", usage={"images": 30}))
    assert balances(wallet) == amounts("0.00", "-0.24")
    assert gateway.authorize(key.text, "picture").status_code == 402
    paid_top_up(wallet, cents=500)
    assert gateway.authorize(key.text, "picture").status_code == 200
    assert balances(wallet) == amounts("0.00", "4.76")
    assert postings(wallet) == [
        posting("promotions", "promotional", "0.10", "starter_grant"),
        posting("stripe_clearing", "paid", "1.00", "top_up"),
        posting("promotional", "revenue", "0.04", "usage"),
        posting("promotional", "revenue", "0.06", "usage"),
        posting("paid", "revenue", "0.04", "usage"),
        posting("paid", "revenue", "1.20", "usage"),
        posting("stripe_clearing", "paid", "5.00", "top_up"),
    ]
    assert_books()


def test_a_grant_to_the_wrong_person(wallet: Wallet, key: IssuedKey, staff: User) -> None:
    """$5 granted by mistake, $0.40 of it used before it is noticed; the correction takes all $5 back.

    | what        | debit       | credit      | amount | promotional | paid  |
    |-------------|-------------|-------------|--------|-------------|-------|
    | registered  | promotions  | promotional |  0.10  |  0.10       |  0.00 |
    | the grant   | promotions  | promotional |  5.00  |  5.10       |  0.00 |
    | 10 pictures | promotional | revenue     |  0.40  |  4.70       |  0.00 |
    | correction  | promotional | promotions  |  5.00  | -0.30       |  0.00 |
    | 1 picture   | paid        | revenue     |  0.04  | -0.30       | -0.04 |

    What is owed stays owed: $0.34. The withdrawal of the same grant is refused from then on.
    """
    gateway = Gateway()
    wrong = acts.give_credit(staff_wants(staff), wallet, 5_000_000_000)
    assert isinstance(wrong, Transfer)
    gateway.record(call(key.key, model="picture", usage={"images": 10}))
    correction = acts.correct(staff_wants(staff), wrong)
    assert isinstance(correction, Transfer)
    assert correction.corrects == wrong
    gateway.record(call(key.key, model="picture", usage={"images": 1}))
    assert balances(wallet) == amounts("-0.30", "-0.04")
    with pytest.raises(Refused):
        acts.correct(staff_wants(staff), wrong)
    with pytest.raises(Refused):
        acts.void_grant(staff_wants(staff), wrong, 1)
    assert postings(wallet)[1:] == [
        posting("promotions", "promotional", "5.00", "grant"),
        posting("promotional", "revenue", "0.40", "usage"),
        posting("promotional", "promotions", "5.00", "correction"),
        posting("paid", "revenue", "0.04", "usage"),
    ]
    assert_books()


def test_a_grant_that_is_withdrawn_takes_only_what_is_left(
    wallet: Wallet, key: IssuedKey, staff: User
) -> None:
    """$2 granted, $1.60 used: $0.50 is left of all credit that was given, and so much can be withdrawn.

    | what        | debit       | credit      | amount | promotional |
    |-------------|-------------|-------------|--------|-------------|
    | registered  | promotions  | promotional |  0.10  |  0.10       |
    | the grant   | promotions  | promotional |  2.00  |  2.10       |
    | 40 pictures | promotional | revenue     |  1.60  |  0.50       |
    | withdrawal  | promotional | promotions  |  0.50  |  0.00       |
    """
    grant = acts.give_credit(staff_wants(staff), wallet, 2_000_000_000)
    assert isinstance(grant, Transfer)
    Gateway().record(call(key.key, model="picture", usage={"images": 40}))
    with pytest.raises(Refused, match=r"Only \$0\.50"):
        acts.void_grant(staff_wants(staff), grant, 500_000_001)
    acts.void_grant(staff_wants(staff), grant, 500_000_000)
    assert balances(wallet) == amounts("0.00", "0.00")
    assert postings(wallet)[-1] == posting("promotional", "promotions", "0.50", "grant_void")
    assert_books()


def test_a_batch_is_one_posting_per_account(wallet: Wallet, key: IssuedKey) -> None:
    """Four calls reported together; $0.10 of starter credit and $1 paid.

    | call                                   | charge | given pays | paid pays | balance after |
    |----------------------------------------|--------|------------|-----------|---------------|
    | 2 pictures                             |  0.08  |  0.08      |  0.00     |  1.02         |
    | 8,000 prompt + 1,000 completion tokens |  0.03  |  0.02      |  0.01     |  0.99         |
    | 5 pictures that failed                 |  0.00  |  0.00      |  0.00     |  0.99         |
    | 1 picture                              |  0.04  |  0.00      |  0.04     |  0.95         |
    | together                               |  0.15  |  0.10      |  0.05     |               |
    """
    paid_top_up(wallet, cents=100)
    results = Gateway().record(
        call(key.key, model="picture", usage={"images": 2}),
        call(key.key, model="chat", usage={"input_tokens": 8_000, "output_tokens": 1_000}),
        call(key.key, model="picture", usage={"images": 5}, status="failed"),
        call(key.key, model="picture", usage={"images": 1}),
    )
    rows = [Call.objects.get(pk=result["call_id"]) for result in results]
    assert [
        tuple(map(dollars, (row.charged_nanousd, row.promotional_nanousd, row.balance_after_nanousd)))
        for row in rows
    ] == [
        amounts("0.08", "0.08", "1.02"),
        amounts("0.03", "0.02", "0.99"),
        amounts("0", "0", "0.99"),
        amounts("0.04", "0", "0.95"),
    ]
    assert postings(wallet)[2:] == [
        posting("promotional", "revenue", "0.10", "usage"),
        posting("paid", "revenue", "0.05", "usage"),
    ]
    assert (
        len({row.promotional_transfer_id for row in rows[:2]})
        == len({row.paid_transfer_id for row in (rows[1], rows[3])})
        == 1
    )
    assert_books()


@pytest.mark.parametrize(
    ("count", "nanousd"),
    [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (8, 4)],
)
def test_halves_go_to_the_even_nano_dollar(wallet: Wallet, key: IssuedKey, count: int, nanousd: int) -> None:
    """At half a nano-dollar apiece: 0.5 → 0, 1 → 1, 1.5 → 2, 2 → 2, 2.5 → 2, 3 → 3, 3.5 → 4, 4 → 4.

    All eight together cost 18 nano-dollars, which is what they come to unrounded.
    """
    sell("half", {"calls": 500})
    (result,) = Gateway().record(call(key.key, model="half", usage={"calls": count}))
    assert result["charged_nanousd"] == nanousd
    assert balances(wallet) == (Decimal("0.1") - dollars(nanousd), Decimal(0))
    assert_books()


def test_holds_lower_what_is_available_and_move_nothing(wallet: Wallet, key: IssuedKey) -> None:
    """$0.10. Each call is expected to cost 16,000 × $2.50/M = $0.04.

    | what                   | debit       | credit  | amount | balance | held | available |
    |------------------------|-------------|---------|--------|---------|------|-----------|
    | one call is let in     |             |         |        |  0.10   | 0.04 |  0.06     |
    | a second one           |             |         |        |  0.10   | 0.08 |  0.02     |
    | a third one            |             |         |        |  0.10   | 0.12 | -0.02     |
    | a fourth is refused    |             |         |        |  0.10   | 0.12 | -0.02     |
    | the first never was    |             |         |        |  0.10   | 0.08 |  0.02     |
    | the second cost $0.05  | promotional | revenue |  0.05  |  0.05   | 0.04 |  0.01     |
    | the third cost $0.07   | promotional | revenue |  0.05  |         |      |           |
    |                        | paid        | revenue |  0.02  | -0.02   | 0.00 | -0.02     |

    The bound: 1 cent and 3 cents beyond the holds, and 4 of the last hold: no lower than -$0.08.
    """
    gateway = Gateway()

    def ask() -> dict[str, str]:
        answer: dict[str, str] = gateway.authorize(
            key.text, "chat", input_tokens=16_000, max_output_tokens=0
        ).json()
        return answer

    first, second, third = ask()["call_id"], ask()["call_id"], ask()["call_id"]
    assert holding(wallet) == amounts("0.10", "0.12", "-0.02")
    assert "error" in ask()
    gateway.post("release", {"call_id": first})
    assert holding(wallet) == amounts("0.10", "0.08", "0.02")
    gateway.record(call(key.key, call_id=second, model="chat", usage={"input_tokens": 20_000}))
    assert holding(wallet) == amounts("0.05", "0.04", "0.01")
    gateway.record(call(key.key, call_id=third, model="chat", usage={"input_tokens": 28_000}))
    assert holding(wallet) == amounts("-0.02", "0.00", "-0.02")
    assert postings(wallet)[1:] == [
        posting("promotional", "revenue", "0.05", "usage"),
        posting("promotional", "revenue", "0.05", "usage"),
        posting("paid", "revenue", "0.02", "usage"),
    ]
    assert_books()


def posting(debit: str, credit: str, amount: str, code: str) -> tuple[str, str, Decimal, str]:
    return debit, credit, Decimal(amount), code
