"""Recording finished calls: rate, charge, write, close the holds, in one transaction for a whole batch.

Owns logs_call and what is counted from it. Never refuses a finished call for lack of money, and never charges an id
twice: the same id again answers with the first charge. Invariants: the sum of a wallet's calls is the sum of its `usage`
transfers; a call's lines add up to its charge; daily usage is the sum of its calls.

Batches never wait for each other in a circle: each locks its wallets first, in the order of their ids, and writes its calls
in the order of theirs; everything else that it writes belongs to one of those wallets.

Requests that come while a transaction runs share the next one (logs/grouping.py); reading and rating they do for themselves,
before. A batch may be tried again with the same entries (`_charge`), so each try sets anew whatever it writes into them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django.db import IntegrityError
from django.utils import timezone

from logs import call_ids, lines, partitions, rejections
from logs.grouping import Group
from logs.reports import UUID_FORM, BadCall, CallReport, read_call
from pricing import catalogue, rating
from pricing.rating import PriceTable
from tokens import keys, masking, spending
from wallet import holds, ledger
from wallet.holds import ClosedHold
from wallet.ledger import Balances
from wallet.transactions import again_if_lost, array, copy, rows, together

# The check violation of a row whose month has no partition yet.
NO_PARTITION = "23514"
# No wallet owes ten million dollars: beyond it a report is taken for a mistake, and no sum can leave 64 bits.
LOWEST_BALANCE_NANOUSD = -(10**16)
# Requests of few calls don't wait for large ones, which touch each wallet once for many calls but hold its lock longer.
FEW_CALLS, FEW_TOGETHER = 20, 500
MOST_TOGETHER = 2000


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
    model_id: int
    table: PriceTable
    line_end: str
    """Of its row, as `line_start`: written before the wallets are locked."""
    line_start: str = ""
    charged_nanousd: int = 0
    wallet_id: int = 0
    group_rate_id: int | None = None
    promotional_nanousd: int = 0
    balance_after_nanousd: int = 0
    held_nanousd: int | None = None
    result: Result | None = None

    @property
    def paid_nanousd(self) -> int:
        return self.charged_nanousd - self.promotional_nanousd


@dataclass(slots=True)
class Bill:
    """What one wallet pays in a batch."""

    wallet_id: int
    entries: list[Entry] = field(default_factory=list)
    charged_calls: int = 0
    """Of its calls, those that were neither free nor failed."""
    promotional_nanousd: int = 0
    paid_nanousd: int = 0
    promotional_transfer_id: int | None = None
    paid_transfer_id: int | None = None


def record(calls: Sequence[object]) -> list[Result]:
    """Record a batch; one result a call, in order. Safe to send again, whole or in parts, whatever became of it before."""
    now_ms = timezone.now().timestamp() * 1000
    results: list[Result | None] = [None] * len(calls)
    entries: list[Entry] = []
    for place, raw in enumerate(calls):
        try:
            report = read_call(raw, now_ms)
            entries.append(_priced(report, place))
        except BadCall as error:
            results[place] = _rejected(raw, error)
    if entries:
        group = few if len(entries) <= FEW_CALLS else many
        for entry, result in zip(entries, group.run(entries), strict=True):
            results[entry.place] = result
    complete = _with_conflicts([result for result in results if result is not None])
    rejections.keep(calls, complete)
    for entry in entries:
        # As it was sent: a gateway may look for its own spelling.
        complete[entry.place].call_id = cast("dict[str, str]", calls[entry.place])["call_id"]
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
    known = _recorded([str(suspect.call_id).lower() for suspect in suspects]) if suspects else {}
    conflicts = {id(suspect) for suspect in suspects if str(suspect.call_id).lower() in known}
    return [_conflict(str(result.call_id)) if id(result) in conflicts else result for result in results]


def _priced(report: CallReport, place: int) -> Entry:
    model = catalogue.priced(report.model) or catalogue.priced(report.model, fresh=True)
    if model is None:
        raise BadCall("model_not_found", "There is no model of that name.")
    version = model.version_at(report.started_at)
    if version is None or not (version.is_complete or report.status == "failed"):
        raise BadCall("unpriced_model", "The model had no complete price when the call started.")
    entry = Entry(report, place, model.id, version.table, lines.end(report))
    _rate(entry, version.table)
    return entry


def _rate(entry: Entry, table: PriceTable) -> None:
    """Charge it by this table; a failed call nothing. Raises BadCall for what can't be rated."""
    report = entry.report
    try:
        charged = 0 if report.status == "failed" else rating.charge(report.usage, table)
    except rating.RatingError as error:
        raise BadCall(error.code, str(error)) from None
    entry.charged_nanousd = charged
    entry.line_start = lines.start(report, table, model_id=entry.model_id, charged_nanousd=charged)


