"""A repeat costs a 304 that makes nothing; everything that changes prices, or when they hold, changes the validator."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.models import User
from pricing import catalogue, groups, importing, markups
from pricing.kept import Kept
from pricing.listings import UNDATED_FROM
from pricing.models import Model
from pricing.publishing import DatedRates, publish
from tests.parallel import at_once
from tests.pricing.lists import listing, rates
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=2)
WEEK = NOW + timedelta(days=7, minutes=2)
ADDRESSES = ("/pricing/", "/api/models", "/api/model/gpt-test", "/api/pricing", "/api/pricing.csv")
CHEAPER = rates(prompt=2_000_000)
every_address = pytest.mark.parametrize("address", ADDRESSES)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    time = {"now": NOW}
    monkeypatch.setattr("django.utils.timezone.now", lambda: time["now"])
    importing.run([listing(), listing("other")])
    return time


def validator(client: Client, address: str) -> str:
    """As a process tells it that looked at the database just now."""
    catalogue.forget()
    return str(client.get(address)["ETag"])


@every_address
def test_a_repeat_is_told_that_nothing_changed(
    client: Client, address: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = client.get(address)
    assert (first.status_code, first["Cache-Control"]) == (200, "public, no-cache")
    for known in (first["ETag"], f"W/{first['ETag']}", f'"x", {first["ETag"]}', "*"):
        with django_assert_num_queries(0):
            again = client.get(address, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        assert again["Vary"] == first["Vary"]
        assert again["Cache-Control"] == first["Cache-Control"]
    assert client.get(address, headers={"If-None-Match": '"x"'}).status_code == 200
    assert client.head(address)["ETag"] == first["ETag"]


@every_address
def test_a_repeat_makes_nothing(client: Client, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = client.get(address)["ETag"]

    def refuse(**_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(catalogue, "sellable", refuse)
    assert client.get(address, headers={"If-None-Match": known}).status_code == 304
    assert client.get(address).status_code == 200


CHANGES: dict[str, Callable[[], object]] = {
    "a price that is announced": lambda: publish(
        Model.objects.get(name="gpt-test"), CHEAPER, effective_from=WEEK, source="test"
    ),
    "a price by import": lambda: importing.run(
        [listing(history=(DatedRates(UNDATED_FROM, CHEAPER),)), listing("other")]
    ),
    "a markup of the model": lambda: markups.of_model(
        Model.objects.get(name="gpt-test"), 9_000, effective_from=SOON
    ),
    "a markup of the provider": lambda: markups.of_provider("openai", 9_000, effective_from=SOON),
}
# What the page and the other tools show of a coming price: nothing, until it holds.
TELL_WHAT_COMES = ("/api/pricing", "/api/pricing.csv")


@pytest.mark.parametrize("change", CHANGES)
@every_address
def test_every_change_of_a_price_changes_the_validator_at_the_latest_when_it_holds(
    client: Client, clock: dict[str, datetime], address: str, change: str
) -> None:
    before = validator(client, address)
    CHANGES[change]()
    announced = validator(client, address)
    assert (announced != before) is (address in TELL_WHAT_COMES)
    begins = Model.objects.get(name="gpt-test").price_versions.latest("effective_from").effective_from
    clock["now"] = begins - timedelta(microseconds=1)
    assert client.get(address, headers={"If-None-Match": announced}).status_code == 304
    clock["now"] = begins
    # By the clock alone: the process asks the database nothing in between.
    in_force = client.get(address, headers={"If-None-Match": announced})
    assert in_force.status_code == 200
    assert in_force["ETag"] not in (before, announced)


LISTING: dict[str, Callable[[], object]] = {
    "added": lambda: importing.run([listing(), listing("other"), listing("new")]),
    "withdrawn": lambda: Model.objects.filter(name="other").update(unsold_reason="Broken."),
    "left the list": lambda: importing.run([listing()]),
    "renamed": lambda: Model.objects.filter(name="other").update(title="Something else"),
    "deprecated": lambda: importing.run([listing(), listing("other", is_deprecated=True)]),
}


@pytest.mark.parametrize("change", LISTING)
@pytest.mark.parametrize("address", ["/pricing/", "/api/pricing"])
def test_every_change_of_the_listing_changes_it(client: Client, address: str, change: str) -> None:
    before = validator(client, address)
    LISTING[change]()
    assert validator(client, address) != before


def test_an_import_that_changes_nothing_keeps_it(client: Client) -> None:
    before = [validator(client, address) for address in ADDRESSES]
    importing.run([listing(), listing("other")])
    assert [validator(client, address) for address in ADDRESSES] == before


def test_a_page_that_is_kept_is_nobodys(client: Client) -> None:
    """Whoever reads it first leaves nothing of theirs in it: no form's secret, no nonce, no cookie."""
    page = client.get("/pricing/", headers={"X-Forwarded-For": "192.0.2.1"})
    assert "csrfmiddlewaretoken" not in page.text
    assert "nonce" not in page["Content-Security-Policy"]
    assert not page.cookies
    assert {"Cookie", "HX-Request"} <= {name.strip() for name in page["Vary"].split(",")}


@pytest.mark.parametrize("query", ["?q=gpt", "?provider=openai", "?q="])
def test_what_is_looked_for_is_not_kept(client: Client, query: str) -> None:
    known = client.get("/pricing/")["ETag"]
    response = client.get(f"/pricing/{query}", headers={"If-None-Match": known})
    assert (response.status_code, response["Cache-Control"]) == (200, "private, no-store")
    assert not response.has_header("ETag")


def test_who_signed_in_gets_a_page_of_their_own(client: Client, alice: User) -> None:
    known = client.get("/pricing/")["ETag"]
    client.force_login(alice)
    mine = client.get("/pricing/", headers={"If-None-Match": known})
    assert (mine.status_code, mine["Cache-Control"]) == (200, "private, no-store")
    assert "bar-balance" in mine.text
    client.logout()
    assert "bar-balance" not in client.get("/pricing/").text


def test_a_groups_rate_is_news_to_its_members_and_not_to_visitors(
    client: Client, alice: User, clock: dict[str, datetime]
) -> None:
    visitor = Client()
    known = {address: validator(visitor, address) for address in ADDRESSES}
    group = groups.create("Friends", 8_000)
    wallet = wallet_of(alice)
    wallet.customer_group = group
    wallet.save(update_fields=["customer_group"])
    client.force_login(alice)
    catalogue.forget()
    assert "$2.00" in client.get("/pricing/").text
    groups.change_rate(group, 9_000, effective_from=WEEK)
    catalogue.forget()
    assert "$2.00" in client.get("/pricing/").text
    clock["now"] = WEEK
    page = client.get("/pricing/").text
    assert "$2.25" in page
    assert "$2.00" not in page
    for address in ADDRESSES:
        assert visitor.get(address, headers={"If-None-Match": known[address]}).status_code == 304, address


def test_who_signed_out_may_have_messages_to_read(client: Client, alice: User) -> None:
    client.force_login(alice)
    client.post("/accounts/logout/")
    page = client.get("/pricing/")
    assert page["Cache-Control"] == "private, no-store"


@pytest.mark.django_db(transaction=True)
def test_it_is_made_once_for_all_who_wait() -> None:
    kept, made = Kept[HttpResponse](), []

    def make(_: datetime) -> HttpResponse:
        made.append(1)
        return HttpResponse()

    found = at_once(8, lambda _: kept.current(make))
    assert len(made) == 1
    assert len({id(each) for each in found}) == 1
