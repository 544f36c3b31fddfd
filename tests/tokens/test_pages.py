"""The pages of keys with a name alone: making one, seeing it once, renaming, revoking."""

import re
import uuid

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from pricing import catalogue, genai_listings, importing, per_use_listings
from pricing.listings import UNDATED_FROM, Listing
from pricing.models import Kind
from pricing.publishing import DatedRates
from tests.parallel import at_once
from tokens import keys
from tokens.keys import Rules
from tokens.models import ApiKey
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db

NEW_KEY = re.compile(r'<code id="new-key">(sk-[0-9A-Za-z]{54})</code>')
ACTS = ("disable", "enable", "rotate", "end-overlap", "revoke")
HOSTILE = '"><script>alert(1)</script>%_%'


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner@example.com")


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def key(owner: User) -> ApiKey:
    return keys.issue(wallet_of(owner), "Laptop").key


def of_somebody_else() -> ApiKey:
    stranger = User.objects.create_user("stranger@example.com")
    return keys.issue(wallet_of(stranger), "Not yours").key


def test_an_empty_list_says_how_to_begin(signed_in: Client) -> None:
    page = signed_in.get("/tokens/").text
    assert "No token in use" in page
    assert '<form method="post" action="/tokens/"' in page


def test_a_name_makes_a_key_that_is_shown_this_once(signed_in: Client, owner: User) -> None:
    response = signed_in.post("/tokens/", {"name": "  My app  "})
    assert response.status_code == 201
    assert response["Cache-Control"] == "private, no-store"
    shown = NEW_KEY.search(response.text)
    assert shown, response.text
    made = ApiKey.objects.get(wallet__owner=owner)
    assert made.name == "My app"
    assert bytes(made.digest) == keys.digest(shown[1])
    page = signed_in.get("/tokens/").text
    assert shown[1] not in page
    assert made.hint in page


def test_the_first_call_is_ready_to_paste(signed_in: Client, settings: Settings) -> None:
    settings.GATEWAY_BASE_URL = "https://gateway.example"
    rates = ((0, {"input_tokens": 150_000, "output_tokens": 600_000}),)
    importing.run(
        [
            Listing(
                name="gpt-4o-mini",
                provider_code="openai",
                provider="OpenAI",
                kind=Kind.TEXT,
                title="",
                source="test",
                history=(DatedRates(UNDATED_FROM, rates),),
            )
        ]
    )
    catalogue.forget()
    page = signed_in.post("/tokens/", {"name": "My app"}).text
    catalogue.forget()
    shown = NEW_KEY.search(page)
    assert shown
    assert "curl https://gateway.example/v1/chat/completions" in page
    assert f"Authorization: Bearer {shown[1]}" in page
    assert "gpt-4o-mini" in page


@pytest.mark.parametrize(
    ("allowed", "shown", "is_shown"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5", True),
        ("text-embedding-3-small", "https://gateway.example/v1/embeddings", True),
        ("suno_music", "Try it", False),
    ],
)
def test_the_first_call_is_one_that_the_key_may_make(
    signed_in: Client, settings: Settings, allowed: str, shown: str, *, is_shown: bool
) -> None:
    settings.GATEWAY_BASE_URL = "https://gateway.example"
    importing.run([*genai_listings.listings(), *per_use_listings.listings()])
    catalogue.forget()
    page = signed_in.post("/tokens/", {"name": "My app", "models": allowed}).text
    catalogue.forget()
    assert NEW_KEY.search(page)
    assert (shown in page) is is_shown
    assert "gpt-4o-mini" not in page
    assert "any full name" not in page


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Give the key a name"),
        (" \t ", "Give the key a name"),
        ("x" * 81, "at most 80 characters"),
        ("x" * 1_000_000, "at most 80 characters"),
        ("a\nb", "control characters"),
        ("a\x00b", "Null characters are not allowed"),
        ("a\x1b[31m", "control characters"),
    ],
)
def test_a_bad_name_is_an_error_beside_the_field(signed_in: Client, name: str, sentence: str) -> None:
    response = signed_in.post("/tokens/", {"name": name})
    assert response.status_code == 422
    assert re.search(rf'<p class="error"[^>]*>[^<]*{sentence}', response.text)
    assert not ApiKey.objects.exists()


def test_no_field_at_all_is_an_empty_name(signed_in: Client) -> None:
    assert signed_in.post("/tokens/").status_code == 422


def test_the_cap_holds_and_says_what_to_do(signed_in: Client, settings: Settings, key: ApiKey) -> None:
    settings.KEYS_PER_WALLET = 1
    response = signed_in.post("/tokens/", {"name": "Another"})
    assert response.status_code == 422
    assert "Revoke one first" in response.text
    assert "Another" in response.text, "what was typed stays"
    signed_in.post(f"/tokens/{key.pk}/revoke/")
    assert signed_in.post("/tokens/", {"name": "Another"}).status_code == 201


