"""Who makes the calls: wallets with keys, with money that the ledger itself gave them, and the models that are called."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from pricing import catalogue, rating
from pricing.catalogue import SellableModel
from tokens import keys
from tokens.models import ApiKey
from wallet import ledger
from wallet.models import Code, Wallet

KEYS_PER_WALLET = 5
# One more of each wallet, of every kind of limit; none is ever reached.
LIMITS = keys.Rules(
    limit_nanousd=10**15,
    period="month",
    period_limit_nanousd=10**15,
    requests_per_minute=10**9,
    tokens_per_minute=10**12,
    calls_in_flight=10**9,
    networks=["192.0.2.0/24", "2001:db8::/32"],
)
MODELS = 5
USAGES_PER_MODEL = 20
# $100,000 for each: no run uses it up, and no sum comes near 64 bits.
CREDIT_NANOUSD = 10**14
PRICED_UNITS = {"input_tokens", "cached_input_tokens", "output_tokens"}


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    wallet_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used, and what it costs at the price in force."""

    quantities: dict[str, int]
    charged_nanousd: int


@dataclass(frozen=True, slots=True)
class SoldModel:
    id: int
    name: str
    version_id: int
    usages: tuple[Usage, ...]


@dataclass(frozen=True, slots=True)
class Population:
    """The keys of one wallet stand together."""

    keys: tuple[Key, ...]
    limited_keys: tuple[Key, ...]
    models: tuple[SoldModel, ...]
    gateway_key: str
    granted_nanousd: int

    @property
    def hot_keys(self) -> tuple[Key, ...]:
        """The keys of one wallet."""
        return tuple(key for key in self.keys if key.wallet_id == self.keys[0].wallet_id)


def settle(wallets: int) -> Population:
    """Make the wallets, their money and their keys."""
    made = _wallets(wallets)
    _fund(made)
    return Population(
        keys=tuple(_keys(made, KEYS_PER_WALLET, keys.FREE)),
        limited_keys=tuple(_keys(made, 1, LIMITS)),
        models=tuple(_models()),
        gateway_key=keys.issue_gateway_key("bench"),
        granted_nanousd=CREDIT_NANOUSD * wallets,
    )


def _wallets(number: int) -> list[Wallet]:
    people = [User(email=f"bench-{place}@example.com", password="!") for place in range(number)]  # noqa: S106
    owners = User.objects.bulk_create(people)
    return Wallet.objects.bulk_create([Wallet(owner=owner) for owner in owners])


def _fund(wallets: Iterable[Wallet]) -> None:
    with transaction.atomic():
        promotions = ledger.house("promotions")
        for wallet in wallets:
            ledger.post(
                code=Code.GRANT,
                reference=f"bench:{wallet.pk}",
                debit=promotions,
                credit=ledger.promotional(wallet),
                amount_nanousd=CREDIT_NANOUSD,
            )


def _keys(wallets: Iterable[Wallet], number: int, rules: keys.Rules) -> Iterable[Key]:
    """So many keys for each, in bulk; issued one by one they would take longer than a round."""
    drawn = [keys.draw(wallet, "Bench", rules=rules) for wallet in wallets for _ in range(number)]
    ApiKey.objects.bulk_create([issued.key for issued in drawn])
    return [Key(issued.key.pk, issued.key.wallet_id, issued.text) for issued in drawn]


def _models() -> Iterable[SoldModel]:
    """Text models of the catalogue, drawn with a fixed seed, so that each run calls the same ones."""
    now = timezone.now()
    rng = random.Random(1)
    fitting = [model for model in catalogue.sellable(at=now) if _fits(model, now)]
    for model in rng.sample(fitting, MODELS):
        table = model.price_at(now)
        assert table is not None
        drawn = [_quantities(rng) for _ in range(USAGES_PER_MODEL)]
        usages = tuple(Usage(usage, rating.rate(usage, table).charged_nanousd) for usage in drawn)
        yield SoldModel(model.id, model.name, table.version_id, usages)


def _fits(model: SellableModel, now: Any) -> bool:
    table = model.price_at(now)
    return table is not None and table.rates[0][1].keys() >= PRICED_UNITS


def _quantities(rng: random.Random) -> dict[str, int]:
    return {
        "input_tokens": rng.randint(50, 3000),
        "cached_input_tokens": rng.randint(1, 2000),
        "output_tokens": rng.randint(1, 800),
    }
