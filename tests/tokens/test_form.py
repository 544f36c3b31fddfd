"""Everything that a key may be limited to, as people type it: what is stored, and what is refused beside its field."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.metering.gateway import sell
from tokens import keys, reading
from tokens.keys import IssuedKey, Rules
from tokens.models import ApiKey

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000_000


def made(client: Client, **fields: str) -> ApiKey:
    response = client.post("/tokens/", {"name": "App", **fields})
    assert response.status_code == 201, error_of(response.text)
    return ApiKey.objects.get()


def error_of(page: str) -> dict[str, str]:
    """The sentence beside each field that has one."""
    return dict(re.findall(r'id="id_([a-z_]+)_error">([^<]+)<', page))


def refused(client: Client, **fields: str) -> dict[str, str]:
    response = client.post("/tokens/", {"name": "App", **fields})
    assert response.status_code == 422
    assert not ApiKey.objects.exists()
    assert re.search(r'<details class="plain more" open', response.text), "what is wrong is folded away"
    return error_of(response.text)


def test_a_name_alone_limits_nothing(signed_in: Client) -> None:
    assert keys.rules_of(made(signed_in)) == keys.FREE


def test_a_limit_of_money_says_how_exact_it_is(signed_in: Client) -> None:
    assert "It stops when it has spent this; a running call may go over it." in signed_in.get("/tokens/").text


def test_everything_at_once(signed_in: Client) -> None:
    first, second = sell("gpt-4o"), sell("claude-sonnet-4")
    key = made(
        signed_in,
        kind="inference",
        expires="on",
        expires_on="2150-12-31 18:00",
        time_zone="Europe/Berlin",
        limit=" $25.50 ",
        period="week",
        period_limit="5",
        models="gpt-4o\n\n claude-sonnet-4 \ngpt-4o",
        networks="203.0.113.7\n2001:DB8:0::/32\n10.0.0.0/255.0.0.0\n::ffff:192.0.2.0/120",
        requests_per_minute="60",
        tokens_per_minute="1,000,000",
        calls_in_flight="5",
        notes=" On the server.\r\nAsk Bob. ",
    )
    assert keys.rules_of(key) == Rules(
        notes="On the server.\nAsk Bob.",
        expires_at=datetime(2150, 12, 31, 17, tzinfo=UTC),
        limit_nanousd=25_500_000_000,
        period="week",
        period_limit_nanousd=5 * DOLLAR,
        model_ids=[first.pk, second.pk],
        networks=["203.0.113.7/32", "2001:db8::/32", "10.0.0.0/8", "192.0.2.0/24"],
        requests_per_minute=60,
        tokens_per_minute=1_000_000,
        calls_in_flight=5,
    )


@pytest.mark.parametrize(("kind", "prefix"), [("query", "sk-query-"), ("account", "at-"), ("", "sk-")])
def test_kinds(signed_in: Client, kind: str, prefix: str) -> None:
    page = signed_in.post("/tokens/", {"name": "App", "kind": kind}).text
    assert re.search(rf'id="new-key">{prefix}[0-9A-Za-z]{{54}}<', page)
    assert ApiKey.objects.get().kind == (kind or "inference")


def test_a_time_that_is_chosen_from_a_list(signed_in: Client) -> None:
    expires_at = made(signed_in, expires="30").expires_at
    assert expires_at is not None
    assert abs(expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


def test_a_date_alone_is_good_until_its_end(signed_in: Client) -> None:
    key = made(signed_in, expires="on", expires_on="2150-06-30", time_zone="America/New_York")
    assert key.expires_at == datetime(2150, 7, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"kind": "root"}, "", ""),
        ({"expires": "8"}, "expires", "not one of the available choices"),
        ({"expires": "on"}, "expires_on", "Write the date as 2026-12-31"),
        ({"expires": "on", "expires_on": "tomorrow"}, "expires_on", "Write the date as 2026-12-31"),
        ({"expires": "on", "expires_on": "2150-02-30"}, "expires_on", "2150-02-30 does not exist."),
        ({"expires": "on", "expires_on": "2150-01-01 25:00"}, "expires_on", "2150-01-01 25:00 does not exist."),
        ({"expires": "on", "expires_on": "9999-12-31"}, "expires_on", "does not exist."),
        ({"expires": "on", "expires_on": "2500-12-31"}, "expires_on", "The year 2200 is the last"),
        ({"expires": "on", "expires_on": "2020-01-01"}, "expires_on", "That is over already."),
        ({"expires": "on", "expires_on": "２１５０-01-01"}, "expires_on", "Write the date as 2026-12-31"),
        ({"expires": "on", "expires_on": "2150-01-01", "time_zone": "Mars/Base"}, "time_zone", "not known"),
        ({"expires": "on", "expires_on": "2150-01-01", "time_zone": "../../etc/passwd"}, "time_zone", "not known"),
        ({"limit": "-1"}, "limit", "Enter an amount above zero."),
        ({"limit": "1,50"}, "limit", "Write the amount in digits"),
        ({"limit": "0.001"}, "limit", "Enter whole cents"),
        ({"limit": "0"}, "limit", "Zero would let nothing through."),
        ({"limit": "1e9"}, "limit", "Write the amount in digits"),
        ({"limit": "9" * 30}, "limit", "too large"),
        ({"period_limit": "1"}, "period", "Choose day, week or month"),
        ({"period": "day"}, "period_limit", "Write how much"),
        ({"period": "year", "period_limit": "1"}, "period", "not one of the available choices"),
        ({"models": "gpt-4o\ngpt-4oo"}, "models", "Line 2: there is no model “gpt-4oo” for sale. Did you mean gpt-4o?"),
        ({"models": "GPT-4O"}, "models", "Line 1: there is no model “GPT-4O” for sale. Did you mean gpt-4o?"),
        ({"networks": "10.0.0.1\n10.0.0.5/8"}, "networks", "Line 2: “10.0.0.5/8” is an address inside a range. Write"),
        ({"networks": "\n\nexample.com"}, "networks", "Line 3: “example.com” is no address and no range."),
        ({"networks": "1.2.3.4/33"}, "networks", "Line 1: “1.2.3.4/33” is no address and no range."),
        ({"networks": "fe80::1%eth0"}, "networks", "names an interface"),
        ({"networks": "010.0.0.1"}, "networks", "is no address"),
        ({"networks": "１.２.３.４"}, "networks", "is no address"),
        ({"networks": "\n".join(f"10.0.{n // 256}.{n % 256}" for n in range(201))}, "networks", "At most 200 lines."),
        ({"requests_per_minute": "0"}, "requests_per_minute", "Zero would let nothing through."),
        ({"requests_per_minute": "1.5"}, "requests_per_minute", "Write a whole number"),
        ({"requests_per_minute": "1000001"}, "requests_per_minute", "At most 1,000,000."),
        ({"tokens_per_minute": "-1"}, "tokens_per_minute", "Write a whole number"),
        ({"tokens_per_minute": "9" * 20}, "tokens_per_minute", "At most 1,000,000,000,000."),
        ({"calls_in_flight": "٣"}, "calls_in_flight", "Write a whole number"),
        ({"notes": "x" * 1001}, "notes", "at most 1000 characters"),
        ({"kind": "query", "limit": "1"}, "limit", "Only a key that calls models"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_its_field(
    signed_in: Client, fields: dict[str, str], field: str, sentence: str
) -> None:
    sell("gpt-4o")
    found = refused(signed_in, **fields)
    if field:
        assert list(found) == [field]
        assert sentence in found[field].replace("&#x27;", "'")


def test_nothing_of_what_was_typed_is_lost(signed_in: Client) -> None:
    typed = {"name": "My app", "limit": "12.3.4", "networks": "10.0.0.0/8\nhere", "notes": "A note"}
    page = signed_in.post("/tokens/", {**typed, "expires": "on", "kind": "query", "period": "day"}).text
    for text in ("My app", "12.3.4", "10.0.0.0/8\nhere", "A note"):
        assert text in page
    assert re.search(r'id="id_kind_query"\s+value="query"[^>]*\schecked', page)
    assert re.search(r'<option value="on" selected', page)


def test_a_key_in_a_name_or_a_note_is_refused_and_not_repeated(signed_in: Client, issued: IssuedKey) -> None:
    for field in ("name", "notes"):
        response = signed_in.post("/tokens/", {"name": "App", field: f"my {issued.text}"})
        assert response.status_code == 422
        assert "This seems to hold a key." in error_of(response.text)[field]
        assert issued.text not in response.text
        assert "my sk-…" in response.text


@pytest.mark.parametrize("local", ["2026-03-29 02:30", "2150-03-29 02:30"])
def test_an_hour_that_clocks_leave_out_is_refused_by_name(local: str) -> None:
    if local.startswith("2026"):
        with pytest.raises(ValueError, match="2026-03-29 02:30 does not exist in Europe/Berlin"):
            reading.moment(local, "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC))
    else:
        assert reading.moment(local, "UTC", timezone.now()) == datetime(2150, 3, 29, 2, 30, tzinfo=UTC)


@given(st.text(max_size=80), st.text(max_size=20))
def test_no_text_breaks_the_readers(text: str, zone: str) -> None:
    now = timezone.now()
    for read in (
        lambda: reading.networks(text),
        lambda: reading.moment(text, zone, now),
        lambda: reading.moment("2150-01-01", zone, now),
        lambda: reading.whole(text, largest=10),
    ):
        with suppress(ValueError):
            read()


class TestAnExistingKey:
    def rules(self, issued: IssuedKey, **rules: Any) -> str:
        keys.change(issued.key, "Laptop", Rules(**rules))
        return f"/tokens/{issued.key.pk}/"

    def as_shown(self, client: Client, page: str) -> dict[str, str]:
        """The form as a browser sends it back without a change."""
        form = client.get(page).context["form"]
        return {name: form[name].value() or "" for name in form.fields}

    def test_saved_as_it_is_shown_it_stays_as_it_is(self, signed_in: Client, issued: IssuedKey) -> None:
        model = sell("gpt-4o")
        sell("gone").__class__.objects.filter(name="gone").update(unsold_reason="Gone.")
        gone = model.__class__.objects.get(name="gone")
        exact = Rules(
            notes="Notes",
            expires_at=datetime(2020, 1, 1, 12, 30, 59, 123456, tzinfo=UTC),
            limit_nanousd=1,
            period="month",
            period_limit_nanousd=1_234_567_890,
            model_ids=[gone.pk, model.pk],
            networks=["10.0.0.0/8"],
            requests_per_minute=1,
            tokens_per_minute=2,
            calls_in_flight=3,
        )
        keys.change(issued.key, "Laptop", exact)
        page = f"/tokens/{issued.key.pk}/"
        response = signed_in.post(page, self.as_shown(signed_in, page))
        assert (response.status_code, response["Location"]) == (303, page)
        key = ApiKey.objects.get()
        assert set(key.model_ids or ()) == set(exact.model_ids or ())
        key.model_ids = exact.model_ids
        assert keys.rules_of(key) == exact

    def test_what_is_emptied_no_longer_binds(self, signed_in: Client, issued: IssuedKey) -> None:
        page = self.rules(
            issued, limit_nanousd=DOLLAR, period="day", period_limit_nanousd=DOLLAR, networks=["10.0.0.0/8"]
        )
        shown = self.as_shown(signed_in, page)
        for _ in range(2):
            sent = shown | {"limit": "", "period": "", "period_limit": "", "networks": " \n"}
            assert signed_in.post(page, sent).status_code == 303
            assert keys.rules_of(ApiKey.objects.get()) == keys.FREE

    def test_a_limit_alone_keeps_its_period(self, signed_in: Client, issued: IssuedKey) -> None:
        page = self.rules(issued, period="day", period_limit_nanousd=DOLLAR)
        assert signed_in.post(page, {"name": "Laptop", "period_limit": "2"}).status_code == 303
        key = ApiKey.objects.get()
        assert (key.period, key.period_limit_nanousd) == ("day", 2 * DOLLAR)

    def test_its_kind_stays_whatever_is_sent(self, signed_in: Client, issued: IssuedKey) -> None:
        sent = {"name": "Laptop", "kind": "account", "limit": "1"}
        assert signed_in.post(f"/tokens/{issued.key.pk}/", sent).status_code == 303
        key = ApiKey.objects.get()
        assert (key.kind, key.limit_nanousd) == ("inference", DOLLAR)

    def test_what_is_wrong_changes_nothing(self, signed_in: Client, issued: IssuedKey) -> None:
        page = self.rules(issued, limit_nanousd=DOLLAR)
        response = signed_in.post(page, {"name": "Other", "limit": "much"})
        assert response.status_code == 422
        assert "Write the amount in digits" in error_of(response.text)["limit"]
        assert 'value="much"' in response.text
        key = ApiKey.objects.get()
        assert (key.name, key.limit_nanousd) == ("Laptop", DOLLAR)

    def test_a_revoked_one_is_not_changed(self, signed_in: Client, issued: IssuedKey) -> None:
        keys.revoke(issued.key)
        response = signed_in.post(f"/tokens/{issued.key.pk}/", {"name": "Other"}, follow=True)
        assert "is revoked, so nothing of it can be changed" in response.text
        assert ApiKey.objects.get().name == "Laptop"


def test_models_are_found_as_one_types(signed_in: Client, client: Client) -> None:
    for name in ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4"):
        sell(name)
    found = signed_in.get("/tokens/models/", {"q": "4O Gpt"}).text
    assert re.findall(r'data-add-model="([^"]+)"', found) == ["gpt-4o", "gpt-4o-mini"]
    assert "<html" not in found
    assert "data-add-model" not in signed_in.get("/tokens/models/").text
    hostile = signed_in.get("/tokens/models/", {"q": "%_%<script>"}).text
    assert "No model for sale" in hostile
    assert "<script>" not in hostile
