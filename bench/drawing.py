"""Draws calls of the past, one after the other in the order of their time, as lines of COPY; always the same ones."""

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.population import SoldModel, Usage
from bench.traffic import HELD_NANOUSD
from tokens import spending

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FAILED_SHARE = 0.02
# A wallet's keys but the last, and its models, are used so much more often one than the next.
SKEW = (0,) * 34 + (1,) * 17 + (2,) * 9 + (3,) * 4
# The last key of a wallet makes about so many calls, spread over all of the time, whatever the others make.
CALLS_OF_LAST_KEY = 62
ENDINGS = 256


@dataclass(frozen=True, slots=True)
class Past:
    """Which calls: so many, evenly over so many days, in batches; a share of them by the first wallet."""

    calls: int
    days: int
    batch: int
    largest_share: float = 0.0


@dataclass(slots=True)
class Payer:
    """A wallet, and what it has left. `last_key_every` says which of its calls its last key makes."""

    place: int
    wallet_id: int
    key_ids: list[int]
    last_key_every: int
    account_id: int = 0
    balance_nanousd: int = 0
    calls: int = 0


@dataclass(slots=True)
class Bill:
    """What a wallet pays for a batch: one transfer."""

    transfer_id: int
    payer: Payer
    first_id: str
    at: datetime
    amount_nanousd: int = 0
    calls: int = 0

    def line(self, revenue_id: int) -> str:
        return (
            f"{self.transfer_id}\t{self.at}\tusage\tusage:{self.first_id}:promotional\t{self.payer.account_id}"
            f'\t{revenue_id}\t{self.payer.wallet_id}\t{self.amount_nanousd}\t{{"calls": {self.calls}}}\n'
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """A usage of a model, as the row of a call has it."""

    model_id: int
    text: str
    text_failed: str
    quantities: dict[str, int]
    charged_nanousd: int

    @classmethod
    def of(cls, model: SoldModel, usage: Usage) -> "Kind":
        version, charged, used = f"{model.id}\t{model.version_id}", usage.charged_nanousd, usage.quantities
        return cls(
            model_id=model.id,
            text=f"{version}\tsucceeded\t{json.dumps(used)}\t{charged}\t{charged}",
            text_failed=f"{version}\tfailed\t{{}}\t0\t0\t\\N",
            quantities=used,
            charged_nanousd=charged,
        )


@dataclass(slots=True)
class Drawn:
    """Calls as lines, and what belongs to them."""

    calls: list[str] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    used: dict[spending.Place, spending.Used] = field(default_factory=dict)


@dataclass(slots=True)
class Drawing:
    """Where it has come to: what wallets have left, and what they pay for the batch under way."""

    past: Past
    payers: list[Payer]
    kinds: list[list[Kind]]
    """Of each model."""
    began_ms: int
    hours_from_ms: int
    """From when on usage is counted by the hour."""
    next_transfer_id: int = 1
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    endings: list[str] = field(init=False)
    open_bills: dict[int, Bill] = field(default_factory=dict)
    drawn: Drawn = field(default_factory=Drawn)

    def __post_init__(self) -> None:
        self.endings = [_ending(self.rng) for _ in range(ENDINGS)]

    def draw(self, first: int, last: int) -> Drawn:
        """The calls from one place in time on and before another. No transfer pays for calls of two such draws."""
        self.drawn = Drawn()
        for place in range(first, last):
            if place == first or place % self.past.batch == 0:
                self.open_bills.clear()
            self._draw(place)
        return self.drawn

    def _draw(self, place: int) -> None:
        drawn = self.rng.random
        payer = self._payer(drawn())
        own = self.kinds[(SKEW[int(drawn() * 64)] + payer.place) % len(self.kinds)]
        kind = own[int(drawn() * len(own))]
        key_id = self._key(payer, drawn())
        at_ms = self.began_ms + int((place + drawn()) * self.past.days * DAY_MS / self.past.calls)
        at, noise = datetime.fromtimestamp(at_ms / 1000, UTC), self.rng.getrandbits(74)
        written_at = str(at)
        start, end = 0x7000 | noise >> 62, 1 << 63 | noise & 0x3FFFFFFFFFFFFFFF
        call_id = f"{at_ms:012x}{start:04x}{end:016x}"
        used = self._used((payer.wallet_id, self._hour(at_ms), key_id, kind.model_id), at)
        if drawn() < FAILED_SHARE:
            text = kind.text_failed
            used.add_failed(at)
        else:
            text = f"{kind.text}\t{self._charge(payer, call_id, at, kind)}"
            used.add(kind.quantities, kind.charged_nanousd, at)
        self.drawn.calls.append(
            f"{call_id}\t{payer.wallet_id}\t{key_id}\t{text}\t{written_at}\t{written_at}\t{HELD_NANOUSD}"
            f"\t{payer.balance_nanousd}\t{self.endings[noise & 0xFF]}{call_id}\n"
        )

    def _payer(self, drawn: float) -> Payer:
        share = self.past.largest_share
        if drawn < share:
            return self.payers[0]
        return self.payers[int((drawn - share) / (1 - share) * len(self.payers))]

    def _key(self, payer: Payer, drawn: float) -> int:
        payer.calls += 1
        is_last = payer.calls % payer.last_key_every == 0
        return payer.key_ids[-1 if is_last else SKEW[int(drawn * 64)]]

    def _charge(self, payer: Payer, call_id: str, at: datetime, kind: Kind) -> int:
        """The id of the transfer that pays for it."""
        bill = self.open_bills.get(payer.wallet_id)
        if bill is None:
            bill = self.open_bills[payer.wallet_id] = Bill(self.next_transfer_id, payer, call_id, at)
            self.drawn.bills.append(bill)
            self.next_transfer_id += 1
        bill.amount_nanousd += kind.charged_nanousd
        bill.calls += 1
        payer.balance_nanousd -= kind.charged_nanousd
        return bill.transfer_id

    def _hour(self, at_ms: int) -> int:
        """Counted from 1970. Of a day whose hours are not kept, its first."""
        return at_ms // HOUR_MS if at_ms >= self.hours_from_ms else at_ms // DAY_MS * 24

    def _used(self, place: spending.Place, at: datetime) -> spending.Used:
        used = self.drawn.used.get(place)
        if used is None:
            used = self.drawn.used[place] = spending.Used(at)
        return used


def _ending(rng: random.Random) -> str:
    """How a call went, up to what precedes its id in that of the provider."""
    stream = rng.random() < 0.7
    latency_ms = min(120_000, round(rng.lognormvariate(7.3, 0.7)))
    first_token_ms = str(round(latency_ms * rng.uniform(0.1, 0.4))) if stream else "\\N"
    endpoint = rng.choice(("/v1/chat/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages"))
    return f"{'t' if stream else 'f'}\t{latency_ms}\t{first_token_ms}\t{endpoint}\tchatcmpl-"
