"""A refund as its owner sees it: what was asked for at once, over all payments that it takes. Reads only."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from wallet.models import Refund, Wallet
from wallet.refunds.verdicts import CANCELED_BY_OWNER, NEEDS_ACTION

State = Refund.State

ENDED_SHOWN = datetime.timedelta(days=7)
MOST_ROWS = 200
# The payments of a request, in the order in which it takes from them.
NEWEST = ["-top_up__paid_at", "top_up_id"]
# What of several payments is said first.
FIRST_TOLD = [State.WAITING, State.CREATED, State.PENDING]


# What is said of the parts in these states, in the order in which it is said.
WORDS = [
    ([State.WAITING], "waiting for our approval"),
    ([State.CREATED, State.PENDING], "on its way"),
    ([State.FAILED], "came to nothing and is in your wallet again"),
    ([State.CANCELED], "was canceled and is in your wallet again"),
    ([State.DECLINED], "was declined and is in your wallet again"),
    ([State.SUCCEEDED], "given back"),
]


@dataclass(frozen=True, slots=True)
class Share:
    """What of a request stands alike: credit, the tax that goes back beside it, and how it stands in words."""

    amount_nanousd: int
    tax_nanousd: int
    words: str


@dataclass(frozen=True, slots=True)
class Request:
    """The rows of one request, those of the newest payment first."""

    id: UUID
    rows: list[Refund]

    @property
    def state(self) -> str:
        """That of the rows, or `partly` where some were given back and others were not."""
        states = {row.state for row in self.rows}
        told = next((state for state in FIRST_TOLD if state in states), None)
        if told is not None:
            return told.value
        is_partly = State.SUCCEEDED in states and len(states) > 1
        return "partly" if is_partly else min(states)

    @property
    def shares(self) -> list[Share]:
        """The sums by state; one where all parts stand alike."""
        found = []
        for states, words in WORDS:
            rows = [row for row in self.rows if row.state in states]
            if rows:
                back = [row for row in rows if row.state not in Refund.RETURNED]
                amount = sum(row.amount_nanousd for row in rows)
                found.append(Share(amount, sum(row.tax_nanousd for row in back), words))
        return found

    @property
    def is_mixed(self) -> bool:
        return len(self.shares) > 1

    @property
    def headline(self) -> str:
        """Of a request whose parts stand differently."""
        states = {row.state for row in self.rows}
        if not self.is_settled:
            return "Partly on its way"
        return "Partly given back" if State.SUCCEEDED in states else "Not given back"

    @property
    def unpaid(self) -> list[tuple[str, int]]:
        """Why parts are in the wallet again, each sentence once, with the credit that it is said of."""
        found: dict[str, int] = {}
        for row in self.rows:
            if row.problem and row.state in Refund.RETURNED:
                found[row.problem] = found.get(row.problem, 0) + row.amount_nanousd
        return list(found.items())

    @property
    def is_own_cancel(self) -> bool:
        """Whether all of it came back because its owner wanted so."""
        return all(row.state == State.CANCELED and row.problem == CANCELED_BY_OWNER for row in self.rows)

    @property
    def is_settled(self) -> bool:
        return all(row.is_settled for row in self.rows)

    @property
    def is_made_at_stripe(self) -> bool:
        return self.rows[0].origin == Refund.Origin.STRIPE

    @property
    def created_at(self) -> datetime.datetime:
        return min(row.created_at for row in self.rows)

    @property
    def amount_nanousd(self) -> int:
        """Credit that left the wallet."""
        return sum(row.amount_nanousd for row in self.rows)

    @property
    def tax_nanousd(self) -> int:
        return sum(row.tax_nanousd for row in self.rows)

    @property
    def tax_back_nanousd(self) -> int:
        """The tax beside what was given back, or is to be."""
        return sum(row.tax_nanousd for row in self.rows if row.state not in Refund.RETURNED)

    @property
    def returned_states(self) -> list[str]:
        return Refund.RETURNED

    @property
    def needs_action(self) -> bool:
        """Whether Stripe waits for the customer, to whom it writes."""
        return any(row.state == State.PENDING and row.problem == NEEDS_ACTION for row in self.rows)

    @property
    def given_nanousd(self) -> int:
        """What was given back, with its tax: as a bank shows it."""
        given = [row for row in self.rows if row.state == State.SUCCEEDED]
        return sum(row.amount_nanousd + row.tax_nanousd for row in given)

    @property
    def given_tax_nanousd(self) -> int:
        return sum(row.tax_nanousd for row in self.rows if row.state == State.SUCCEEDED)

    @property
    def returned_nanousd(self) -> int:
        """Credit that is in the wallet again."""
        return sum(row.amount_nanousd for row in self.rows if row.state in Refund.RETURNED)

    @property
    def whole_nanousd(self) -> int:
        return self.amount_nanousd + self.tax_nanousd


def find(request_id: UUID, wallet: Wallet | None = None) -> Request | None:
    """The request, if it is this wallet's."""
    rows = Refund.objects.filter(request_id=request_id).select_related("top_up").order_by(*NEWEST)
    if wallet is not None:
        rows = rows.filter(wallet=wallet)
    found = list(rows)
    return Request(request_id, found) if found else None


def to_see(wallet: Wallet) -> list[Request]:
    """What the wallet's page shows: those under way, and those of the last week that came to nothing."""
    recent = Q(settled_at__gt=timezone.now() - ENDED_SHOWN, state__in=Refund.RETURNED, left_wallet=True)
    shown = Q(state__in=Refund.UNFINISHED) | recent
    ids = Refund.objects.filter(shown, wallet=wallet).order_by("-created_at").values("request_id")[:MOST_ROWS]
    return _grouped(Refund.objects.filter(wallet=wallet, request_id__in=ids).order_by("request_id", *NEWEST))


def path(request_id: UUID) -> str:
    """Where the owner sees what became of it."""
    return reverse("refund", args=[request_id])


def _grouped(rows: Iterable[Refund]) -> list[Request]:
    """Of rows in the order of their requests."""
    found = [Request(key, list(each)) for key, each in groupby(rows, key=lambda row: row.request_id)]
    return sorted(found, key=lambda each: each.created_at, reverse=True)
