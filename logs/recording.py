"""Recording finished calls: rate, charge, write, close the holds, in one transaction for a whole batch.

Owns logs_call and what is counted from it. Never refuses a finished call for lack of money, and never charges an id
twice: the same id again answers with the first charge. Invariants: the sum of a wallet's calls is the sum of its `usage`
transfers; a call's lines add up to its charge; daily usage is the sum of its calls.

Batches never wait for each other in a circle: each locks its wallets first, in the order of their ids, and everything
else that it writes belongs to one of those wallets.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from logs import call_ids, rejections
from logs.reports import UUID_FORM, BadCall, CallReport, read_call
from pricing import catalogue, rating
from tokens import spending
from wallet import holds, ledger
from wallet.models import Code, Funds
from wallet.transactions import again_if_lost, rows

# No wallet owes ten million dollars: beyond it a report is taken for a mistake, and no sum can leave 64 bits.
LOWEST_BALANCE_NANOUSD = -(10**16)


@dataclass(slots=True)
class Result:
    """What became of one reported call."""

    call_id: str | None
    result: str
    charged_nanousd: int = 0
    error: dict[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "call_id": self.call_id,
            "result": self.result,
            "charged_nanousd": self.charged_nanousd,
        }
        if self.error:
            shown["error"] = self.error
        return shown


@dataclass(slots=True)
class Entry:
    """A call on its way into the books."""

    report: CallReport
    place: int
    wallet_id: int
    model_id: int
    version_id: int
    charged_nanousd: int
    promotional_nanousd: int = 0
    balance_after_nanousd: int = 0
    held_nanousd: int | None = None


@dataclass(slots=True)
class Bill:
    """What one wallet pays in a batch."""

    wallet_id: int
    entries: list[Entry] = field(default_factory=list)
    promotional_nanousd: int = 0
    paid_nanousd: int = 0
    promotional_transfer_id: int | None = None
    paid_transfer_id: int | None = None


def record(calls: Sequence[object]) -> list[Result]:
    """Record a batch; one result a call, in order. Safe to send again, whole or in parts, whatever became of it before."""
    now = timezone.now()
    results: list[Result | None] = [None] * len(calls)
    entries: list[Entry] = []
    reports: list[tuple[int, CallReport]] = []
    for place, raw in enumerate(calls):
        try:
            reports.append((place, read_call(raw, now)))
        except BadCall as error:
            results[place] = _rejected(raw, error)
    wallets = _wallets_of({report.key_id for _, report in reports})
    for place, report in reports:
        try:
            entries.append(_priced(report, place, wallets))
        except BadCall as error:
            results[place] = _rejected(calls[place], error)
    outcome = _charge_again_if_raced(entries)
    for place, result in outcome.items():
        results[place] = result
    complete = _with_conflicts([result for result in results if result is not None])
    rejections.keep(calls, complete, wallets)
    return complete


# Refusals of what decides whether an id that was recorded before comes again with other content.
OF_CONTENT = {
    "token_not_found",
    "model_not_found",
    "unpriced_model",
    "unpriced_unit",
    "unknown_unit",
    "quantity_out_of_bounds",
    "charge_out_of_bounds",
}


def _with_conflicts(results: list[Result]) -> list[Result]:
    """An id that was recorded before is a conflict, also where its new content could not be charged at all."""
    suspects = [
        r
        for r in results
        if r.error and r.error["code"] in OF_CONTENT and UUID_FORM.fullmatch(r.call_id or "")
    ]
    known = _recorded(UUID(suspect.call_id) for suspect in suspects) if suspects else {}
    conflicts = {id(suspect) for suspect in suspects if UUID(suspect.call_id) in known}
    return [_conflict(str(result.call_id)) if id(result) in conflicts else result for result in results]


def _wallets_of(key_ids: set[int]) -> dict[int, int]:
    if not key_ids:
        return {}
    found = rows("SELECT id, wallet_id FROM tokens_apikey WHERE id = ANY(%s::bigint[])", [list(key_ids)])
    return {row[0]: row[1] for row in found}


def _priced(report: CallReport, place: int, wallets: dict[int, int]) -> Entry:
    wallet_id = wallets.get(report.key_id)
    if wallet_id is None:
        raise BadCall("token_not_found", f"There is no key with token_id {report.key_id}.")
    model = catalogue.priced(report.model) or catalogue.priced(report.model, fresh=True)
    if model is None:
        raise BadCall("model_not_found", "There is no model of that name.")
    version = model.version_at(report.started_at)
    if version is None or not (version.is_complete or report.status == "failed"):
        raise BadCall("unpriced_model", "The model had no complete price when the call started.")
    charged = 0
    if report.status == "succeeded":
        try:
            charged = rating.rate(report.usage, version.table).charged_nanousd
        except rating.RatingError as error:
            raise BadCall(error.code, str(error)) from None
    return Entry(report, place, wallet_id, model.id, version.table.version_id, charged)


def _charge_again_if_raced(entries: list[Entry]) -> dict[int, Result]:
    try:
        return again_if_lost(lambda: _charge(entries))
    except IntegrityError:
        # Another batch recorded one of these ids for another wallet in between; the second look finds it.
        return again_if_lost(lambda: _charge(entries))


def _charge(entries: list[Entry]) -> dict[int, Result]:
    """The transaction. Results by the place of the call in the batch."""
    if not entries:
        return {}
    funds = ledger.lock(entry.wallet_id for entry in entries)
    results: dict[int, Result] = {}
    known = _recorded(entry.report.call_id for entry in entries)
    _refuse_foreign_holds(entries, results)
    fresh = _first_of_each(entries, known, funds, results)
    _close_holds(fresh)
    bills = _bills(fresh)
    if bills:
        _post(bills)
        _write_calls(bills)
        _count(bills)
    return results


type Recorded = dict[UUID, tuple[tuple[int, str, str], dict[str, int], int]]
"""Of each id: key, model and status; usage; charge."""


def _recorded(call_ids: Iterable[UUID]) -> Recorded:
    """What was recorded before under these ids."""
    found = rows(
        "SELECT c.id, c.key_id, m.name, c.status, c.usage, c.charged_nanousd FROM logs_call c"
        " JOIN pricing_model m ON m.id = c.model_id WHERE c.id = ANY(%s::uuid[])",
        [list(call_ids)],
    )
    return {row[0]: (tuple(row[1:4]), json.loads(row[4]), row[5]) for row in found}


def _refuse_foreign_holds(entries: list[Entry], results: dict[int, Result]) -> None:
    """A call whose id was given to another key is rejected."""
    asked = holds.references([entry.report.call_id for entry in entries])
    for entry in entries:
        if asked.get(entry.report.call_id, str(entry.report.key_id)) != str(entry.report.key_id):
            results[entry.place] = _refused(entry, "token_mismatch", "This call_id was given to another key.")


def _first_of_each(
    entries: list[Entry], known: Recorded, funds: dict[int, Funds], results: dict[int, Result]
) -> list[Entry]:
    """Split the charges of what is new, in order; answer for what was recorded before or stands twice in this batch.

    Only what is really going to be written makes a later copy a duplicate.
    """
    fresh: list[Entry] = []
    for entry in entries:
        if entry.place in results:
            continue
        report = entry.report
        content = (report.key_id, report.model, report.status)
        first = known.get(report.call_id)
        if first is None:
            results[entry.place] = _split(entry, funds[entry.wallet_id])
            if results[entry.place].error is None:
                known[report.call_id] = (content, report.usage, entry.charged_nanousd)
                fresh.append(entry)
        elif first[:2] == (content, report.usage):
            results[entry.place] = Result(str(report.call_id), "duplicate", first[2])
        else:
            results[entry.place] = _conflict(str(report.call_id))
    return fresh


def _split(entry: Entry, own: Funds) -> Result:
    """Take the charge from what the wallet has left: promotional credit first, then paid, which may go below zero."""
    balance = own.balance_nanousd - entry.charged_nanousd
    if balance < LOWEST_BALANCE_NANOUSD:
        return _refused(entry, "balance_out_of_bounds", "No wallet can owe that much.")
    entry.promotional_nanousd = min(entry.charged_nanousd, max(own.promotional_nanousd, 0))
    own.promotional_nanousd -= entry.promotional_nanousd
    own.paid_nanousd -= entry.charged_nanousd - entry.promotional_nanousd
    entry.balance_after_nanousd = balance
    return Result(str(entry.report.call_id), "accepted", entry.charged_nanousd)


def _close_holds(entries: list[Entry]) -> None:
    closed = holds.close([(entry.report.call_id, str(entry.report.key_id)) for entry in entries])
    for entry in entries:
        hold = closed.get(entry.report.call_id)
        entry.held_nanousd = hold.amount_nanousd if hold else None


def _bills(entries: list[Entry]) -> list[Bill]:
    bills: dict[int, Bill] = {}
    for entry in entries:
        bill = bills.setdefault(entry.wallet_id, Bill(entry.wallet_id))
        bill.entries.append(entry)
        bill.promotional_nanousd += entry.promotional_nanousd
        bill.paid_nanousd += entry.charged_nanousd - entry.promotional_nanousd
    return list(bills.values())


def _post(bills: list[Bill]) -> None:
    """One `usage` transfer per wallet and account, named after the first call that it pays for."""
    accounts = ledger.account_ids(bill.wallet_id for bill in bills)
    revenue = ledger.house_id("revenue")
    postings: list[ledger.Posting] = []
    targets: list[tuple[Bill, str]] = []
    for bill in bills:
        first = bill.entries[0].report.call_id
        for kind, amount in (("promotional", bill.promotional_nanousd), ("paid", bill.paid_nanousd)):
            if amount:
                debit = accounts[bill.wallet_id, kind]
                reference = f"usage:{first}:{kind}"
                postings.append(
                    ledger.Posting(
                        Code.USAGE,
                        reference,
                        debit,
                        revenue,
                        bill.wallet_id,
                        amount,
                        {"calls": len(bill.entries)},
                    )
                )
                targets.append((bill, f"{kind}_transfer_id"))
    for (bill, attribute), transfer_id in zip(targets, ledger.post_many(postings), strict=True):
        setattr(bill, attribute, transfer_id)


WRITE_CALLS = """
    INSERT INTO logs_call (id, wallet_id, key_id, model_id, price_version_id, status, started_at, usage, charged_nanousd,
        promotional_nanousd, promotional_transfer_id, paid_transfer_id, held_nanousd, balance_after_nanousd, stream,
        latency_ms, first_token_ms, endpoint, upstream_id, upstream_cost_nanousd)
    SELECT id, wallet_id, key_id, model_id, version_id, status, started_at, usage::jsonb, charged, promotional,
        CASE WHEN promotional > 0 THEN promotional_transfer END, CASE WHEN charged > promotional THEN paid_transfer END,
        held, balance_after, stream, latency_ms, first_token_ms, endpoint, upstream_id, upstream_cost
    FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[],
        %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[],
        %s::integer[], %s::integer[], %s::text[], %s::text[], %s::bigint[])
        AS c(id, wallet_id, key_id, model_id, version_id, status, started_at, usage, charged, promotional,
             promotional_transfer, paid_transfer, held, balance_after, stream, latency_ms, first_token_ms, endpoint,
             upstream_id, upstream_cost)
