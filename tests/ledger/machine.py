"""The base of the state machine: three wallets, what is compared after every step, and what rules draw from."""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Sum
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from accounts.audit import Instruction
from accounts.models import User
from logs.models import Call
from pricing.models import Model, Origin
from pricing.publishing import Price, publish_new
from tests.books import assert_books
from tests.ledger.model import Books, Movement, Purse
from tests.metering.gateway import Gateway
from tokens import keys
from tokens.keys import IssuedKey
from wallet import acts, grants, holds, invariants
from wallet.models import Funds, HouseBalance, Proposal, Transfer, Wallet
from wallet.wallets import wallet_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CHANGED_AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=12)
PRICES = {
    "chat": [(LONG_AGO, {"input_tokens": 2_500_000, "output_tokens": 10_000_000})],
    # Of half a nano-dollar a call, so that every odd number is rounded; three halves since this morning.
    "tiny": [(LONG_AGO, {"calls": 500}), (CHANGED_AT, {"calls": 1_500})],
    "dear": [(LONG_AGO, {"calls": 7 * 10**11})],
}
DOLLAR = 10**9
STAFF_LIMIT = 20 * DOLLAR
SEEN: Counter[str] = Counter()
"""What came about in all examples together."""


def sell_all() -> None:
    history = [
        (
            Model(name=name, provider_code="openai", provider="OpenAI", kind="text"),
            [Price(since, ((0, rates),)) for since, rates in versions],
        )
        for name, versions in PRICES.items()
    ]
    publish_new(history, source="tests", origin=Origin.STAFF)


class Wallets(RuleBasedStateMachine):
    """Three wallets with two keys each. Everything goes through the doors that the product has for it."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(PRICES)
        self.gateway = Gateway()
        self.keys: dict[int, IssuedKey] = {}
        self.owners: dict[int, User] = {}
        self.proposals: list[tuple[Proposal, Movement | None, int]] = []
        self.moved_alone = 0
        self.house_before = house()

    @initialize()
    def open_wallets(self) -> None:
        name = uuid.uuid4().hex
        self.keeper, self.second = (
            User.objects.create_superuser(f"{role}-{name}@example.com", "x") for role in ("keeper", "second")
        )
        for number in range(3):
            owner = User.objects.create_user(f"{number}-{name}@example.com", "x")
            wallet = wallet_of(owner)
            self.owners[wallet.pk] = owner
            self.books.purses[wallet.pk] = Purse()
            for _ in range(2):
                issued = keys.issue(wallet, "key")
                self.keys[issued.key.pk] = issued
                self.books.wallet_of_key[issued.key.pk] = wallet.pk
        for wallet_id in sorted(self.owners)[:2]:
            self.starter_credit(wallet_id)
            by = Instruction(self.keeper, "So that calls are let in.", uuid.uuid4())
            given = acts.give_credit(by, wallet_of(self.owners[wallet_id]), 3 * DOLLAR)
            assert isinstance(given, Transfer)
            self.books.move(
                Movement(wallet_id, "promotional", "promotions", 3 * DOLLAR, is_grant=True, pk=given.pk)
            )
            self.moved_alone += 3 * DOLLAR

    # What is compared after every step

    @invariant()
    def the_balances_are_the_models(self) -> None:
        for funds in Funds.objects.filter(pk__in=self.books.purses):
            purse = self.books.purses[funds.pk]
            if purse.balance < 0:
                SEEN["below zero"] += 1
            assert funds.promotional_nanousd == purse.balances["promotional"]
            assert funds.paid_nanousd == purse.balances["paid"]
            assert funds.held_nanousd == self.books.held(funds.pk)
            assert funds.available_nanousd == self.books.available(funds.pk)

    def teardown(self) -> None:
        self.expire(None)
        assert_books()
        assert invariants.check(list(self.books.purses)) == []
        found = Call.objects.filter(wallet__in=self.books.purses)
        assert {str(call.pk): written(call) for call in found} == {
            call_id: (c.wallet_id, c.charged, c.promotional, c.balance_after, c.held)
            for call_id, c in self.books.calls.items()
        }
        transfers = Transfer.objects.filter(wallet__in=self.books.purses).count()
        assert transfers == len(self.books.movements) + self.other_transfers
        moved = house()
        moved.subtract(self.house_before)
        moved.subtract(self.books.house)
        assert not any(moved.values())

    def expire(self, wallet_id: int | None) -> None:
        assert holds.expire_overdue(wallet_id) == self.books.expire(wallet_id)

    def starter_credit(self, wallet_id: int) -> None:
        purse = self.books.purses[wallet_id]
        given = grants.give_starter_credit(self.owners[wallet_id])
        assert (given is None) == purse.had_starter
        if given is not None:
            purse.had_starter = True
            amount = settings.STARTER_CREDIT_NANOUSD
            self.books.move(
                Movement(wallet_id, "promotional", "promotions", amount, is_grant=True, pk=given.pk)
            )

    @property
    def other_transfers(self) -> int:
        """Of wallets, which are not among the movements of the model."""
        return 0

    # What rules draw from

    def a_wallet(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.books.purses)))

    def a_key(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.keys)))

    def wallet(self, wallet_id: int) -> Wallet:
        return wallet_of(self.owners[wallet_id])

    def transfer(self, movement: Movement) -> Transfer:
        found = Transfer.objects.get(pk=movement.pk)
        assert found.amount_nanousd == abs(movement.amount)
        return found


def house() -> Counter[str]:
    found = HouseBalance.objects.values_list("account__kind").annotate(Sum("balance_nanousd"))
    return Counter(dict(found))


def written(call: Call) -> tuple[object, ...]:
    return (
        call.wallet_id,
        call.charged_nanousd,
        call.promotional_nanousd,
        call.balance_after_nanousd,
        call.held_nanousd,
    )