def _charge_who_pays(entries: Sequence[Entry]) -> list[Result]:
    """A result for each entry, in order: of those whose key exists, from the books."""
    payers = keys.payers_of(entry.report.key_id for entry in entries)
    payable: list[Entry] = []
    for entry in entries:
        key_id = entry.report.key_id
        payer = payers.get(key_id)
        if payer is None:
            entry.result = _refused(entry, "token_not_found", f"There is no key with token_id {key_id}.")
            continue
        entry.wallet_id = payer.wallet_id
        try:
            _rate_for_group(entry, payer.group_at(entry.report.started_at))
        except BadCall as error:
            entry.result = _refused(entry, error.code, str(error))
        else:
            payable.append(entry)
    if payable:
        _charge_again_if_raced(payable)
    return [cast("Result", entry.result) for entry in entries]


def _rate_for_group(entry: Entry, group_id: int | None) -> None:
    """Who was a member of a group when the call started pays its rate of then; the others the list's prices, as rated."""
    if group_id is None and entry.group_rate_id is None:
        return
    rate = catalogue.rate_of(group_id, at=entry.report.started_at)
    entry.group_rate_id = rate.id if rate else None
    _rate(entry, entry.table.with_rate(rate.multiplier_bp) if rate else entry.table)


few = Group(_charge_who_pays, FEW_TOGETHER)
many = Group(_charge_who_pays, MOST_TOGETHER)


def _charge_again_if_raced(entries: Sequence[Entry]) -> None:
    try:
        again_if_lost(lambda: _charge(entries))
    except IntegrityError as error:
        # Another batch recorded one of these ids for another wallet in between, which the second look finds.
        if getattr(error.__cause__, "sqlstate", None) == NO_PARTITION:
            partitions.make_partitions()
        again_if_lost(lambda: _charge(entries))


def _charge(entries: Sequence[Entry]) -> None:
    """The transaction. Each entry gets its result."""
    wallet_ids = {entry.wallet_id for entry in entries}
    # Nearly always all of them are new; so little as possible is left to do while the wallets are locked.
    usage_of_all = spending.adding(_used(entries))
    funds, closed, transfer_ids = together(
        ledger.locking(wallet_ids),
        holds.removing([(entry.report.call_id, str(entry.report.key_id)) for entry in entries]),
        ledger.reserving(2 * len(wallet_ids)),
    )
    known = _match(entries, closed)
    fresh = _first_of_each(entries, known, funds)
    bills = _bills(fresh)
    transfers = _transfers(bills, transfer_ids)
    if fresh:
        _write_calls(bills)
    usage = usage_of_all if len(fresh) == len(entries) else spending.adding(_used(fresh))
    # The rows that authorize waits for are written last.
    together(usage, ledger.posting(transfers), holds.lowering(closed.values()))


type Recorded = dict[str, tuple[tuple[int, str, str], dict[str, int], int]]
"""Of each id: key, model and status; usage; charge."""


def _recorded(call_ids: Sequence[str]) -> Recorded:
    """What was recorded before under these ids."""
    found = rows(
        "SELECT c.id::text, c.key_id, m.name, c.status, c.usage, c.charged_nanousd FROM logs_call c"
        " JOIN pricing_model m ON m.id = c.model_id WHERE c.id = ANY(%s::uuid[])",
        [array(call_ids)],
    )
    return {row[0]: (tuple(row[1:4]), json.loads(row[4]), row[5]) for row in found}


def _match(entries: Sequence[Entry], closed: dict[str, ClosedHold]) -> Recorded:
    """Refuse calls whose id was given to another key; return what was recorded before.

    A call that is refused later on has no hold any more: it was answered, and staff rate it.

    Recording a call removes its hold and no id gets a second one, so a call that had a hold was not recorded yet: only
    the others are looked for, which are few.
    """
    without = [entry.report.call_id for entry in entries if entry.report.call_id not in closed]
    others = holds.references(without) if without else {}
    for entry in entries:
        call_id, reference = entry.report.call_id, str(entry.report.key_id)
        hold = closed.get(call_id)
        if (hold.reference if hold else others.get(call_id, reference)) != reference:
            entry.result = _refused(entry, "token_mismatch", "This call_id was given to another key.")
        else:
            entry.result = None
            entry.held_nanousd = hold.amount_nanousd if hold else None
    return _recorded(without) if without else {}


def _first_of_each(entries: Sequence[Entry], known: Recorded, funds: dict[int, Balances]) -> list[Entry]:
    """Split the charges of what is new, in order; answer for what was recorded before or stands twice in this batch.

    Only what is really going to be written makes a later copy a duplicate.
    """
    fresh: list[Entry] = []
    for entry in entries:
        if entry.result is not None:
            continue
        report = entry.report
        content = (report.key_id, report.model, report.status)
        first = known.get(report.call_id)
        if first is None:
            entry.result = _split(entry, funds[entry.wallet_id])
            if entry.result.error is None:
                known[report.call_id] = (content, report.usage, entry.charged_nanousd)
                fresh.append(entry)
        elif first[:2] == (content, report.usage):
            entry.result = Result(report.call_id, "duplicate", first[2])
        else:
            entry.result = _conflict(report.call_id)
    return fresh