"""


def _write_calls(bills: list[Bill]) -> None:
    written = [_row(bill, entry) for bill in bills for entry in bill.entries]
    rows(WRITE_CALLS, [list(column) for column in zip(*written, strict=True)])
    details = [
        (entry.report.call_id, entry.wallet_id, entry.report.client_ip, entry.report.error)
        for bill in bills
        for entry in bill.entries
        if entry.report.client_ip or entry.report.error
    ]
    if details:
        rows(
            "INSERT INTO logs_calldetails (call_id, wallet_id, client_ip, error)"
            " SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::inet[], %s::text[]) ON CONFLICT DO NOTHING",
            [list(column) for column in zip(*details, strict=True)],
        )


def _row(bill: Bill, entry: Entry) -> tuple[object, ...]:
    report = entry.report
    return (
        report.call_id,
        entry.wallet_id,
        report.key_id,
        entry.model_id,
        entry.version_id,
        report.status,
        report.started_at,
        json.dumps(report.usage),
        entry.charged_nanousd,
        entry.promotional_nanousd,
        bill.promotional_transfer_id,
        bill.paid_transfer_id,
        entry.held_nanousd,
        entry.balance_after_nanousd,
        report.stream,
        report.latency_ms,
        report.first_token_ms,
        report.endpoint,
        report.upstream_id,
        report.upstream_cost_nanousd,
    )


COUNT_DAYS = """
    INSERT INTO logs_dailyusage AS d (wallet_id, day, key_id, model_id, calls, failed, input_tokens, output_tokens,
        charged_nanousd)
    SELECT * FROM unnest(%s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
        %s::bigint[], %s::bigint[])
    ON CONFLICT (wallet_id, day, key_id, model_id) DO UPDATE SET
        calls = d.calls + excluded.calls, failed = d.failed + excluded.failed,
        input_tokens = d.input_tokens + excluded.input_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
        charged_nanousd = d.charged_nanousd + excluded.charged_nanousd
