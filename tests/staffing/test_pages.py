"""The forms in the admin panel: from the button to the books, for whom it is, and for nobody else."""

import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts import lockouts
from accounts.models import AuditEntry, User
from tests.books import assert_books
from tests.staffing.conftest import REASON, browser, by
from tests.staffing.test_acts import DOLLAR, STARTER, moved, state, waiting
from wallet import acts, ledger, suspensions
from wallet.models import Code, Proposal, Transfer, Wallet
from wallet.wallets import wallet_of


def page(name: str, row: object) -> str:
    return reverse(f"admin:{name}", args=[row])


def open_form(client: Client, path: str) -> dict[str, str]:
    """What a browser would send back."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    found = re.search(r'name="request_id" value="([^"]+)"', answer.content.decode())
    assert found is not None
    return {"request_id": found[1], "reason": REASON}


def everything(wallet: Wallet, starter: Transfer, alice: User, proposal: Proposal) -> list[str]:
    """Every page on which staff act."""
    return [
        page("wallet_wallet_grant_credit", wallet.pk),
        page("wallet_wallet_suspend", wallet.pk),
        page("wallet_wallet_reinstate", wallet.pk),
        page("wallet_transfer_void_grant", starter.pk),
        page("wallet_transfer_correct", starter.pk),
        page("wallet_proposal_approve", proposal.pk),
        page("wallet_proposal_decline", proposal.pk),
        page("accounts_user_lock_out", alice.pk),
        page("accounts_user_reinstate", alice.pk),
    ]


@pytest.fixture
def proposal(keeper: User, wallet: Wallet) -> Proposal:
    return waiting(acts.give_credit(by(keeper), wallet, 200 * DOLLAR))


def test_credit_is_granted(keeper: User, wallet: Wallet) -> None:
    client, path = browser(keeper), page("wallet_wallet_grant_credit", wallet.pk)
    assert path in client.get(page("wallet_wallet_change", wallet.pk)).content.decode()
    form = {**open_form(client, path), "amount": "5.25"}
    answer = client.post(path, form, follow=True)
    assert answer.redirect_chain == [(page("wallet_wallet_change", wallet.pk), 302)]
    assert "Granted $5.25" in answer.content.decode()
    assert ledger.balances(wallet).balance_nanousd == STARTER + 5_250_000_000
    before = state()
    again = client.post(path, form, follow=True)
    assert (again.redirect_chain, "Granted $5.25" in again.content.decode()) == (answer.redirect_chain, True)
    assert state() == before
    assert_books()


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": ""}, {"amount": "0"}, {"amount": "0.00"}, {"amount": "-5"}, {"amount": "NaN"}, {"amount": "1e3"},
        {"amount": "0.001"}, {"amount": "1_000"}, {"amount": "\uff15"}, {"amount": "9" * 40}, {"amount": "999999999"},
        {"amount": "100000.01"}, {"amount": "inf"}, {"amount": "5 5"}, {"amount": "5,00"},
        {"reason": ""}, {"reason": "  abc "},
        {"reason": "x" * 501}, {"reason": "a\x00 reason"}, {"reason": "sk-abcdefgh12345678 leaked"}, {"request_id": ""},
        {"request_id": "1"}, {"request_id": "x" * 5000},
    ],
)  # fmt: skip
def test_bad_forms_are_refused_by_name(keeper: User, wallet: Wallet, wrong: dict[str, str]) -> None:
    client, path = browser(keeper), page("wallet_wallet_grant_credit", wallet.pk)
    form = {**open_form(client, path), "amount": "1"}
    before = state()
    answer = client.post(path, {**form, **wrong})
    assert answer.status_code == 422
    assert "text-red-" in answer.content.decode()
    assert state() == before
    assert_books()


def test_a_form_that_was_changed_after_it_was_sent_says_so(keeper: User, wallet: Wallet) -> None:
    client, path = browser(keeper), page("wallet_wallet_grant_credit", wallet.pk)
    form = {**open_form(client, path), "amount": "1"}
    client.post(path, form)
    before = state()
    answer = client.post(path, {**form, "amount": "2"})
    assert (answer.status_code, b"sent before with other content" in answer.content) == (422, True)
    assert state() == before


def test_a_grant_is_withdrawn_and_a_transfer_corrected(keeper: User, wallet: Wallet) -> None:
    grants = [moved(acts.give_credit(by(keeper), wallet, DOLLAR)) for _ in range(2)]
    client = browser(keeper)
    for grant, name, code in [
        (grants[0], "wallet_transfer_void_grant", Code.GRANT_VOID),
        (grants[1], "wallet_transfer_correct", Code.CORRECTION),
    ]:
        path, shown = page(name, grant.pk), page("wallet_transfer_change", grant.pk)
        assert path in client.get(shown).content.decode()
        form = {**open_form(client, path), "amount": "1.00"}
        assert client.post(path, form)["Location"] == shown
        assert client.post(path, form)["Location"] == shown
        assert Transfer.objects.get(corrects=grant).code == code
        assert path not in client.get(shown).content.decode()
        again = client.post(path, {**form, "request_id": str(uuid.uuid4())})
        assert (again.status_code, b"has undone this transfer already" in again.content) == (422, True)
    assert ledger.balances(wallet).balance_nanousd == STARTER
    assert_books()


def test_the_form_of_a_withdrawal_suggests_what_is_left(keeper: User, starter: Transfer) -> None:
    path = page("wallet_transfer_void_grant", starter.pk)
    assert b'value="0.10"' in browser(keeper).get(path).content


def test_a_second_person_decides(keeper: User, second: User, wallet: Wallet) -> None:
    first, other = browser(keeper), browser(second)
    path = page("wallet_wallet_grant_credit", wallet.pk)
    form = {**open_form(first, path), "amount": "100.01"}
    answer = first.post(path, form, follow=True).content.decode()
    assert "$100.01 waits for a second person" in answer
    shown = page("wallet_proposal_change", form["request_id"])
    assert shown in answer
    approve, decline = (
        page(f"wallet_proposal_{name}", form["request_id"]) for name in ("approve", "decline")
    )
    before = state()
    for closed in (approve, decline):
        assert closed not in first.get(shown).content.decode()
        assert first.get(closed).status_code == 403
        assert first.post(closed, {"request_id": str(uuid.uuid4()), "reason": REASON}).status_code == 403
    assert state() == before
    assert approve in other.get(shown).content.decode()
    sent = open_form(other, approve)
    for _ in range(3):
        assert other.post(approve, sent)["Location"] == shown
    assert ledger.balances(wallet).balance_nanousd == STARTER + 100_010_000_000
    assert "there is nothing to do here" in other.get(decline).text
    assert other.post(decline, {"request_id": str(uuid.uuid4()), "reason": REASON}).status_code == 422
    assert AuditEntry.objects.count() == 2
    assert_books()


def test_a_wallet_is_suspended_and_reinstated(keeper: User, wallet: Wallet) -> None:
    client, shown = browser(keeper), page("wallet_wallet_change", wallet.pk)
    for name, is_suspended in (("suspend", True), ("reinstate", False)):
        path = page(f"wallet_wallet_{name}", wallet.pk)
        assert path in client.get(shown).content.decode()
        form = open_form(client, path)
        assert client.post(path, form).status_code == client.post(path, form).status_code == 302
        assert path not in client.get(shown).content.decode()
        assert (Wallet.objects.get(pk=wallet.pk).suspended_at is not None) == is_suspended
        assert client.post(path, {**form, "request_id": str(uuid.uuid4())}).status_code == 422
    assert ledger.balances(wallet).balance_nanousd == STARTER


def test_a_person_is_locked_out_and_reinstated(keeper: User, alice: User) -> None:
    client, shown = browser(keeper), page("accounts_user_change", alice.pk)
    for name, is_active in (("lock_out", False), ("reinstate", True)):
        path = page(f"accounts_user_{name}", alice.pk)
        assert path in client.get(shown).content.decode()
        assert client.post(path, open_form(client, path)).status_code == 302
        alice.refresh_from_db()
        assert alice.is_active == is_active


def test_staff_without_the_right_see_no_button_and_are_refused(
    viewer: User, wallet: Wallet, starter: Transfer, alice: User, proposal: Proposal
) -> None:
    client, before = browser(viewer), state()
    for path in everything(wallet, starter, alice, proposal):
        shown = path.rstrip("/").rpartition("/")[0] + "/change/"
        assert path not in client.get(shown).content.decode()
        assert client.get(path).status_code == 403
        form = {"request_id": str(uuid.uuid4()), "reason": REASON, "amount": "1"}
        assert client.post(path, form).status_code == 403
    assert state() == before
    assert_books()


def test_people_and_strangers_are_refused(
    charlie: User, wallet: Wallet, starter: Transfer, alice: User, proposal: Proposal
) -> None:
    people = [browser(charlie), browser(alice)]
    before, form = state(), {"request_id": str(uuid.uuid4()), "reason": REASON, "amount": "1"}
    for client in people:
        for path in everything(wallet, starter, alice, proposal):
            assert client.post(path, form, follow=True).status_code == 403
    for path in everything(wallet, starter, alice, proposal):
        assert Client().post(path, form)["Location"].startswith("/admin/login/")
    assert state() == before
    assert User.objects.get(pk=alice.pk).is_active
    assert Wallet.objects.get(pk=wallet.pk).suspended_at is None


def test_a_form_needs_its_csrf_token(keeper: User, wallet: Wallet) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(keeper)
    path = page("wallet_wallet_grant_credit", wallet.pk)
    before = state()
    form = {"request_id": str(uuid.uuid4()), "reason": REASON, "amount": "1"}
    assert client.post(path, form).status_code == 403
    assert client.put(path, form).status_code in (403, 405)
    assert client.get(path, form).status_code == 200
    assert state() == before


@pytest.mark.parametrize("row", ["0", "abc", "9" * 40, "-1"])
def test_rows_that_are_not_there_are_404(staff: User, row: str) -> None:
    client = browser(staff)
    for path in ("wallet/wallet/{}/grant/", "wallet/transfer/{}/void/", "wallet/proposal/{}/approve/"):
        for answer in (client.get(f"/admin/{path.format(row)}"), client.post(f"/admin/{path.format(row)}")):
            assert answer.status_code == 404


def test_the_trail_is_found_by_who_and_what(
    keeper: User, second: User, wallet: Wallet, alice: User, proposal: Proposal
) -> None:
    transfer = acts.approve(by(second, "I saw the ticket."), proposal)
    acts.correct(by(second, "It was the wrong wallet."), moved(acts.give_credit(by(keeper), wallet, DOLLAR)))
    client, listed = browser(second), reverse("admin:accounts_auditentry_changelist")

    def found(term: str) -> set[str]:
        context: Any = client.get(listed, {"q": term}).context
        return {entry.action for entry in context["cl"].result_list}

    corrected = Transfer.objects.get(code=Code.CORRECTION).corrects
    assert corrected is not None
    assert found("alice@example.com") == found(f"wallet {wallet.pk}")
    assert found("keeper@example.com") == {"wallet.propose_grant", "wallet.grant"}
    assert found("second@") == {"wallet.approve_grant", "wallet.correction"}
    assert found(f"wallet {wallet.pk}") == {
        "wallet.propose_grant", "wallet.approve_grant", "wallet.grant", "wallet.correction",
    }  # fmt: skip
    assert found(f"transfer {corrected.pk}") == {"wallet.correction"}
    assert found(str(proposal.pk)) == {"wallet.propose_grant"}
    assert found("wallet.grant") == {"wallet.grant"}
    assert found("nobody@example.com") == found(f"wallet {wallet.pk + 1}") == found("x") == set()
    linked = f"{listed}?target_type=wallet.wallet&target_id={wallet.pk}"
    assert (
        linked.replace("&", "&amp;") in client.get(page("wallet_wallet_change", wallet.pk)).content.decode()
    )
    assert client.get(linked).status_code == 200
    assert transfer.wallet == wallet


def test_the_trail_is_found_by_the_address_of_whose_account_or_wallet_it_was(
    keeper: User, second: User, wallet: Wallet, alice: User, charlie: User
) -> None:
    suspensions.suspend(by(keeper), wallet)
    lockouts.lock_out(by(keeper), alice)
    suspensions.suspend(by(keeper), wallet_of(charlie))
    client, listed = browser(second), reverse("admin:accounts_auditentry_changelist")

    def found(term: str) -> set[tuple[str, str]]:
        context: Any = client.get(listed, {"q": term}).context
        return {(entry.action, entry.target_id) for entry in context["cl"].result_list}

    locked_out = AuditEntry.objects.get(target_type="accounts.user").action
    assert found("Alice@example.com") == {("wallet.suspend", str(wallet.pk)), (locked_out, str(alice.pk))}
    assert found("charlie@example.com") == {("wallet.suspend", str(wallet_of(charlie).pk))}
    assert found("second@example.com") == set()
