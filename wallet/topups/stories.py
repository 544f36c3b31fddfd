"""What the history tells of a movement beyond its amount: what was paid for it, Stripe's papers, whether it was undone.

Reads only, and only what belongs to the wallet whose history it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from uuid import UUID

from pricing.money import NANO_PER_CENT, usd
from wallet import corrections, dispute_shares
from wallet.models import Code, Dispute, Refund, TopUp, Transfer, Wallet
from wallet.topups import proofs
from wallet.topups.presentment import presented
from wallet.topups.proofs import Link


@dataclass(frozen=True, slots=True)
class Story:
    """`paid` is what the person paid in a currency of their own; `top_up_id` says which top-up explains it, `payment` of
    which one it is that went back or returned. `tax_nanousd` moved beside it, so that `whole_nanousd` is what a card's
    statement shows. `refund_state` is that of a refund under way. `explained` is a sentence on tax that the wallet bears.
    """

    paid: str = ""
    discount: str = ""
    links: list[Link] = field(default_factory=list)
    is_undone: bool = False
    top_up_id: str | None = None
    is_automatic: bool = False
    payment: TopUp | None = None
    tax_nanousd: int = 0
    whole_nanousd: int = 0
    refund_state: str = ""
    explained: str = ""


NOTHING = Story()
# Tax in a wallet is what became of a dispute's when a refund came to nothing.
WENT_BACK = {Code.REFUND, Code.REFUND_REVERSAL, Code.DISPUTE, Code.DISPUTE_REVERSAL, Code.TAX}
TOLD = {Code.TOP_UP, Code.CORRECTION} | WENT_BACK


def of(wallet: Wallet, movements: Iterable[tuple[int, str]]) -> dict[int, Story]:
    """By the id of the transfer, for top-ups, what went back of them, and corrections. Given are ids and codes."""
    wanted = [key for key, code in movements if code in TOLD]
    if not wanted:
        return {}
    transfers = Transfer.objects.in_bulk(wanted)
    corrected = set(Transfer.objects.filter(corrects__in=wanted).values_list("corrects_id", flat=True))
    named = {key: _top_up_id(transfer) for key, transfer in transfers.items()}
    top_ups = TopUp.objects.filter(wallet=wallet).in_bulk([each for each in named.values() if each])
    taxes, states = _taxes(transfers.values()), _under_way(wallet, transfers.values())
    found: dict[int, Story] = {}
    for key, transfer in transfers.items():
        is_undone = key in corrected and corrections.undone_by(transfer) is not None
        top_up_id, tax_nanousd = named[key], taxes.get(_tax_reference(transfer), 0)
        top_up = top_ups.get(top_up_id) if top_up_id else None
        found[key] = replace(
            _story(transfer.code, top_up, is_undone),
            tax_nanousd=tax_nanousd,
            whole_nanousd=transfer.amount_nanousd + tax_nanousd,
            refund_state=states.get(transfer.reference, ""),
            explained=_explained(transfer, top_up, tax_nanousd) if top_up else "",
        )
    return found


def _tax_reference(transfer: Transfer) -> str:
    """What the transfer of the tax beside this one is called; nothing where there can be none."""
    name = transfer.reference
    match transfer.code:
        case Code.TOP_UP:
            return f"{Code.TAX.value}:{name.removeprefix(f'{Code.TOP_UP.value}:')}"
        case Code.REFUND | Code.REFUND_REVERSAL:
            return f"{Code.TAX.value}:{name}"
        case Code.DISPUTE | Code.DISPUTE_REVERSAL:
            return f"{Code.TAX.value}:{transfer.details.get('balance_transaction')}"
    return ""


def _taxes(transfers: Iterable[Transfer]) -> dict[str, int]:
    """Nano-dollars of tax by reference."""
    references = [reference for each in transfers if (reference := _tax_reference(each))]
    found = Transfer.objects.filter(reference__in=references)
    return dict(found.values_list("reference", "amount_nanousd"))


def _explained(transfer: Transfer, top_up: TopUp, tax_nanousd: int) -> str:
    """Where one payment went back in two ways, so that the wallet bears tax, or does no more."""
    if transfer.code == Code.TAX:
        if transfer.credit_account.wallet_id:
            return "Tax that the bank took of this payment returns to you: nothing came of its refund."
        return "Tax of this payment that is owed again: nothing came of its refund."
    if transfer.code not in (Code.DISPUTE, Code.DISPUTE_REVERSAL):
        return ""
    whole_cents = (transfer.amount_nanousd + tax_nanousd) // NANO_PER_CENT
    borne_nanousd = dispute_shares.tax_in(top_up, whole_cents) * NANO_PER_CENT - tax_nanousd
    if borne_nanousd <= NANO_PER_CENT:
        # Shares are counted over all parts, so each may be off by a cent.
        return ""
    told = f"{usd(borne_nanousd)} of it is tax of this payment, which went back in another way already."
    return (
        f"{told} Should nothing come of that, it returns to you." if transfer.code == Code.DISPUTE else told
    )


def _under_way(wallet: Wallet, transfers: Iterable[Transfer]) -> dict[str, str]:
    """The states of refunds that have not ended, by the reference of what left the wallet for them."""
    ids = [
        each.details["refund"] for each in transfers if each.code == Code.REFUND and "refund" in each.details
    ]
    rows = Refund.objects.filter(pk__in=ids, wallet=wallet, state__in=Refund.UNFINISHED)
    return {f"{Code.REFUND.value}:{row.pk}": row.state for row in rows} if ids else {}


def undone_by(top_up: TopUp) -> Transfer | None:
    """The correction that took a credited top-up out of the wallet again, where one did and still stands."""
    if not top_up.payment_intent_id:
        return None
    credit = Transfer.objects.filter(reference=f"{Code.TOP_UP.value}:{top_up.payment_intent_id}").first()
    return corrections.undone_by(credit) if credit else None


def discount_nanousd(top_up: TopUp) -> int:
    """What a promotion code covered of the price, once Stripe has told that."""
    return 0 if top_up.received_cents is None else top_up.amount_nanousd - top_up.received_nanousd


def discount(top_up: TopUp) -> str:
    """How what was added came about, where a promotion code covered a part of the price; empty otherwise."""
    if not top_up.received_nanousd or discount_nanousd(top_up) <= 0:
        return ""
    paid = usd(top_up.paid_nanousd)
    tax = f" with {usd(top_up.tax_nanousd)} of tax" if top_up.tax_nanousd else ""
    return (
        f"{usd(top_up.amount_nanousd)} less {usd(discount_nanousd(top_up))} by a promotion code:"
        f" {paid} paid{tax}, {usd(top_up.received_nanousd)} added."
    )


@dataclass(frozen=True, slots=True)
class Since:
    """What left the wallet again after a top-up was credited: refunds that did not come back, and what banks hold."""

    refunds: list[Refund]
    disputes: list[Dispute]

    @property
    def given_back_nanousd(self) -> int:
        return sum(each.amount_nanousd for each in self.refunds)

    @property
    def tax_given_back_nanousd(self) -> int:
        return sum(each.tax_nanousd for each in self.refunds)

    @property
    def taken_nanousd(self) -> int:
        return sum(each.taken_nanousd for each in self.disputes)

    @property
    def tax_taken_nanousd(self) -> int:
        return sum(each.tax_nanousd for each in self.disputes)

    @property
    def gone_nanousd(self) -> int:
        return self.given_back_nanousd + self.taken_nanousd


def since(top_up: TopUp) -> Since:
    """Oldest first, in nano-dollars of credit: tax that went back beside it is counted apart."""
    refunds = top_up.refunds.exclude(state__in=Refund.RETURNED).order_by("created_at")
    disputes = top_up.disputes.order_by("opened_at")
    return Since(list(refunds), [each for each in disputes if each.taken_nanousd > 0])


def _story(code: str, top_up: TopUp | None, is_undone: bool) -> Story:
    if top_up is None:
        return Story(is_undone=is_undone)
    if code in WENT_BACK:
        return Story(is_undone=is_undone, payment=top_up)
    if code != Code.TOP_UP:
        return Story(is_undone=is_undone, top_up_id=str(top_up.pk))
    return Story(
        paid=presented(top_up.presentment_amount, top_up.presentment_currency),
        discount=discount(top_up),
        links=proofs.links(top_up),
        is_undone=is_undone,
        top_up_id=str(top_up.pk),
        is_automatic=top_up.is_automatic,
    )


def _top_up_id(transfer: Transfer) -> UUID | None:
    """The top-up that a transfer credited or took from, or that the transfer which it corrects did."""
    first = transfer
    while first.corrects is not None:
        first = first.corrects
    try:
        return UUID(str(first.details.get("top_up")))
    except ValueError:
        return None
