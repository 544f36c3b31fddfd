"""The buttons "Ask Stripe again", and what they say afterwards. What happens is in wallet/asking_again.py."""

from typing import Any

from accounts import audit
from accounts.acting import Act
from accounts.audit import Instruction
from accounts.models import User
from pricing.money import usd
from wallet import asking_again
from wallet.acts import PERMISSION
from wallet.models import Dispute, Refund, StripeEvent, TopUp, Wallet

EXPLAINED = (
    "What it tells now is judged like any other time. Nothing is decided by hand, and money moves once."
)


def _may(actor: User, row: object) -> bool:
    return audit.may(actor, PERMISSION)


def _event(by: Instruction, event: StripeEvent, _: dict[str, Any]) -> str:
    found = asking_again.about_event(by, event)
    match found.state:
        case StripeEvent.State.PENDING:
            return f"Not handled yet, and tried again by itself: {found.error}"
        case StripeEvent.State.PARKED:
            return f"Still parked: {found.error}"
    return _told(found.state, found.get_state_display(), "")


def _top_up(by: Instruction, top_up: TopUp, _: dict[str, Any]) -> str:
    found = asking_again.about_top_up(by, top_up)
    return _told(found.state, found.get_state_display(), found.problem)


def _refund(by: Instruction, refund: Refund, _: dict[str, Any]) -> str:
    found = asking_again.about_refund(by, refund)
    return _told(found.state, found.get_state_display(), found.problem)


def _dispute(by: Instruction, dispute: Dispute, _: dict[str, Any]) -> str:
    found = asking_again.about_dispute(by, dispute)
    return _told(found.status, dict(Dispute.Status.choices).get(found.status, ""), found.problem)


def _told(state: str, meaning: str, problem: str) -> str:
    said = f"{state} ({meaning})" if meaning else state
    return f"Stripe was asked. It is {said}. {problem}".strip()


def _owned(wallet: Wallet) -> str:
    return f"{wallet.pk} of {wallet.owner}"


def _of_event(event: StripeEvent) -> list[tuple[str, object]]:
    return [
        ("Event", event.pk),
        ("Type", event.type),
        ("About", event.object_id),
        ("Parked because", event.error),
    ]


def _of_top_up(top_up: TopUp) -> list[tuple[str, object]]:
    return [
        ("Top-up", f"{usd(top_up.amount_nanousd)}, {top_up.state}"),
        ("Wallet", _owned(top_up.wallet)),
        ("Problem", top_up.problem or "-"),
    ]


def _of_refund(refund: Refund) -> list[tuple[str, object]]:
    return [
        ("Refund", f"{usd(refund.amount_nanousd)}, {refund.state}"),
        ("Wallet", _owned(refund.wallet)),
        ("Problem", refund.problem or "-"),
    ]


def _of_dispute(dispute: Dispute) -> list[tuple[str, object]]:
    return [
        ("Dispute", f"{usd(dispute.amount_nanousd)}, {dispute.status}"),
        ("Wallet", _owned(dispute.top_up.wallet) if dispute.top_up else "Its payment is not known"),
        ("Problem", dispute.problem or "-"),
    ]


ASK_ABOUT_EVENT = Act[StripeEvent](
    title="Ask Stripe again",
    button="Ask Stripe again",
    path="ask",
    explained=lambda: EXPLAINED,
    do=_event,
    may=_may,
    is_offered=lambda event: event.state == StripeEvent.State.PARKED,
    facts=_of_event,
)
ASK_ABOUT_TOP_UP = Act[TopUp](
    title="Ask Stripe again",
    button="Ask Stripe again",
    path="ask",
    explained=lambda: EXPLAINED,
    do=_top_up,
    may=_may,
    is_offered=asking_again.can_ask_about,
    facts=_of_top_up,
)
ASK_ABOUT_REFUND = Act[Refund](
    title="Ask Stripe again",
    button="Ask Stripe again",
    path="ask",
    explained=lambda: EXPLAINED,
    do=_refund,
    may=_may,
    is_offered=lambda refund: bool(refund.refund_id),
    facts=_of_refund,
)
ASK_ABOUT_DISPUTE = Act[Dispute](
    title="Ask Stripe again",
    button="Ask Stripe again",
    path="ask",
    explained=lambda: EXPLAINED,
    do=_dispute,
    may=_may,
    is_offered=lambda dispute: True,
    facts=_of_dispute,
)
