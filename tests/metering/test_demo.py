"""`manage.py demo`: a whole account of calls, through the metering API over real HTTP."""

import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from cometsite.quickstart import ports
from logs import demo, demo_traffic
from logs.models import Call, RejectedCall
from pricing import catalogue
from tests.books import assert_books
from tests.metering.gateway import sell
from tokens.models import ApiKey, GatewayKey
from wallet import ledger
from wallet.models import Code, Hold, Transfer
from wallet.wallets import wallet_of


@pytest.fixture
def _site(live_server: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SITE_URL = live_server.url
    monkeypatch.setattr(demo, "LIVE_CALLS", 14)
    sell("gpt-4o-mini")
    sell("claude-sonnet-4-5", {"input_tokens": 3_000_000, "output_tokens": 15_000_000})
    sell("mj_fast_imagine", {"calls": 50_000_000_000}, kind="image")
    sell("tts-1", {"characters": 15_000_000}, kind="speech")


def demonstrate(calls: int, **options: int) -> str:
    out = StringIO()
    call_command("demo", calls=calls, stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_site")
def test_the_account_can_be_looked_at_with_what_is_printed(settings: Settings) -> None:
    text = demonstrate(250, seed=7)
    assert f"{settings.SITE_URL}/accounts/login/" in text
    assert "Sent 250 of 250 calls" in text
    email, password = re.findall(r"(?:E-mail|Password): +(\S+)", text)
    client = Client()
    assert client.post("/accounts/login/", {"login": email, "password": password}).status_code == 302
    assert 'id="balance"' in client.get("/wallet/").content.decode()
    assert_books()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_site")
def test_it_shows_what_there_is_to_see() -> None:
    demonstrate(250, seed=7)
    user = User.objects.get(email=demo.EMAIL)
    calls = Call.objects.filter(wallet=wallet_of(user))
    assert not RejectedCall.objects.exists()
    assert calls.count() == 250 + 14 - 2 - 1
    assert Counter(calls.values_list("status", flat=True)).keys() == {"succeeded", "failed"}
    assert set(calls.values_list("model__name", flat=True)) == {
        "gpt-4o-mini",
        "claude-sonnet-4-5",
        "mj_fast_imagine",
        "tts-1",
    }
    assert Hold.objects.filter(state=Hold.State.OPEN).count() == 2
    assert ledger.balances(wallet_of(user)).held_nanousd > 0
    assert set(ApiKey.objects.values_list("name", flat=True)) == {*demo_traffic.KEYS, demo.LIVE_KEY}
    assert not GatewayKey.objects.filter(revoked_at=None).exists()
    # The starter credit pays first, and what is given is promotional: nothing of it could be refunded.
    assert ledger.balances(wallet_of(user)).paid_nanousd == 0
    assert_books()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_site")
def test_again_adds_calls_but_no_credit_and_no_second_set_of_keys() -> None:
    demonstrate(30, seed=7)
    before = Call.objects.count()
    demonstrate(30, seed=7)
    assert Call.objects.count() == 2 * before
    assert Transfer.objects.filter(code=Code.GRANT).count() == 1
    assert ApiKey.objects.filter(revoked_at=None).count() == len(demo_traffic.KEYS) + 1
    assert_books()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_site")
def test_an_account_that_spent_everything_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CREDIT_NANOUSD", 1)
    assert "insufficient_balance" in demonstrate(200)
    assert ledger.balances(wallet_of(User.objects.get(email=demo.EMAIL))).balance_nanousd < 0
    assert_books()


@pytest.mark.django_db
def test_it_is_refused_where_people_are_real(settings: Settings) -> None:
    settings.LOCAL = False
    with pytest.raises(CommandError, match="DEBUG=true only"):
        demonstrate(1)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_site_that_does_not_answer_is_one_sentence(settings: Settings) -> None:
    settings.SITE_URL = f"http://127.0.0.1:{ports.any_free()}"
    with pytest.raises(CommandError, match=r"does not answer.*make run"):
        demonstrate(1)
    assert not User.objects.exists()


@pytest.mark.parametrize("calls", [0, -1, demo.MOST_CALLS + 1])
def test_the_number_of_calls_is_bounded(calls: int) -> None:
    with pytest.raises(CommandError, match="1 to 20,000"):
        demonstrate(calls)


@pytest.mark.django_db(transaction=True)
def test_without_a_price_list_it_says_what_to_do(live_server: LiveServer, settings: Settings) -> None:
    settings.SITE_URL = live_server.url
    with pytest.raises(CommandError, match="import_prices"):
        demonstrate(1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_site")
def test_a_member_of_staff_keeps_their_password() -> None:
    User.objects.create_superuser(demo.EMAIL, "correct horse battery")
    with pytest.raises(CommandError, match="member of staff"):
        demonstrate(1)
    assert User.objects.get().check_password("correct horse battery")


def test_moments_lie_in_the_last_thirty_days_and_follow_the_working_day() -> None:
    now = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
    found = demo_traffic.moments(random.Random(1), 4000, now)
    assert found == sorted(found)
    assert now - timedelta(days=30) <= found[0]
    assert found[-1] < now
    hours = Counter(moment.hour for moment in found)
    assert hours[15] > 5 * hours[3]
    weekdays = Counter(moment.weekday() for moment in found)
    assert weekdays[1] > 2 * weekdays[6]


@pytest.mark.django_db
def test_only_units_with_a_price_are_reported() -> None:
    sell("gpt-4o", {"input_tokens": 1, "output_tokens": 1})
    model = catalogue.find("gpt-4o")
    assert model is not None
    drawn = {"input_tokens": 5, "web_searches": 5, "output_tokens": 0}
    assert demo_traffic.usage_of(model, datetime.now(UTC), drawn) == {"input_tokens": 5}
