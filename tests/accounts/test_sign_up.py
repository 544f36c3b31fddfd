"""Signing up and in: the credit that appears, and what parallel, hostile or doubled attempts get."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from pytest_django import Settings

from accounts.identity import normalised_address
from accounts.models import User
from tests.books import assert_books
from tests.parallel import at_once
from wallet import grants, ledger
from wallet.models import Transfer, Wallet
from wallet.wallets import funds_of, wallet_of

PASSWORD = "correct horse battery"


def sign_up(email: str, client: Client | None = None, **more: str) -> Any:
    return (client or Client()).post("/accounts/signup/", {"email": email, "password1": PASSWORD, **more})


@pytest.fixture
def verified_only(settings: Settings) -> None:
    """As in production: an address counts once its code was typed in."""
    settings.EMAIL_VERIFICATION_REQUIRED = True
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True


@pytest.mark.django_db
def test_signing_up_gives_a_wallet_with_starter_credit() -> None:
    client = Client()
    response = sign_up("dora@example.com", client)
    assert (response.status_code, response["Location"]) == (302, "/wallet/")
    dora = User.objects.get(email="dora@example.com")
    assert ledger.balances(wallet_of(dora)).promotional_nanousd == 100_000_000
    assert client.get("/accounts/email/").status_code in {200, 302}
    assert_books()


@pytest.mark.django_db
def test_extra_fields_change_nothing() -> None:
    sign_up("dora@example.com", is_staff="1", is_superuser="1", balance="5", email_verified="1", id="1")
    dora = User.objects.get()
    assert (dora.is_staff, dora.is_superuser) == (False, False)


@pytest.mark.django_db
def test_the_address_is_one_in_any_case() -> None:
    sign_up("Dora@Example.com")
    sign_up("dora@example.COM")
    assert User.objects.get().email == "dora@example.com"


@pytest.mark.django_db(transaction=True)
def test_many_sign_ups_of_one_address_at_once_make_one_account() -> None:
    spellings = ["dora@example.com", "DORA@example.com", "Dora@Example.Com"]
    answers = at_once(12, lambda n: sign_up(spellings[n % 3]).status_code)
    assert set(answers) <= {200, 302}
    assert User.objects.count() == 1
    assert Transfer.objects.filter(code="starter_grant").count() == 1
    assert_books()


@pytest.mark.django_db
@pytest.mark.usefixtures("verified_only")
def test_credit_comes_with_the_verified_address() -> None:
    client = Client()
    response = sign_up("dora@example.com", client)
    dora = User.objects.get()
    assert response["Location"] == "/accounts/confirm-email/"
    assert ledger.balances(wallet_of(dora)).balance_nanousd == 0
    found = re.search(r"\b([0-9A-Z]{4}-[0-9A-Z]{4})\b", mail.outbox[0].subject + str(mail.outbox[0].body))
    assert found
    wrong = client.post("/accounts/confirm-email/", {"code": "AAAA-AAAA"})
    assert wrong.status_code == 200
    assert ledger.balances(wallet_of(dora)).balance_nanousd == 0
    client.post("/accounts/confirm-email/", {"code": found.group(1)})
    assert EmailAddress.objects.get().verified
    assert ledger.balances(wallet_of(dora)).balance_nanousd == 100_000_000
    assert_books()


@pytest.mark.django_db
@pytest.mark.usefixtures("verified_only")
def test_an_unverified_address_gets_nothing_from_the_periodic_job() -> None:
    sign_up("dora@example.com")
    assert grants.give_missing_starter_credit() == 0


@pytest.mark.django_db
def test_asking_for_the_funds_opens_the_wallet() -> None:
    alice, bob = (User.objects.create_user(f"{name}@example.com") for name in ("alice", "bob"))
    grants.give_starter_credit(bob)
    assert not Wallet.objects.filter(owner=alice).exists()
    for _ in range(2):
        assert funds_of(alice).wallet == wallet_of(alice)
    assert (funds_of(alice).balance_nanousd, funds_of(bob).balance_nanousd) == (0, 100_000_000)


@pytest.mark.django_db
def test_credit_lost_between_sign_up_and_grant_is_found_again(alice: User) -> None:
    assert grants.give_missing_starter_credit() == 1
    assert grants.give_missing_starter_credit() == 0
    assert ledger.balances(wallet_of(alice)).promotional_nanousd == 100_000_000


@pytest.mark.django_db
def test_a_new_account_of_the_same_inbox_gets_none() -> None:
    for address in ("dora@gmail.com", "d.o.r.a+2@googlemail.com"):
        sign_up(address)
    assert Transfer.objects.filter(code="starter_grant").count() == 1


@pytest.mark.django_db
def test_the_daily_budget_bounds_free_credit(settings: Settings) -> None:
    settings.STARTER_CREDIT_DAILY_LIMIT = 2
    for number in range(3):
        sign_up(f"person{number}@example.com")
    assert Transfer.objects.filter(code="starter_grant").count() == 2


@pytest.mark.django_db
def test_a_megabyte_of_password_is_refused_before_it_is_hashed() -> None:
    response = Client().post("/accounts/signup/", {"email": "dora@example.com", "password1": "x" * 1_000_000})
    assert response.status_code in {200, 400, 413}
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["", "x", "a@b\x00.com", "a" * 300 + "@example.com", "<script>@x", "１@"])
def test_a_bad_address_is_an_error_beside_the_field(address: str) -> None:
    response = sign_up(address)
    assert response.status_code in {200, 400}
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "\\\\evil.example", "javascript:1"]
)
def test_login_goes_to_this_site_only(alice: User, target: str) -> None:
    response = Client().post("/accounts/login/", {"login": alice.email, "password": PASSWORD, "next": target})
    assert response["Location"] == "/wallet/"


@pytest.mark.django_db
def test_a_person_who_is_locked_out_is_out_at_once(alice: User) -> None:
    client = Client()
    client.force_login(alice, "allauth.account.auth_backends.AuthenticationBackend")
    assert client.get("/accounts/password/change/").status_code == 200
    User.objects.update(is_active=False)
    assert client.get("/accounts/password/change/").status_code == 302


@pytest.mark.django_db
def test_a_foreign_host_header_gets_no_mail_sent(alice: User) -> None:
    headers = {"Host": "evil.example"}
    response = Client().post("/accounts/password/reset/", {"email": alice.email}, headers=headers)
    assert response.status_code == 400
    assert mail.outbox == []


@pytest.mark.django_db
def test_reset_does_not_tell_who_has_an_account(alice: User) -> None:
    known, unknown = (
        Client().post("/accounts/password/reset/", {"email": address})
        for address in (alice.email, "nobody@example.com")
    )
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])


@pytest.mark.django_db
def test_logging_out_needs_a_post(alice: User) -> None:
    client = Client()
    client.force_login(alice, "allauth.account.auth_backends.AuthenticationBackend")
    client.get("/accounts/logout/")
    assert "_auth_user_id" in client.session
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    ("address", "inbox"),
    [
        ("A.b+c@Gmail.com", "ab@gmail.com"),
        ("ab@googlemail.com", "ab@gmail.com"),
        ("a.b+x@example.com", "a.b@example.com"),
        ("ä@bücher.example", "ä@xn--bcher-kva.example"),
        ("+x@example.com", "+x@example.com"),
        ("ｕser@example.com.", "user@example.com"),
    ],
)
def test_one_inbox_is_one_identity(address: str, inbox: str) -> None:
    assert normalised_address(address) == inbox