def test_names_are_shown_harmlessly(signed_in: Client) -> None:
    assert "<script>alert" not in signed_in.post("/tokens/", {"name": HOSTILE}).text
    assert "<script>alert" not in signed_in.get("/tokens/").text
    assert "<script>alert" not in signed_in.get(f"/tokens/{ApiKey.objects.get().pk}/").text


def test_rename(signed_in: Client, key: ApiKey) -> None:
    response = signed_in.post(f"/tokens/{key.pk}/", {"name": "Server"}, follow=True)
    assert "Saved. It holds from now on." in response.text
    key.refresh_from_db()
    assert key.name == "Server"
    refused = signed_in.post(f"/tokens/{key.pk}/", {"name": ""})
    assert refused.status_code == 422
    assert "Give the key a name" in refused.text
    key.refresh_from_db()
    assert key.name == "Server"


def test_revoke_says_what_it_means_and_is_final(signed_in: Client, key: ApiKey) -> None:
    assert "cannot be undone" in " ".join(signed_in.get(f"/tokens/{key.pk}/").text.split())
    page = signed_in.post(f"/tokens/{key.pk}/revoke/", follow=True).text
    assert "is revoked" in page
    assert "Show 1 revoked token<" in signed_in.get("/tokens/").text
    key.refresh_from_db()
    revoked_at = key.revoked_at
    assert revoked_at is not None
    again = signed_in.post(f"/tokens/{key.pk}/revoke/")
    assert (again.status_code, again["Location"]) == (303, f"/tokens/{key.pk}/")
    key.refresh_from_db()
    assert key.revoked_at == revoked_at
    assert "cannot be undone" not in signed_in.get(f"/tokens/{key.pk}/").text


def test_keys_of_others_are_not_found(signed_in: Client) -> None:
    other = of_somebody_else()
    assert "Not yours" not in signed_in.get("/tokens/").text
    assert signed_in.get(f"/tokens/{other.pk}/").status_code == 404
    assert signed_in.post(f"/tokens/{other.pk}/", {"name": "Mine"}).status_code == 404
    for act in ACTS:
        assert signed_in.post(f"/tokens/{other.pk}/{act}/").status_code == 404
    before = other.digest
    other.refresh_from_db()
    assert (other.name, other.revoked_at, other.disabled_at) == ("Not yours", None, None)
    assert bytes(other.digest) == before


@pytest.mark.parametrize("key_id", ["0", "9" * 30, "9" * 5_000, "-1", "1e9", "%00", "abc", "１"])
def test_ids_that_are_none_are_not_found(signed_in: Client, key_id: str) -> None:
    assert signed_in.get(f"/tokens/{key_id}/").status_code in (400, 404)


@pytest.mark.parametrize("path", ["/tokens/", "/tokens/1/"])
def test_nobody_sees_keys_without_signing_in(client: Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={path}")
    assert client.post("/tokens/", {"name": "x"}).status_code == 302
    assert not ApiKey.objects.exists()


def test_changes_need_a_form_of_this_site(owner: User, key: ApiKey) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    for path in ("/tokens/", f"/tokens/{key.pk}/", *(f"/tokens/{key.pk}/{act}/" for act in ACTS)):
        assert client.post(path, {"name": "x"}).status_code == 403
    for act in ACTS:
        assert client.get(f"/tokens/{key.pk}/{act}/").status_code == 405


def test_more_keys_need_no_more_queries(
    signed_in: Client, owner: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        keys.issue(wallet_of(owner), f"Key {number}")
        keys.issue(wallet_of(owner), "Limited", rules=Rules(period="day", period_limit_nanousd=10**9))
    with django_assert_max_num_queries(9):
        signed_in.get("/tokens/")


def test_reloading_the_page_that_shows_a_key_makes_no_other(signed_in: Client, owner: User) -> None:
    page = signed_in.get("/tokens/").content.decode()
    found = re.search(r'name="form_id" value="([0-9a-f-]{36})"', page)
    assert found
    form = {"name": "once", "form_id": found[1]}
    assert signed_in.post("/tokens/", form).status_code == 201
    again = signed_in.post("/tokens/", form)
    assert (again.status_code, again["Location"]) == (303, "/tokens/")
    assert ApiKey.objects.filter(name="once").count() == 1
    assert signed_in.post("/tokens/", {"name": "once"}).status_code == 201
    assert signed_in.post("/tokens/", {"name": "once"}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_many_posts_of_one_form_at_once_one_makes_a_key(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    cookies, form = client.cookies, {"name": "once", "form_id": str(uuid.uuid4())}

    def post(_: int) -> int:
        browser = Client()
        browser.cookies = cookies
        return browser.post("/tokens/", form).status_code

    assert sorted(at_once(6, post)) == [201, *[303] * 5]
    assert ApiKey.objects.count() == 1
