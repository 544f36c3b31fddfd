"""What staff may do to wallets and transfers: the words of the pages, and the list of what waits for a second person.

Who may, what is refused and what happens is in wallet/acts.py and wallet/suspensions.py.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Q
from django.utils.html import format_html
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import audit
from accounts.acting import Act, ActForm, ActingAdmin, button
from accounts.audit import Instruction
from accounts.models import User
from pricing.money import NANO_PER_CENT, cents_from_text, usd
from staff.admin import ReadOnlyAdmin, column, link
from wallet import acts, suspensions
from wallet.admin.columns import coded, dollars, linked, worded
from wallet.admin.terms import as_uuid, wallets_for
from wallet.grants import GRANTS
from wallet.models import Proposal, Transfer, Wallet


class AmountForm(ActForm):
    """`cleaned_data["amount"]` is nano-dollars, in whole cents; bounds are the domain's."""

    amount = forms.CharField(
        label="Amount in dollars",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={"required": "Enter an amount."},
        max_length=40,
    )
    field_order = ("request_id", "amount", "reason")

    def clean_amount(self) -> int:
        try:
            return cents_from_text(self.cleaned_data["amount"]) * NANO_PER_CENT
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


def _may(actor: User, row: object) -> bool:
    return audit.may(actor, acts.PERMISSION)


def _told(verb: str, answer: Transfer | Proposal) -> str:
    amount = usd(answer.amount_nanousd)
    if isinstance(answer, Transfer):
        return format_html("{} {}: {}.", verb, amount, link(answer, f"transfer {answer.pk}"))
    return format_html("{} waits for a second person: {}.", amount, link(answer, "the proposal"))


def _explained(what: str) -> Callable[[], str]:
    """The limit is read when the page is shown."""
    return lambda: (
        f"{what} A second person has to approve it where you would move more than"
        f" {usd(settings.STAFF_LIMIT_CENTS * NANO_PER_CENT)} alone within 24 hours, or where the wallet is yours."
    )


def state_of(wallet: Wallet) -> str:
    """In a word, for staff."""
    if _is_closed(wallet):
        return "closed account"
    return "suspended" if wallet.suspended_at else "open"


def _is_closed(wallet: Wallet) -> bool:
    """Nobody can reach it any more, so there is nothing to give and nobody to keep out."""
    return wallet.owner.closed_at is not None


def _of_wallet(wallet: Wallet) -> list[tuple[str, object]]:
    return [
        ("Wallet", f"{wallet.pk} of {wallet.owner}"),
        ("Balance", usd(wallet.funds.balance_nanousd)),
        ("Of it promotional", usd(wallet.funds.promotional_nanousd)),
        ("Held", usd(wallet.funds.held_nanousd)),
        ("State", state_of(wallet)),
    ]


def _of_transfer(transfer: Transfer) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("Transfer", f"{transfer.pk}, {transfer.get_code_display()}"),
        ("Amount", usd(transfer.amount_nanousd)),
        ("From", transfer.debit_account),
        ("To", transfer.credit_account),
    ]
    return facts if transfer.wallet is None else [*facts, *_of_wallet(transfer.wallet)]


def _of_proposal(proposal: Proposal) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("Proposal", f"{proposal.get_code_display()}, {usd(proposal.amount_nanousd)}"),
        ("Asked by", proposal.asked_by),
        ("Because", proposal.reason),
    ]
    if proposal.corrects is not None:
        return [*facts, *_of_transfer(proposal.corrects)]
    return facts if proposal.wallet is None else [*facts, *_of_wallet(proposal.wallet)]


def _grant(by: Instruction, wallet: Wallet, sent: dict[str, Any]) -> str:
    return _told("Granted", acts.give_credit(by, wallet, sent["amount"]))


def _void(by: Instruction, grant: Transfer, sent: dict[str, Any]) -> str:
    return _told("Withdrew", acts.void_grant(by, grant, sent["amount"]))


def _correct(by: Instruction, transfer: Transfer, _: dict[str, Any]) -> str:
    return _told("Corrected", acts.correct(by, transfer))


def _suspend(by: Instruction, wallet: Wallet, _: dict[str, Any]) -> str:
    suspensions.suspend(by, wallet)
    return f"{wallet} is suspended."


def _reinstate(by: Instruction, wallet: Wallet, _: dict[str, Any]) -> str:
    suspensions.reinstate(by, wallet)
    return f"{wallet} was reinstated."


def _approve(by: Instruction, proposal: Proposal, _: dict[str, Any]) -> str:
    return _told("Approved", acts.approve(by, proposal))


def _decline(by: Instruction, proposal: Proposal, _: dict[str, Any]) -> str:
    acts.decline(by, proposal)
    return f"Declined {usd(proposal.amount_nanousd)}. Nothing was moved."


