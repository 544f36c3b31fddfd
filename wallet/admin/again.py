"""The buttons "Ask Stripe again", and what they say afterwards. What happens is in wallet/asking_again.py."""

from collections.abc import Callable
from typing import Any

from django.db.models import Model

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


def _of_event(event: StripeEvent) -> list[tuple[str, object]]:
    return [
        ("Event", event.pk),
        ("Type", event.type),
        ("About", event.object_id),
        ("Parked because", event.error),
    ]


def _of_top_up(top_up: TopUp) -> list[tuple[str, object]]:
    return _facts("Top-up", top_up, top_up.state, top_up.wallet)


def _of_refund(refund: Refund) -> list[tuple[str, object]]:
    return _facts("Refund", refund, refund.state, refund.wallet)


def _of_dispute(dispute: Dispute) -> list[tuple[str, object]]:
    return _facts("Dispute", dispute, dispute.status, dispute.top_up.wallet if dispute.top_up else None)


def _facts(
    what: str, row: TopUp | Refund | Dispute, state: str, wallet: Wallet | None
) -> list[tuple[str, object]]:
    return [
        (what, f"{usd(row.amount_nanousd)}, {state}"),
        ("Wallet", f"{wallet.pk} of {wallet.owner}" if wallet else "Its payment is not known"),
        ("Problem", row.problem or "-"),
    ]


def _act[Row: Model](
    do: Callable[[Instruction, Row, dict[str, Any]], str],
    *,
    is_offered: Callable[[Row], bool],
    facts: Callable[[Row], list[tuple[str, object]]],
) -> Act[Row]:
    return Act[Row](
        title="Ask Stripe again",
        button="Ask Stripe again",
        path="ask",
        explained=lambda: EXPLAINED,
        do=do,
        may=_may,
        is_offered=is_offered,
        facts=facts,
    )


ASK_ABOUT_EVENT = _act(
    _event, is_offered=lambda event: event.state == StripeEvent.State.PARKED, facts=_of_event
)
ASK_ABOUT_TOP_UP = _act(_top_up, is_offered=asking_again.can_ask_about, facts=_of_top_up)
ASK_ABOUT_REFUND = _act(_refund, is_offered=lambda refund: bool(refund.refund_id), facts=_of_refund)
ASK_ABOUT_DISPUTE = _act(_dispute, is_offered=lambda dispute: True, facts=_of_dispute)
