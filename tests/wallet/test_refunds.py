"""Refunds from the click to the money's return, against the stand-in over HTTP."""

from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client

from accounts import closing
from accounts.models import User
from tests.books import assert_books
from tests.metering.gateway import give
from tests.parallel import at_once
from tests.stripe_sandbox.process import Sandbox
from tests.wallet.books import CENT, balance_cents
from tests.wallet.mailing import refusing
from tests.wallet.refunding import at_stripe, given_cents, house_cents, in_dashboard, move, only, paid
from tests.wallet.saved import spend
from wallet import invariants, ledger, refunds, stripe_api, tasks
from wallet.models import Refund, Transfer, Wallet
from wallet.refunds import asking as refund_asking
from wallet.refunds import mail as refund_mail
from wallet.stripe_api import StripeUnavailable
from wallet.wallets import wallet_of

State = Refund.State


@pytest.fixture(autouse=True)
def _books_stay_right(transactional_db: None) -> object:
    """After every test all invariants hold, not only the audit of the tests."""
    yield
    assert_books()
    assert invariants.check() == []


def asked(wallet: Wallet, cents: int) -> list[Refund]:
    """Asked for, and Stripe with it; the rows, newest payment first."""
    request_id = refunds.start(wallet, cents)
    refund_asking.settle_request(request_id)
    return list(Refund.objects.filter(request_id=request_id).order_by("-top_up__paid_at"))


