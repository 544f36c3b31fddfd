"""Every movement of a wallet with the balance after it, newest first. Reads only.

Usage is one row per UTC day; where something else moved money in the middle of a day, one before it and one after, so
that on every row the balance before plus the amount is the balance after.
"""

import datetime
import json
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from wallet.models import Code, Wallet
from wallet.topups import stories
from wallet.topups.stories import Story
from wallet.transactions import rows

PAGE = 25
# Where staff's word for it says too little to its owner.
LABELS = {Code.GRANT: "Credit from us", Code.GRANT_VOID: "Credit from us, withdrawn"}
# Transfers that are looked at for one page. A day with more of them shows as two rows that still add up.
WINDOW = 20_000

_MOVEMENTS = """
WITH own AS (SELECT array_agg(id) AS ids FROM wallet_account WHERE wallet_id = %(wallet)s),
moved AS NOT MATERIALIZED (
    SELECT t.id, t.code, t.created_at, t.details, t.amount_nanousd
        * ((t.credit_account_id = ANY(own.ids))::int - (t.debit_account_id = ANY(own.ids))::int) AS change
    FROM wallet_transfer t, own WHERE t.wallet_id = %(wallet)s
),
start AS (
    SELECT f.promotional_nanousd + f.paid_nanousd
        - coalesce((SELECT sum(change) FROM moved WHERE id >= %(before)s), 0) AS balance
    FROM wallet_funds f WHERE f.wallet_id = %(wallet)s
),
recent AS (SELECT * FROM moved WHERE id < %(before)s ORDER BY id DESC LIMIT %(window)s),
running AS (
    SELECT recent.*, start.balance + change - sum(change) OVER newer AS balance_after,
        count(*) FILTER (WHERE code <> 'usage') OVER newer AS others,
        (min(created_at) OVER newer AT TIME ZONE 'UTC')::date AS day
    FROM recent, start WINDOW newer AS (ORDER BY id DESC)
)
SELECT code, day, max(created_at), sum(change)::bigint, (array_agg(balance_after ORDER BY id DESC))[1]::bigint,
    (array_agg(details ORDER BY id DESC))[1], min(id), count(*)
FROM running
GROUP BY code, day, others, CASE WHEN code = 'usage' THEN 0 ELSE id END
ORDER BY max(id) DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Movement:
    """One row of the history. `url` leads to what explains it."""

    code: Code
    day: datetime.date
    at: datetime.datetime
    change_nanousd: int
    balance_after_nanousd: int
    url: str | None
    story: Story = stories.NOTHING

    @property
    def label(self) -> str:
        return label(self.code, self.story)

    @property
    def is_usage(self) -> bool:
        return self.code == Code.USAGE


@dataclass(frozen=True, slots=True)
class History:
    """A page of movements; `next_before` asks for the one after it."""

    movements: list[Movement]
    next_before: int | None


def label(code: Code, story: Story) -> str:
    """What a movement is called for its owner."""
    return "Automatic top-up" if story.is_automatic else LABELS.get(code, code.label)


def page(wallet: Wallet, before: int | None = None) -> History:
    """The newest movements, or those older than the transfer with the id `before`."""
    found = rows(
        _MOVEMENTS,
        {"wallet": wallet.pk, "before": before or 2**63 - 1, "window": WINDOW, "limit": PAGE + 1},
    )
    shown = found[:PAGE]
    is_cut = len(found) > PAGE or sum(row[7] for row in found) == WINDOW
    told = stories.of(wallet, [(row[6], row[0]) for row in shown])
    movements = [_movement(row, told.get(row[6], stories.NOTHING)) for row in shown]
    return History(movements, shown[-1][6] if is_cut else None)


def _movement(row: tuple[Any, ...], story: Story) -> Movement:
    code, day, at, change, balance_after, details, *_ = row
    url = _url(code, day, json.loads(details), story)
    return Movement(Code(code), day, at, change, balance_after, url, story)


def _url(code: str, day: datetime.date, details: dict[str, Any], story: Story) -> str | None:
    if code == Code.USAGE:
        return f"{reverse('logs')}?from={day}&to={day}"
    if "refund_request" in details:
        return reverse("refund", args=[details["refund_request"]])
    top_up = details.get("top_up") or story.top_up_id
    return reverse("top_up", args=[top_up]) if top_up else None