def _left_to_withdraw(grant: Transfer) -> dict[str, Any]:
    assert grant.wallet is not None
    cents = min(grant.amount_nanousd, max(grant.wallet.funds.promotional_nanousd, 0)) // NANO_PER_CENT
    return {"amount": f"{cents // 100}.{cents % 100:02}"}


def _is_untouched(transfer: Transfer) -> bool:
    return not Transfer.objects.filter(corrects=transfer).exists()


def _waits(proposal: Proposal) -> bool:
    return proposal.state == Proposal.State.WAITING


def _may_decide(actor: User, proposal: Proposal) -> bool:
    return _may(actor, proposal) and actor.pk != proposal.asked_by_id


GRANT_CREDIT = Act[Wallet](
    title="Grant credit",
    button="Grant credit",
    path="grant",
    explained=_explained("The credit is promotional: used before bought money, and never refunded."),
    do=_grant,
    may=_may,
    is_offered=lambda wallet: not _is_closed(wallet),
    facts=_of_wallet,
    form=AmountForm,
)
SUSPEND = Act[Wallet](
    title="Suspend",
    button="Suspend",
    path="suspend",
    explained=lambda: (
        "Its keys are answered account_suspended from now on. Calls in flight are still charged; no money moves."
    ),
    do=_suspend,
    may=_may,
    is_offered=lambda wallet: wallet.suspended_at is None and not _is_closed(wallet),
    facts=_of_wallet,
    is_grave=True,
)
REINSTATE = Act[Wallet](
    title="Reinstate",
    button="Reinstate",
    path="reinstate",
    explained=lambda: "Its keys work again.",
    do=_reinstate,
    may=_may,
    is_offered=lambda wallet: wallet.suspended_at is not None and not _is_closed(wallet),
    facts=_of_wallet,
)
VOID_GRANT = Act[Transfer](
    title="Withdraw the credit",
    button="Withdraw the credit",
    path="void",
    explained=_explained("Once for this grant, at most what was given and what promotional credit is left."),
    do=_void,
    may=_may,
    is_offered=lambda transfer: transfer.code in GRANTS and _is_untouched(transfer),
    facts=_of_transfer,
    form=AmountForm,
    initial=lambda transfer: _left_to_withdraw(transfer) if transfer.code in GRANTS else {},
    is_grave=True,
)
CORRECT = Act[Transfer](
    title="Correct",
    button="Correct",
    path="correct",
    explained=_explained(
        "A new transfer moves the whole amount back and names this one, which stays."
        " That happens once, and may take a balance below zero."
    ),
    do=_correct,
    may=_may,
    is_offered=_is_untouched,
    facts=_of_transfer,
    is_grave=True,
)
APPROVE = Act[Proposal](
    title="Approve",
    button="Approve",
    path="approve",
    explained=lambda: "It is done at once, and you are named with the one who asked for it.",
    do=_approve,
    may=_may_decide,
    is_offered=_waits,
    facts=_of_proposal,
)
DECLINE = Act[Proposal](
    title="Decline",
    button="Decline",
    path="decline",
    explained=lambda: "Nothing is moved, and this proposal is closed. It can be asked for anew.",
    do=_decline,
    may=_may_decide,
    is_offered=_waits,
    facts=_of_proposal,
    is_grave=True,
)


@admin.register(Proposal)
class ProposalAdmin(ActingAdmin, ReadOnlyAdmin):
    """What waits for a second person, and what became of it."""

    actions_detail = ("approve", "decline")
    approve = button(APPROVE)
    decline = button(DECLINE)
    list_display = ("asked_at", "amount", "state_label", "code_label", "wallet", "asked_by", "decided_by")
    list_display_links = ("asked_at",)
    list_filter = ("state",)
    list_select_related = ("wallet", "asked_by", "decided_by")
    linked_by = ("wallet__id__exact",)
    search_fields = ("id",)
    search_help_text = "Its id, wallet number or owner's e-mail"
    ordering = ("-asked_at",)
    fields = (
        "id", "code_label", "amount", "wallet_link", "corrects_link", "reason_text", "asked_by", "asked_at",
        "state_label", "meaning", "decided_by", "decided_at", "result",
    )  # fmt: skip

    def matching(self, term: str) -> Q:
        proposal_id = as_uuid(term)
        return Q(pk=proposal_id) if proposal_id else Q(wallet__in=wallets_for(term))

    code_label = worded("What", "code")
    amount = dollars("Amount", "amount_nanousd")
    wallet_link = linked("Wallet", "wallet")
    corrects_link = linked("Undoes", "corrects")
    reason_text = coded("Because", "reason")

    @column("State", labels={"waiting": "warning", "approved": "success", "declined": "danger"})
    def state_label(self, proposal: Proposal) -> str:
        return proposal.state

    meaning = worded("Which means", "state")

    @column("Transfer")
    def result(self, proposal: Proposal) -> str:
        return link(Transfer.objects.filter(reference=proposal.reference).first())
