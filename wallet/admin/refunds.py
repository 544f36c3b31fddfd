"""Refunds for staff: every one with its states and ids, and the decision about those that wait."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.utils.html import format_html

from accounts import audit
from accounts.acting import Act, ActingAdmin, button
from accounts.audit import Instruction
from accounts.models import User
from pricing.money import NANO_PER_CENT, usd
from staff.admin import ReadOnlyAdmin, column, lines, link, list_link
from wallet import dispute_shares
from wallet.acts import PERMISSION
from wallet.admin.acts import state_of
from wallet.admin.again import ASK_ABOUT_REFUND
from wallet.admin.columns import briefly, cents, coded, linked, worded
from wallet.admin.terms import as_uuid, names_a_wallet, wallets_for
from wallet.models import Dispute, Refund, Transfer
from wallet.refunds import asking as refund_asking
from wallet.refunds import decisions as refund_decisions
from wallet.refunds import requests as refund_requests
from wallet.refunds.payments import REFUNDABLE
from wallet.refunds.requests import Request

State = Refund.State


def _may(actor: User, refund: Refund) -> bool:
    return audit.may(actor, PERMISSION) and refund.wallet.owner_id != actor.pk


def _waits(refund: Refund) -> bool:
    return refund.state == State.WAITING


def _asked(refund: Refund) -> Request:
    asked = refund_requests.find(refund.request_id)
    assert asked is not None
    return asked


def _payments(count: int) -> str:
    return f"{count:,} payment{pluralize(count)}"


def _facts(refund: Refund) -> list[tuple[str, object]]:
    asked, wallet = _asked(refund), refund.wallet
    return [
        ("Whole request", f"{usd(asked.amount_nanousd)} of {_payments(len(asked.rows))}"),
        ("Tax beside it", usd(asked.tax_nanousd)),
        ("Wallet", f"{wallet.pk} of {wallet.owner}, {state_of(wallet)}"),
        ("Account since", f"{wallet.owner.date_joined:%Y-%m-%d %H:%M} UTC"),
        ("Left in the wallet", usd(wallet.funds.balance_nanousd)),
        *_disputed(asked),
    ]


def _disputed(asked: Request) -> list[tuple[str, object]]:
    """What banks do about the payments of a request. Stripe refuses to give back what a bank has taken, or may."""
    found = Dispute.objects.filter(top_up__in=[row.top_up_id for row in asked.rows]).select_related("top_up")
    return [
        (
            "Disputed",
            format_html(
                "{}: payment of {}, {}. {} of it is taken with tax.{}",
                link(each, f"Dispute {each.pk}"),
                usd(dispute_shares.paid_cents(each.top_up) * NANO_PER_CENT),
                dict(Dispute.Status.choices).get(each.status, each.status),
                usd(dispute_shares.gone_cents(each) * NANO_PER_CENT),
                "" if each.status in REFUNDABLE else " Stripe refuses to give this payment back.",
            ),
        )
        for each in found
        if each.top_up is not None
    ]


def _decided(refund: Refund) -> str:
    """How the request was decided, or ended without that."""
    now = refund.get_state_display()
    if refund.decided_by is None or refund.decided_at is None:
        return f"Nobody has to decide about it. {now}."
    at = f"{refund.decided_at:%Y-%m-%d at %H:%M} UTC"
    if refund.state == State.DECLINED:
        return f"{refund.decided_by} declined it on {at}."
    return f"{refund.decided_by} approved it on {at}. Since then: {now}."


def _approve(by: Instruction, refund: Refund, _: dict[str, Any]) -> str:
    refund_decisions.approve(by, refund)
    is_asked = refund_asking.settle_request(refund.request_id)
    amount = usd(_asked(refund).amount_nanousd)
    return f"Approved {amount}." if is_asked else f"Approved {amount}. Stripe is asked as soon as it answers."


def _decline(by: Instruction, refund: Refund, _: dict[str, Any]) -> str:
    refund_decisions.decline(by, refund)
    return f"Declined. {usd(_asked(refund).amount_nanousd)} is in the wallet again."


APPROVE = Act[Refund](
    title="Approve",
    button="Approve",
    path="approve",
    explained=lambda: "The whole request goes to Stripe at once, to the payments that it names.",
    do=_approve,
    may=_may,
    is_offered=_waits,
    over=_decided,
    facts=_facts,
)
DECLINE = Act[Refund](
    title="Decline",
    button="Decline",
    path="decline",
    explained=lambda: (
        "The whole request returns to the wallet. The owner is told by mail and reads what you write here."
    ),
    do=_decline,
    may=_may,
    is_offered=_waits,
    over=_decided,
    facts=_facts,
    is_grave=True,
)


@admin.register(Refund)
class RefundAdmin(ActingAdmin, ReadOnlyAdmin):
    actions_detail = ("approve", "decline", "ask")
    approve = button(APPROVE)
    decline = button(DECLINE)
    ask = button(ASK_ABOUT_REFUND)
    list_display = (
        "created_at", "amount", "state_label", "owner", "problem_in_brief", "tax", "begun", "request_link", "request_amount",
        "settled_at", "id",
    )  # fmt: skip
    list_filter = ("state", "origin")
    list_select_related = ("wallet__owner",)
    linked_by = ("wallet__id__exact", "request_id__exact", "top_up__id__exact")
    search_fields = ("refund_id",)
    search_help_text = "Refund or request id, Stripe's refund or payment id, owner's e-mail, or wallet number"
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("id", "whole_request", "wallet_link", "amount", "tax", "origin")}),
        ("State", {"fields": ("state_label", "meaning", "problem", "refusal")}),
        ("Decision", {"fields": ("decided_by", "decided_at", "trail")}),
        ("Stripe", {"fields": ("top_up_link", "payment_intent", "stripe_id", "events")}),
        ("Books", {"fields": ("transfers",)}),
        ("Times", {"fields": ("created_at", "asked_at", "checked_at", "settled_at")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refund]:
        """With the sum of the whole request beside each of its payments; staff decide about the whole."""
        of_request = Refund.objects.filter(request_id=OuterRef("request_id")).order_by().values("request_id")
        found: QuerySet[Refund] = super().get_queryset(request)
        return found.annotate(request_cents=Subquery(of_request.values(sum=Sum("amount_cents"))))

    def matching(self, term: str) -> Q:
        own_id = as_uuid(term)
        if own_id:
            return Q(pk=own_id) | Q(request_id=own_id)
        if names_a_wallet(term):
            return Q(wallet__in=wallets_for(term))
        return Q(refund_id=term) | Q(top_up__payment_intent_id=term)

    amount = cents("Amount", "amount_cents")

    @column("Begun")
    def begun(self, refund: Refund) -> str:
        return "at Stripe" if refund.origin == Refund.Origin.STRIPE else "by the owner"

    @column("Owner")
    def owner(self, refund: Refund) -> str:
        return refund.wallet.owner.email

    @column("Request")
    def request_link(self, refund: Refund) -> str:
        return list_link("wallet_refund", str(refund.request_id)[:8], request_id__exact=refund.request_id)

    @column("Whole request")
    def request_amount(self, refund: Refund) -> str:
        return usd(getattr(refund, "request_cents", 0) * NANO_PER_CENT)

    tax = cents("Tax", "tax_cents")
    problem_in_brief = briefly("Problem", "problem")

    @column(
        "State",
        labels={
            "succeeded": "success",
            "waiting": "warning",
            "created": "info",
            "pending": "info",
            "failed": "danger",
        },
    )
    def state_label(self, refund: Refund) -> str:
        return refund.state

    meaning = worded("Which means", "state")

    @column("Request")
    def whole_request(self, refund: Refund) -> str:
        count = Refund.objects.filter(request_id=refund.request_id).count()
        text = f"{refund.request_id}, {_payments(count)}"
        return list_link("wallet_refund", text, request_id__exact=refund.request_id)

    wallet_link = linked("Wallet", "wallet")
    top_up_link = linked("Top-up", "top_up")
    payment_intent = coded("Payment intent", "top_up.payment_intent_id")
    stripe_id = coded("Refund at Stripe", "refund_id")

    @column("Events")
    def events(self, refund: Refund) -> str:
        if not refund.refund_id:
            return "-"
        return list_link("wallet_stripeevent", f"Events of {refund.refund_id}", q=refund.refund_id)

    @column("Audit trail")
    def trail(self, refund: Refund) -> str:
        where = {"target_type": "wallet.wallet", "target_id": refund.wallet_id}
        return list_link("accounts_auditentry", "What staff did to this wallet", **where)

    @column("Transfers")
    def transfers(self, refund: Refund) -> str:
        names = [f"{kind}:{refund.pk}" for kind in ("refund", "refund_reversal")]
        # Where it came to nothing, what it leaves of the tax may be a dispute's.
        disputed = refund.top_up.disputes.values_list("pk", flat=True)
        taxes = [f"tax:{name}" for name in (*names, *(f"{dispute}:{refund.pk}" for dispute in disputed))]
        found = Transfer.objects.filter(reference__in=[*names, *taxes])
        return lines(
            [
                format_html("{} {}", link(each, each.reference), usd(each.amount_nanousd))
                for each in found.order_by("pk")
            ]
        )
