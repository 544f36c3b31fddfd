"""What the calls of the last 30 days would have cost at other prices. Exact: each call is rated again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from logs import call_ids
from logs.models import Call
from pricing import rating
from pricing.importing import Change
from pricing.rating import ChargeOutOfBounds, PriceTable, UnpricedUnit

WITHIN = timedelta(days=30)
_BATCH = 2_000


@dataclass(slots=True)
class Cost:
    """Of one change: of the calls that its prices can rate, what they cost and what they would have cost."""

    change: Change
    calls: int = 0
    wallets: set[int] = field(default_factory=set)
    charged_nanousd: int = 0
    would_nanousd: int = 0
    not_ratable: int = 0
    """Calls with a unit that has no price any more: they would be rejected."""


def costs(changes: Iterable[Change], now: datetime) -> list[Cost]:
    """Of each change by itself, in their order, with the rates that customer groups paid."""
    found = [Cost(change) for change in changes]
    by_model: dict[int, list[Cost]] = {}
    for cost in found:
        by_model.setdefault(cost.change.model_id, []).append(cost)
    for model_id, wallet_id, usage, charged, group_bp in _calls(list(by_model), now):
        for cost in by_model[model_id]:
            _add(cost, wallet_id, usage, charged, group_bp)
    return found


def _add(
    cost: Cost, wallet_id: int, usage: Mapping[str, int], charged_nanousd: int, group_bp: int | None
) -> None:
    price = cost.change.after
    table = PriceTable(0, price.multiplier_bp, price.rates)
    try:
        would = rating.charge(usage, table.with_rate(group_bp) if group_bp else table)
    except (UnpricedUnit, ChargeOutOfBounds):
        cost.not_ratable += 1
        return
    cost.calls += 1
    cost.wallets.add(wallet_id)
    cost.charged_nanousd += charged_nanousd
    cost.would_nanousd += would


def _calls(
    model_ids: list[int], now: datetime
) -> Iterator[tuple[int, int, Mapping[str, int], int, int | None]]:
    if not model_ids:
        return iter(())
    rows = Call.objects.filter(
        id__gte=call_ids.floor(now - WITHIN), model__in=model_ids, status=Call.Status.SUCCEEDED
    ).order_by()
    return rows.values_list(
        "model_id", "wallet_id", "usage", "charged_nanousd", "group_rate__multiplier_bp"
    ).iterator(chunk_size=_BATCH)
