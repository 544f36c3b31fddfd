"""Balance transactions: every movement of the account's money, with Stripe's fee; and what they add up to."""

from dataclasses import dataclass

from .context import Context
from .ids import new_id
from .paging import PAGING, page
from .params import Params, Text
from .rendering import RENDERERS
from .routes import EXPAND, Route, retrieve
from .store import Json, Record

PATH = "/v1/balance_transactions"
KIND = "balance_transaction"

CURRENCY = "usd"
AVAILABLE_AFTER_S = 2 * 86_400
FILTERS = ("currency", "source", "type")


@dataclass(frozen=True)
class Entry:
    """One movement of `amount` cents, negative where money leaves; `fee` cents leave with it.

    `category` is the reporting category where it is not the type; `source` the id of what it is about;
    `wait_s` says after how many seconds the money can be paid out.
    """

    type: str
    amount: int
    source: str | None
    fee: int = 0
    fee_text: str = "Stripe processing fees"
    category: str | None = None
    description: str | None = None
    wait_s: int = 0


def fee_cents(amount_cents: int) -> int:
    """2.9 % rounded half up, and 30 cents: the list price of a domestic card."""
    return (amount_cents * 29 + 500) // 1_000 + 30


def book(ctx: Context, entry: Entry) -> Record:
    """Entries are never changed: what is undone gets an entry of its own."""
    detail = {
        "amount": entry.fee,
        "application": None,
        "currency": CURRENCY,
        "description": entry.fee_text,
        "type": "stripe_fee",
    }
    fields = {
        "amount": entry.amount,
        "available_on": ctx.now + entry.wait_s,
        "balance_type": "payments",
        "currency": CURRENCY,
        "description": entry.description,
        "exchange_rate": None,
        "fee": entry.fee,
        "fee_details": [detail] if entry.fee else [],
        "net": entry.amount - entry.fee,
        "reporting_category": entry.category or entry.type,
        "source": entry.source,
        "status": "pending",
        "type": entry.type,
    }
    return ctx.create(KIND, new_id(KIND), fields)


def add_payment(ctx: Context, charge: Json, kind: str) -> Record:
    """`kind` is `charge` for cards and `payment` for other methods."""
    entry = Entry(
        kind,
        charge["amount"],
        charge["id"],
        fee=fee_cents(charge["amount"]),
        category="charge",
        description=charge["description"],
        wait_s=AVAILABLE_AFTER_S,
    )
    return book(ctx, entry)


def cents(ctx: Context, *, available: bool) -> int:
    """The net of what can be paid out now, or of what cannot yet."""
    sign = "<=" if available else ">"
    # The sign is one of two of the stand-in's own.
    sql = f"""SELECT coalesce(sum(json_extract(body, '$.net')), 0) FROM objects
              WHERE kind = ? AND json_extract(body, '$.available_on') {sign} ?"""  # noqa: S608
    return int(ctx.store.query(sql, (KIND, ctx.now))[0][0])


def _balance(ctx: Context, params: Params) -> Json:
    def part(*, available: bool) -> list[Json]:
        amount = cents(ctx, available=available)
        return [{"amount": amount, "currency": CURRENCY, "source_types": {"card": amount}}]

    return {
        "object": "balance",
        "available": part(available=True),
        "livemode": False,
        "pending": part(available=False),
    }


def _list(ctx: Context, params: Params) -> Json:
    where = [(f"json_extract(body, '$.{name}') = ?", params[name]) for name in FILTERS if name in params]
    if "payout" in params:
        # Which payout an entry went out with is not part of the object, at Stripe neither.
        where.append(("json_extract(private, '$.payout') = ?", params["payout"]))
    return page(ctx, PATH, KIND, params, where)


def _render(ctx: Context, record: Record) -> Json:
    available = ctx.now >= record.body["available_on"]
    return record.body | {"status": "available" if available else "pending"}


RENDERERS[KIND] = _render

ROUTES = [
    Route("GET", "/v1/balance", _balance, EXPAND),
    retrieve(PATH, KIND),
    Route("GET", PATH, _list, {**PAGING, "payout": Text(), **dict.fromkeys(FILTERS, Text())}),
]
