"""The page of statistics: whose, what it says, what it refuses, and what it costs."""

import colorsys
import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from logs import latencies, statistics, statistics_tables
from logs.models import Call
from pricing.models import Model
from tests.logs import recorded
from tokens import spending
from tokens.models import ApiKey, DailyUsage
from wallet import ledger
from wallet.models import Code, Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)
TODAY = NOW.date()


@pytest.fixture
def owner(settings: Settings) -> User:
    settings.STARTER_CREDIT_NANOUSD = 0
    return recorded.person("owner")


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def key(owner: User) -> ApiKey:
    return recorded.key_of(owner)


def page(client: Client, query: str = "", status: int = 200) -> str:
    response = client.get(f"/logs/statistics/?{query}")
    assert response.status_code == status, response.text
    return re.sub(r"\s+", " ", response.text)


def drawn(text: str) -> Any:
    """The data of the chart."""
    found = re.search(r'<script id="chart-data" type="application/json">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def texts(page: str) -> str:
    """What the page says, without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page)))


@transaction.atomic
def give(wallet: Wallet, amount_nanousd: int) -> None:
    ledger.post(
        code=Code.GRANT,
        reference=f"test:{amount_nanousd}",
        debit=ledger.house("promotions"),
        credit=ledger.promotional(wallet),
        amount_nanousd=amount_nanousd,
    )


def test_without_a_call_it_says_what_it_is_for(signed_in: Client) -> None:
    text = page(signed_in)
    assert "Nothing to count yet" in text
    assert '<a class="btn btn-primary" href="/tokens/">' in text
    assert "<canvas" not in text
    assert 'role="search"' not in text


def test_nobody_sees_it_without_signing_in(client: Client) -> None:
    response = client.get("/logs/statistics/")
    assert response.status_code == 302
    assert "/accounts/login/" in response["Location"]
    assert client.post("/logs/statistics/").status_code in (302, 405)


def test_it_says_what_was_used(signed_in: Client, key: ApiKey) -> None:
    rates = ((0, {"input_tokens": 2_500_000, "cached_input_tokens": 250_000, "output_tokens": 10_000_000}),)
    version = recorded.model(rates=rates)
    usage = {"input_tokens": 900, "cached_input_tokens": 300, "output_tokens": 300}
    for number in range(3):
        recorded.call(key, version, usage, latency_ms=1_000 + number, first_token_ms=200)
    recorded.call(key, version, usage, status=Call.Status.FAILED)
    text = texts(page(signed_in))
    for said in (
        "Spent $0.015975",
        "Calls 4 1 failed Succeeded 75.0 %",
        "Tokens 4,500 3,600 in, 900 out",
        "Read from caches 25.0 % 900 of the tokens sent",
        "1,001 and 1,002 ms First token 200 and 200 ms. Of the calls that succeeded",
        "gpt-test 4 75.0 % 3,600 25.0 % 900 $0.015975 100.0 %",
        f"Laptop {key.hint} 4 75.0 %",
    ):
        assert said in text, (said, text)


def test_the_chart_and_its_table_hold_the_same(signed_in: Client, key: ApiKey) -> None:
    small, large = recorded.model("small"), recorded.model("large")
    recorded.call(key, small, at=NOW)
    for _ in range(2):
        recorded.call(key, large, at=NOW - timedelta(days=2))
    for measure, ours, theirs in (
        ("spend", 6_000_000, 12_000_000),
        ("calls", 1, 2),
        ("tokens", 1_500, 3_000),
    ):
        text = page(signed_in, f"preset=7d&by=day&measure={measure}")
        chart = drawn(text)
        assert len(chart["labels"]) == 7
        assert [(one["name"], one["values"]) for one in chart["series"]] == [
            ("large", [0, 0, 0, 0, theirs, 0, 0]),
            ("small", [0, 0, 0, 0, 0, 0, ours]),
        ]
    found = texts(page(signed_in, "preset=7d&by=day"))
    days = [f"{at.day} {at:%b %Y}" for at in (TODAY, TODAY - timedelta(days=2))]
    assert (
        f"Day (UTC) All large small {days[0]} $0.006 $0.00 $0.006 {days[1]} $0.012 $0.012 $0.00 All $0.018 $0.012 $0.006"
        in found
    )


def test_hours_for_a_short_time_only(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    assert "Spend by hour" in page(signed_in, "preset=today")
    assert "Spend by day" in page(signed_in, "preset=today&by=day")
    assert "Spend by hour" in page(signed_in, "preset=7d&by=hour")
    refused = page(signed_in, "preset=30d&by=hour")
    assert "Spend by day" in refused
    assert "Hours are shown for up to 7 days" in refused
    assert "Hours are shown" not in page(signed_in, "preset=30d")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("preset=24h", "Whole hours:"),
        ("preset=hour", "Whole hours:"),
        ("preset=24h&by=day", "Whole days:"),
        ("preset=today", None),
        ("preset=7d&by=hour", None),
        ("", None),
    ],
)
def test_what_is_rounded_to_whole_steps_says_so(
    signed_in: Client, key: ApiKey, query: str, said: str | None
) -> None:
    recorded.call(key, recorded.model())
    text = texts(page(signed_in, query))
    assert ("the log is exact to the second" in text) == ("Whole" in text) == bool(said)
    assert said is None or said in text


def test_the_end_of_hours_is_the_end_of_the_last_one(signed_in: Client, key: ApiKey) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0)
    recorded.call(key, recorded.model(), at=today - timedelta(hours=5))
    first, after = (f"{at.day} {at:%b %Y}, 00:00" for at in (today - timedelta(days=1), today))
    assert f"{first} to {after}, UTC" in texts(page(signed_in, "preset=yesterday"))


def test_what_it_can_not_be_filtered_by_is_said(signed_in: Client, key: ApiKey) -> None:
    recorded.call(key, recorded.model())
    sentence = "Statistics can't be filtered by"
    text = texts(page(signed_in, "status=failed&stream=yes&above=1&call=x"))
    assert f"{sentence} status, streaming, cost, request ID" in text
    assert sentence not in texts(page(signed_in, "preset=7d&model=gpt-test&status="))


def test_filters_narrow_it_and_lead_into_the_log(signed_in: Client, owner: User, key: ApiKey) -> None:
    server = recorded.key_of(owner, "Server")
    one, other = recorded.model("model & one"), recorded.model("other")
    recorded.call(key, one)
    recorded.call(server, other)
    text = page(signed_in, f"token={server.pk}&status=failed&above=1&call=123")
    assert "Spent $0.006" in texts(text)
    assert [one["name"] for one in drawn(text)["series"]] == ["other"]
    everything = unescape(page(signed_in))
    for link in (
        "/logs/?preset=30d&model=model+%26+one",
        f"/logs/?preset=30d&token={server.pk}",
        f"/logs/?from={TODAY}&to={TODAY}",
    ):
        assert f'href="{link}"' in everything, link
        assert "Show the receipt" in signed_in.get(link).text
    assert f'href="/logs/?model=other&from={TODAY}&to={TODAY}"' in unescape(page(signed_in, "model=other"))
    assert 'href="/logs/statistics/?model=other"' in signed_in.get("/logs/?model=other").text
    assert "No calls in this time" in page(signed_in, "model=never+sold")
    assert "No calls in this time" in page(signed_in, "from=9999-12-31")
    assert "How long the balance lasts" in page(signed_in, "to=0001-01-01")


def test_others_are_not_counted(signed_in: Client, key: ApiKey) -> None:
    theirs = recorded.key_of(recorded.person("stranger"), "Secret name")
    version = recorded.model()
    recorded.call(theirs, version)
    assert "Nothing to count yet" in page(signed_in)
    recorded.call(key, version)
    assert "Secret name" not in page(signed_in)
    found = page(signed_in, f"token={theirs.pk}")
    assert "No calls in this time" in found
    assert "Secret name" not in found


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=2026-02-30", "Write the day as 2026-01-31."),
        ("from=2026-02-02&to=2026-02-01", "The last day lies before the first one."),
        ("preset=century", "Choose one of these times."),
        ("token=x", "Choose a token."),
        ("by=minute", "Choose hour or day."),
        ("measure=%3Cb%3E", "Choose spend, calls or tokens."),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    signed_in: Client, key: ApiKey, query: str, sentence: str
) -> None:
    recorded.call(key, recorded.model())
    text = page(signed_in, query, status=400)
    assert sentence in text
    assert "<canvas" not in text


@pytest.mark.parametrize(
    "query",
    [
        "from=1926-01-01&to=2026-01-01",
        "from=0001-01-01",
        "to=9999-12-31",
        "by=hour&to=0001-01-01",
        "model=%25",
    ],
)
def test_a_range_of_any_length_is_answered(signed_in: Client, key: ApiKey, query: str) -> None:
    recorded.call(key, recorded.model())
    assert len(page(signed_in, query)) < 100_000


def test_a_name_that_ends_a_script_is_text(signed_in: Client, owner: User) -> None:
    evil = "</script><script>alert(1)</script>"
    recorded.call(recorded.key_of(owner, evil), recorded.model(evil))
    text = page(signed_in)
    assert evil not in text
    assert "<script>alert" not in text
    assert drawn(text)["series"][0]["name"] == evil


def test_the_smallest_of_many_are_one_row(
    signed_in: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_tables, "MOST_ROWS", 2)
    version = recorded.model()
    for number in range(1, 5):
        key = recorded.key_of(owner, f"key-{number}")
        for _ in range(number):
            recorded.call(key, version)
    text = texts(page(signed_in))
    assert "2 others 3 100.0 % 3,600 0.0 % 900 $0.018 30.0 %" in text
    assert text.index("key-4 sk-") < text.index("key-3 sk-") < text.index("2 others")


def test_more_than_ten_are_folded(signed_in: Client, key: ApiKey) -> None:
    for number in range(1, 13):
        version = recorded.model(f"model-{number:02}")
        for _ in range(number):
            recorded.call(key, version)
    shown, folded = page(signed_in).split('<details class="plain used-rest">')
    names = [
        re.findall(r">(model-\d\d)</a>", part.partition('id="by-model"')[2] or part)
        for part in (shown, folded)
    ]
    assert names == [[f"model-{number:02}" for number in range(12, 2, -1)], ["model-02", "model-01"]]
    assert "<summary>2 more</summary>" in folded
    assert shown.count("<tfoot>") == 2, "of the chart's table and of this one"


def test_the_balance_lasts_as_its_pace_says(signed_in: Client, owner: User, key: ApiKey) -> None:
    wallet = wallet_of(owner)
    version = recorded.model("cheap", ((0, {"calls": 10**9}),))
    give(wallet, 100_000_000)
    recorded.call(key, version, {"calls": 10}, at=NOW - timedelta(days=20))
    text = texts(page(signed_in))
    spent = DailyUsage.objects.get().charged_nanousd
    assert spent == 10_000_000
    assert "Available now $0.09" in text
    week, longest = text.split("pace of the last 21 days")
    assert "pace of the last 7 days $0.00 since" in week
    assert "not at this pace: nothing was spent" in week
    assert "since" in longest
    assert re.search(r"\$0\.01 since \d+ \w+, about \$0\.000\d+ a day runs out \d+ \w+ 20\d\d", text)


@pytest.mark.parametrize(
    ("balance", "sentence"),
    [(0, "Nothing is left to use."), (-1, "more was spent than there was")],
)
def test_a_balance_that_is_used_up_says_so(
    signed_in: Client, key: ApiKey, balance: int, sentence: str
) -> None:
    give(key.wallet, 6_000_000 + balance)
    recorded.call(key, recorded.model())
    text = texts(page(signed_in))
    assert sentence in text
    assert "runs out" not in text


def seed(owner: User, *, days: int, keys: int, models: int) -> None:
    """Roll-up rows alone: days × keys × models."""
    made = [recorded.key_of(owner, f"key-{number}") for number in range(keys)]
    sold = Model.objects.bulk_create(
        Model(name=f"m-{number}", provider_code="openai", provider="OpenAI") for number in range(models)
    )
    wallet = wallet_of(owner)
    DailyUsage.objects.bulk_create(
        DailyUsage(
            wallet=wallet, day=TODAY - timedelta(days=back), key=key, model=model, last_used_at=NOW,
            calls=7, failed=1, input_tokens=1_000, cached_input_tokens=10, output_tokens=50, charged_nanousd=123_456,
        )
        for back in range(days) for key in made for model in sold
    )  # fmt: skip


def test_as_many_queries_for_much_as_for_little(
    signed_in: Client, owner: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    seed(owner, days=1, keys=1, models=1)
    page(signed_in)
    with django_assert_num_queries(13) as little:
        page(signed_in)
    for pk in range(2, 5):
        recorded.call(recorded.key_of(owner, f"more-{pk}"), recorded.model(f"more-{pk}"))
    with django_assert_num_queries(len(little)):
        page(signed_in, "preset=30d")


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def hue(colour: str) -> float:
    """In degrees."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return colorsys.rgb_to_hls(red, green, blue)[0] * 360


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_differ_in_lightness_and_in_hue(settings: Settings, theme: int) -> None:
    """From the surface as WCAG 2.2 asks of drawings (3:1), and each from each: in lightness for who sees no hues."""
    folder = Path(settings.BASE_DIR) / "static/css"
    pairs = re.compile(r"--(series-\w+|surface): light-dark\((#\w{6}), (#\w{6})\)")
    found: dict[str, str] = {}
    for name in ("frame.css", "statistics.css"):
        found |= {match[1]: match[2 + theme] for match in pairs.finditer((folder / name).read_text())}
    surface = found.pop("surface")
    assert len(found) == 6
    assert min(contrast(colour, surface) for colour in found.values()) >= 3
    by_light = sorted(found.values(), key=luminance)
    assert min(contrast(*pair) for pair in itertools.pairwise(by_light)) >= 1.25
    hues = sorted(hue(colour) for name, colour in found.items() if name != "series-rest")
    gaps = [later - hue for hue, later in itertools.pairwise([*hues, hues[0] + 360])]
    assert min(gaps) >= 30


def test_hours_are_kept_for_as_long_as_they_are_shown() -> None:
    assert statistics.HOURS_REACH + timedelta(days=1) < spending.HOURS_KEPT


def test_latencies_that_take_too_long_are_left_out(
    signed_in: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")
        return []

    recorded.call(key, recorded.model(), latency_ms=100)
    assert "100 and 100 ms" in page(signed_in, f"model=gpt-test&token={key.pk}")
    monkeypatch.setattr(latencies, "WAIT_MS", 50)
    monkeypatch.setattr(latencies, "report_rows", slow)
    text = texts(page(signed_in, f"model=gpt-test&token={key.pk}"))
    assert "Latency, p50 and p95 – Takes too long to find out" in text
    assert "Spent $0.006" in text