def test_the_amount_alone_gives_money_back(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    answer = as_alice.post("/wallet/refunds/", {"amount": "3.50"})
    assert answer.status_code == 303
    row = only(alices)
    assert (row.state, row.amount_cents, row.tax_cents) == (State.SUCCEEDED, 350, 0)
    assert answer["Location"] == f"/wallet/refunds/{row.request_id}/"
    page = as_alice.get(answer["Location"]).content.decode()
    assert 'data-state="succeeded"' in page
    assert "$3.50 went back" in page
    assert balance_cents(alices) == 650
    [told] = at_stripe(stripe_at_hand, top_up)
    assert (told["amount"], told["reason"], told["metadata"]) == (350, None, {"refund_row": str(row.pk)})
    assert house_cents("refunds_pending") == 350
    history = as_alice.get("/wallet/").content.decode()
    assert f'href="/wallet/refunds/{row.request_id}/">Refund</a>' in history


def test_several_payments_are_taken_newest_first(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    older, newer = (paid(stripe_at_hand, alices, cents) for cents in (500, 300))
    rows = asked(alices, 450)
    assert [(row.top_up_id, row.amount_cents) for row in rows] == [(newer.pk, 300), (older.pk, 150)]
    assert (given_cents(stripe_at_hand, newer), given_cents(stripe_at_hand, older)) == (300, 150)
    [again] = asked(alices, 350)
    assert (again.top_up_id, again.amount_cents) == (older.pk, 350)
    assert balance_cents(alices) == 0


def test_given_credit_and_parts_of_a_cent_stay(alices: Wallet, alice: User, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)
    give(alice, 100 * CENT, "promotional")
    give(alice, CENT // 2)
    found = refunds.overview(alices)
    assert (found.cents, found.rest_nanousd) == (1000, CENT // 2)
    with pytest.raises(refunds.TooMuch):
        refunds.start(alices, 1001)
    asked(alices, 1000)
    assert ledger.balances(alices).balance_nanousd == 100 * CENT + CENT // 2


def test_credit_that_no_payment_stands_for_stays(
    alices: Wallet, alice: User, stripe_at_hand: Sandbox
) -> None:
    paid(stripe_at_hand, alices, 200)
    give(alice, 500 * CENT)
    found = refunds.overview(alices)
    assert (found.cents, found.rest_nanousd, found.is_bound_by_payments) == (200, 500 * CENT, True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Enter an amount."),
        ("0", "Enter an amount above zero."),
        ("-1", "Enter an amount above zero."),
        ("1.005", "Enter whole cents"),
        ("1e2", "Write the amount in digits"),
        ("１", "Write the amount in digits"),
        ("10.01", "At most $10.00 can be refunded at the moment."),
        ("999999999", "At most $10.00 can be refunded at the moment."),
        ("1000000000", "That amount is too large."),
    ],
)
def test_a_bad_amount_moves_nothing(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, text: str, sentence: str
) -> None:
    paid(stripe_at_hand, alices)
    answer = as_alice.post("/wallet/refunds/", {"amount": text})
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert balance_cents(alices) == 1000
    assert not Refund.objects.exists()


def test_two_amounts_are_refused(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)
    assert as_alice.post("/wallet/refunds/", {"amount": ["1", "2"]}).status_code == 422
    assert not Refund.objects.exists()


def test_the_address_of_the_form_leads_to_the_wallet(as_alice: Client) -> None:
    answer = as_alice.get("/wallet/refunds/")
    assert (answer.status_code, answer["Location"]) == (302, "/wallet/")


def test_the_same_form_twice_is_one_refund(alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox) -> None:
    paid(stripe_at_hand, alices)
    form = {"amount": "2", "form_id": str(uuid4())}
    first, second = (as_alice.post("/wallet/refunds/", form) for _ in range(2))
    assert first["Location"] == second["Location"]
    other = as_alice.post("/wallet/refunds/", {**form, "amount": "3"})
    assert other.status_code == 409
    assert "a refund of $2.00 came of it" in other.content.decode()
    assert balance_cents(alices) == 800
    # The page that says so has a form with an id of its own.
    fresh = other.context["refund_form_id"]
    assert fresh != form["form_id"]
    assert as_alice.post("/wallet/refunds/", {"amount": "3", "form_id": fresh}).status_code == 303
    assert balance_cents(alices) == 500


def test_a_refund_is_nobody_elses(
    alices: Wallet, as_alice: Client, as_charlie: Client, stripe_at_hand: Sandbox
) -> None:
    paid(stripe_at_hand, alices)
    [row] = asked(alices, 100)
    assert as_charlie.get(f"/wallet/refunds/{row.request_id}/").status_code == 404
    assert as_charlie.post(f"/wallet/refunds/{row.request_id}/cancel/").status_code == 404
    assert as_charlie.post("/wallet/refunds/", {"amount": "1"}).status_code == 422
    assert as_alice.get(f"/wallet/refunds/{uuid4()}/").status_code == 404
    assert balance_cents(alices) == 900


def test_a_refund_that_fails_later_returns_once(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    top_up = paid(stripe_at_hand, alices)
    [row] = asked(alices, 400)
    assert (row.state, balance_cents(alices)) == (State.SUCCEEDED, 600)
    move(stripe_at_hand, row.refund_id, "fail", reason="expired_or_canceled_card")
    stale = stripe_api.StripeRefund(
        str(row.refund_id), "succeeded", 400, "usd", None, top_up.payment_intent_id, str(row.pk)
    )
    for _ in range(3):
        assert refund_asking.settle(row.pk).state == State.FAILED
        # Told late: it does not take the money out again.
        refunds.record(stale)
    assert balance_cents(alices) == 1000
    assert house_cents("refunds_pending") == 0
    page = as_alice.get("/wallet/").content.decode()
    assert "Came to nothing" in page
    assert "The card has expired" in as_alice.get(f"/wallet/refunds/{row.request_id}/").content.decode()
    assert [each.subject for each in mail.outbox] == [
        "Comet: Your refund is on its way to you",
        "Comet: Your refund could not be paid out",
    ]
    assert "$4.00" in mail.outbox[1].body
    # What came back is refundable again.
    assert refunds.overview(alices).cents == 1000


def test_one_that_fails_after_its_owner_left_is_told_to_staff(
    alices: Wallet, stripe_at_hand: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    paid(stripe_at_hand, alices)
    [row] = asked(alices, 1000)
    closing.close_own(alices.owner)
    move(stripe_at_hand, row.refund_id, "fail", reason="lost_or_stolen_card")
    failed = refund_asking.settle(row.pk)
    assert (failed.state, balance_cents(alices)) == (State.FAILED, 1000)
    assert "staff pay it back in another way" in failed.problem
    assert "came back into the wallet of a closed account" in caplog.text


@pytest.mark.parametrize(
    ("step", "state", "cents"),
    [
        ("succeed", State.SUCCEEDED, 600),
        ("fail", State.FAILED, 1000),
        ("cancel", State.CANCELED, 1000),
    ],
)
@pytest.mark.parametrize("method", ["refund_waits", "refund_needs_action"])
def test_a_pending_refund_ends_one_way(
    alices: Wallet, stripe_at_hand: Sandbox, method: str, step: str, state: str, cents: int
) -> None:
    paid(stripe_at_hand, alices, method=method)
    [row] = asked(alices, 400)
    assert (row.state, balance_cents(alices)) == (State.PENDING, 600)
    assert mail.outbox == []
    move(stripe_at_hand, row.refund_id, step)
    for _ in range(2):
        assert refund_asking.settle(row.pk).state == state
    assert balance_cents(alices) == cents
    assert len(mail.outbox) == 1


def test_what_staff_refunded_meanwhile_ends_ours(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    request_id = refunds.start(alices, 700)
    refund_id = in_dashboard(stripe_at_hand, top_up, 1000)
    refund_asking.settle_request(request_id)
    ours = only(alices)
    assert (ours.state, balance_cents(alices)) == (State.FAILED, 1000)
    assert "given back already" in ours.problem
    refunds.record(stripe_api.refund(refund_id))
    assert balance_cents(alices) == 0
    assert given_cents(stripe_at_hand, top_up) == 1000


def test_a_dispute_stops_a_refund_that_was_asked_for(alices: Wallet, stripe_at_hand: Sandbox) -> None:
    top_up = paid(stripe_at_hand, alices)
    request_id = refunds.start(alices, 700)
    stripe_at_hand.command(f"charges/{top_up.payment_intent_id}/dispute")
    refund_asking.settle_request(request_id)
    assert only(alices).state == State.FAILED
    assert "disputes the payment" in only(alices).problem
    assert balance_cents(alices) == 1000


def test_while_stripe_is_away_the_refund_waits(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox, settings: pytest.FixtureRequest
) -> None:
    top_up = paid(stripe_at_hand, alices)
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"  # type: ignore[attr-defined]  # pytest-django's wrapper
    answer = as_alice.post("/wallet/refunds/", {"amount": "4"})
    assert answer.status_code == 303
    row = only(alices)
    assert (row.state, balance_cents(alices)) == (State.CREATED, 600)
    assert "Stripe does not answer" in as_alice.get(answer["Location"]).content.decode()
    assert refund_asking.settle_unfinished() == 0
    settings.STRIPE_API_BASE = stripe_at_hand.url  # type: ignore[attr-defined]
    assert refund_asking.settle_unfinished() == 1
    assert only(alices).state == State.SUCCEEDED
    assert given_cents(stripe_at_hand, top_up) == 400


def test_asked_again_it_is_looked_for_first(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = paid(stripe_at_hand, alices)
    request_id = refunds.start(alices, 400)
    real = stripe_api.create_refund

    def lost(**how: object) -> stripe_api.StripeRefund:
        real(**how)  # type: ignore[arg-type]
        raise StripeUnavailable("No answer.")

    monkeypatch.setattr(stripe_api, "create_refund", lost)
    assert not refund_asking.settle_request(request_id)
    assert only(alices).state == State.CREATED
    # A day later Stripe has forgotten the key: the same question would give back twice.
    stripe_at_hand.command("idempotency/forget")
    monkeypatch.setattr(stripe_api, "create_refund", real)
    refund_asking.settle_unfinished()
    assert only(alices).state == State.SUCCEEDED
    assert given_cents(stripe_at_hand, top_up) == 400
    assert Transfer.objects.filter(code="refund").count() == 1


def test_where_stripe_waits_for_the_customer_the_page_says_so(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    paid(stripe_at_hand, alices, method="refund_needs_action")
    [row] = asked(alices, 400)
    page = as_alice.get(f"/wallet/refunds/{row.request_id}/").content.decode()
    assert "Stripe needs something of you" in page
    assert "You can close this page" not in page
    move(stripe_at_hand, row.refund_id, "succeed")
    assert refund_asking.settle(row.pk).problem == ""
    assert "Stripe needs" not in as_alice.get(f"/wallet/refunds/{row.request_id}/").content.decode()


def test_the_wallet_lists_where_the_refundable_would_go(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    for cents in (800, 500):
        paid(stripe_at_hand, alices, cents)
    spend(alices, 700, "spent")
    listed = as_alice.get("/wallet/").context["refundable_payments"]
    assert [(each["top_up"].received_cents, each["whole_nanousd"] // CENT) for each in listed] == [
        (500, 500),
        (800, 100),
    ]


def test_parts_that_end_differently_are_told_apart_and_once(
    alices: Wallet, as_alice: Client, stripe_at_hand: Sandbox
) -> None:
    for cents, method in ((900, "refund_waits"), (300, "refund_waits"), (200, "card")):
        paid(stripe_at_hand, alices, cents, method)
    given, failing, waiting = asked(alices, 1400)
    address = f"/wallet/refunds/{given.request_id}/"
    move(stripe_at_hand, failing.refund_id, "fail", reason="expired_or_canceled_card")
    refund_asking.settle(failing.pk)
    said = "$9.00 on its way", "$3.00 came to nothing and is in your wallet again", "$2.00 given back"
    for where in (address, "/wallet/"):
        page = as_alice.get(where).content.decode()
        assert "Partly on its way" in page
        assert all(sentence in page for sentence in said)
    assert "$3.00: The card has expired" in as_alice.get(address).content.decode()
    assert mail.outbox == []
    move(stripe_at_hand, waiting.refund_id, "cancel")
    refund_asking.settle(waiting.pk)
    assert "Partly given back" in as_alice.get(address).content.decode()
    [told] = mail.outbox
    assert told.subject == "Comet: Your refund was partly given back"
    for sentence in (
        *said[1:],
        "$9.00 was canceled",
        "$3.00: The card has expired",
        "$9.00: Stripe canceled",
    ):
        assert sentence in told.body
    move(stripe_at_hand, given.refund_id, "fail")
    refund_asking.settle(given.pk)
    assert mail.outbox[1].subject == "Comet: Your refund could not be paid out"
    assert "$2.00 that was to be given back is in your wallet again" in mail.outbox[1].body
    assert "$3.00" not in mail.outbox[1].body
    assert "$9.00" not in mail.outbox[1].body


def test_a_mail_that_could_not_be_sent_is_sent_later_and_once(
    alices: Wallet, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid(stripe_at_hand, alices)

    def refuse(*_: object) -> None:
        raise OSError("Connection refused")

    with monkeypatch.context() as broken:
        broken.setattr(refund_mail, "send_mail", refuse)
        [row] = asked(alices, 400)
        tasks.settle_open_refunds()
    assert (row.state, row.is_told, mail.outbox) == (State.SUCCEEDED, False, [])
    at_once(8, lambda _: refund_mail.tell(row.request_id))
    tasks.settle_open_refunds()
    assert [each.subject for each in mail.outbox] == ["Comet: Your refund is on its way to you"]


def test_mails_that_can_never_be_sent_hold_up_no_other(
    alices: Wallet, charlie: User, stripe_at_hand: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refund_mail, "send_mail", refusing(alices))
    for wallet in (alices, wallet_of(charlie)):
        paid(stripe_at_hand, wallet)
        asked(wallet, 400)
    mail.outbox.clear()
    Refund.objects.update(is_told=False)
    for _ in range(64):
        refund_mail.tell_due(limit=1)
    assert [each.to for each in mail.outbox] == [[charlie.email]]