"""


def _count(bills: list[Bill]) -> None:
    days: dict[tuple[int, date, int, int], list[int]] = {}
    keys: dict[int, spending.Spent] = {}
    for entry in (entry for bill in bills for entry in bill.entries):
        report = entry.report
        day = call_ids.moment(report.call_id).date()
        counted = days.setdefault((entry.wallet_id, day, report.key_id, entry.model_id), [0, 0, 0, 0, 0])
        for place, amount in enumerate(_counted(entry)):
            counted[place] += amount
        spent = keys.setdefault(report.key_id, spending.Spent(report.started_at))
        spent.add(entry.charged_nanousd, report.started_at)
    rows(
        COUNT_DAYS,
        [list(column) for column in zip(*((*key, *days[key]) for key in sorted(days)), strict=True)],
    )
    spending.add(keys)


def _counted(entry: Entry) -> Iterable[int]:
    """Tokens are those of calls that succeeded; what a failed call used was not paid for, and expects nothing."""
    if entry.report.status == "failed":
        return (1, 1, 0, 0, 0)
    usage = entry.report.usage
    output = usage.get("output_tokens", 0) + usage.get("reasoning_tokens", 0)
    return (1, 0, rating.total_input_tokens(usage), output, entry.charged_nanousd)


def _conflict(call_id: str) -> Result:
    message = "This call_id was recorded with another token_id, model, status or usage."
    return Result(call_id, "rejected", 0, {"code": "conflict", "message": message})


def _refused(entry: Entry, code: str, message: str) -> Result:
    return Result(str(entry.report.call_id), "rejected", 0, {"code": code, "message": message})


def _rejected(raw: object, error: BadCall) -> Result:
    given = raw.get("call_id") if isinstance(raw, dict) else None
    call_id = given[:64] if isinstance(given, str) else None
    return Result(call_id, "rejected", 0, {"code": error.code, "message": str(error)})