def _split(entry: Entry, own: Balances) -> Result:
    """Take the charge from what the wallet has left: promotional credit first, then paid, which may go below zero."""
    charged = entry.charged_nanousd
    balance = own.promotional_nanousd + own.paid_nanousd - charged
    if balance < LOWEST_BALANCE_NANOUSD:
        return _refused(entry, "balance_out_of_bounds", "No wallet can owe that much.")
    entry.promotional_nanousd = min(charged, max(own.promotional_nanousd, 0))
    own.promotional_nanousd -= entry.promotional_nanousd
    own.paid_nanousd -= entry.paid_nanousd
    entry.balance_after_nanousd = balance
    return Result(entry.report.call_id, "accepted", charged)


def _bills(entries: list[Entry]) -> list[Bill]:
    bills: dict[int, Bill] = {}
    for entry in entries:
        bill = bills.get(entry.wallet_id)
        if bill is None:
            bill = bills[entry.wallet_id] = Bill(entry.wallet_id)
        bill.entries.append(entry)
        bill.charged_calls += entry.charged_nanousd > 0
        bill.promotional_nanousd += entry.promotional_nanousd
        bill.paid_nanousd += entry.paid_nanousd
    return list(bills.values())


def _transfers(bills: list[Bill], transfer_ids: list[int]) -> list[ledger.Usage]:
    """One transfer per wallet and account, named after the first call that it pays for. Their ids go into the calls."""
    parts = [
        (bill, kind, amount)
        for bill in bills
        for kind, amount in (("promotional", bill.promotional_nanousd), ("paid", bill.paid_nanousd))
        if amount
    ]
    transfers: list[ledger.Usage] = []
    for (bill, kind, amount), transfer_id in zip(parts, transfer_ids, strict=False):
        setattr(bill, f"{kind}_transfer_id", transfer_id)
        reference = f"usage:{bill.entries[0].report.call_id}:{kind}"
        transfers.append(
            ledger.Usage(transfer_id, reference, bill.wallet_id, kind, amount, bill.charged_calls)
        )
    return transfers


def _write_calls(bills: list[Bill]) -> None:
    # Lines begin with the id: in its order, batches with the same ids for two wallets never wait in a circle.
    copy(lines.CALLS, sorted([_line(bill, entry) for bill in bills for entry in bill.entries]))
    details = [
        lines.of_details(entry.report, entry.wallet_id)
        for bill in bills
        for entry in bill.entries
        if entry.report.client_ip or entry.report.error
    ]
    if details:
        copy(lines.DETAILS, details)


def _line(bill: Bill, entry: Entry) -> str:
    charge = lines.of_charge(
        wallet_id=entry.wallet_id,
        promotional_nanousd=entry.promotional_nanousd,
        promotional_transfer_id=bill.promotional_transfer_id if entry.promotional_nanousd else None,
        paid_transfer_id=bill.paid_transfer_id if entry.paid_nanousd else None,
        held_nanousd=entry.held_nanousd,
        balance_after_nanousd=entry.balance_after_nanousd,
        group_rate_id=entry.group_rate_id,
    )
    return f"{entry.line_start}{charge}{entry.line_end}"


def _used(entries: Sequence[Entry]) -> dict[spending.Place, spending.Used]:
    used: dict[spending.Place, spending.Used] = {}
    for entry in entries:
        report = entry.report
        place = (entry.wallet_id, call_ids.hour(report.call_id), report.key_id, entry.model_id)
        one = used.get(place)
        if one is None:
            one = used[place] = spending.Used(report.started_at)
        if report.status == "failed":
            one.add_failed(report.started_at)
        else:
            one.add(report.usage, entry.charged_nanousd, report.started_at)
    return used


def _conflict(call_id: str) -> Result:
    message = "This call_id was recorded with another token_id, model, status or usage."
    return Result(call_id, "rejected", 0, {"code": "conflict", "message": message})


def _refused(entry: Entry, code: str, message: str) -> Result:
    return Result(entry.report.call_id, "rejected", 0, {"code": code, "message": masking.masked(message)})


def _rejected(raw: object, error: BadCall) -> Result:
    given = raw.get("call_id") if isinstance(raw, dict) else None
    # What is sent back is what was sent, but for a key that stood in a wrong field.
    call_id = masking.masked(given)[:64] if isinstance(given, str) else None
    return Result(call_id, "rejected", 0, {"code": error.code, "message": masking.masked(str(error))})
