"""A key's page: what it may do, how far it has come with its limits, and every act on it, sent once and twice."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from tests.metering.gateway import Gateway, call, give, sell
from tests.parallel import at_once
from tokens import charts, keys, limits, spending, states
from tokens.keys import IssuedKey, Rules
from tokens.models import ApiKey, DailyUsage
from tokens.spending import Day
from tokens.states import Meter, State
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000_000
NEW_KEY = re.compile(r'<code id="new-key">([0-9A-Za-z-]+)</code>')


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def used(key: ApiKey, amount: int, day: date | None = None, calls: int = 1) -> None:
    moment = timezone.now()
    DailyUsage.objects.create(
        wallet_id=key.wallet_id,
        day=day or moment.date(),
        key=key,
        model_id=calls,
        last_used_at=moment,
        calls=calls,
        charged_nanousd=amount,
    )


def act(client: Client, key: ApiKey, name: str, **fields: str) -> str:
    """Post it, and read the page that it leads to."""
    response = client.post(f"/tokens/{key.pk}/{name}/", fields)
    assert (response.status_code, response["Location"]) == (303, f"/tokens/{key.pk}/")
    return words(client.get(response["Location"]).text)


def state(key: ApiKey) -> State:
    found = ApiKey.objects.get(pk=key.pk)
    states.put([found])
    return found.standing.state


def test_it_says_what_the_key_may_do(signed_in: Client, issued: IssuedKey) -> None:
    page = words(signed_in.get(f"/tokens/{issued.key.pk}/").text)
    assert "Models every one, new ones too" in page
    assert "Spends at most what is in the wallet" in page
    model = sell("gpt-4o")
    limited = Rules(
        expires_at=datetime(2150, 1, 2, 3, 4, tzinfo=UTC),
        limit_nanousd=DOLLAR,
        period="day",
        period_limit_nanousd=DOLLAR // 2,
        model_ids=[model.pk],
        networks=["10.0.0.0/8"],
        requests_per_minute=1,
        calls_in_flight=3,
    )
    keys.change(issued.key, "Laptop", limited)
    page = words(signed_in.get(f"/tokens/{issued.key.pk}/").text)
    for text in (
        "Until 2150-01-02 03:04 UTC",
        "Models gpt-4o",
        "Calls from 10.0.0.0/8",
        "Spends at most $1.00 over its whole life, $0.50 a day",
        "At a time 1 call a minute, 3 calls at once",
    ):
        assert text in page


def test_limits_have_bars_and_say_when_they_begin_anew(signed_in: Client, issued: IssuedKey) -> None:
    keys.change(
        issued.key, "Laptop", Rules(limit_nanousd=4 * DOLLAR, period="day", period_limit_nanousd=DOLLAR)
    )
    used(issued.key, DOLLAR // 4)
    used(issued.key, DOLLAR, timezone.now().date() - timedelta(days=1))
    page = signed_in.get(f"/tokens/{issued.key.pk}/").text
    assert re.findall(r'<progress[^>]*value="([0-9]+)"', page) == ["31", "25"]
    told = words(page)
    assert "$1.25 of $4.00" in told
    assert "$0.25 of $1.00" in told
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert f'datetime="{midnight:%Y-%m-%dT%H:%M:%SZ}"' in page


def test_calls_that_are_open_now(signed_in: Client, alice: User) -> None:
    sell("gpt-4o")
    gateway, issued = Gateway(), keys.issue(give(alice, DOLLAR), "Laptop")
    other = keys.issue(wallet_of(alice), "Other")
    page = f"/tokens/{issued.key.pk}/"
    assert "None. A call stands here" in signed_in.get(page).text
    opened = gateway.authorize(issued.text, input_tokens=1200, max_output_tokens=300).json()
    gateway.authorize(other.text)
    told = words(signed_in.get(page).text)
    assert "1, holding $0.006" in told
    gateway.record(call(issued.key, call_id=opened["call_id"]))
    told = words(signed_in.get(page).text)
    assert "None. A call stands here" in told
    assert "$0.006 in 1 call" in told


def test_each_state_has_its_badge(signed_in: Client, issued: IssuedKey) -> None:
    def shown() -> list[str]:
        pages = signed_in.get(f"/tokens/{issued.key.pk}/").text, signed_in.get("/tokens/").text
        return [found for page in pages for found in re.findall(r'class="badge [^"]+">([^<]+)<', page)]

    assert shown() == ["In use"] * 2
    keys.change(issued.key, "Laptop", Rules(limit_nanousd=DOLLAR))
    used(issued.key, DOLLAR)
    assert shown() == ["Exhausted"] * 2
    keys.disable(issued.key)
    assert shown() == ["Disabled"] * 2
    keys.change(issued.key, "Laptop", Rules(expires_at=timezone.now() - timedelta(seconds=1)))
    assert shown() == ["Expired"] * 2
    keys.revoke(issued.key)
    assert shown()[0] == "Revoked"
    assert "Show 1 revoked token" in signed_in.get("/tokens/").text


def test_the_filter_of_staff_knows_the_same_states(issued: IssuedKey, alice: User) -> None:
    wallet, now = issued.key.wallet, timezone.now()
    made = {State.IN_USE: issued.key}
    made[State.REVOKED] = keys.issue(wallet, "r").key
    keys.revoke(made[State.REVOKED])
    made[State.EXPIRED] = keys.issue(wallet, "e", rules=Rules(expires_at=now - timedelta(days=1))).key
    made[State.DISABLED] = keys.issue(wallet, "d").key
    keys.disable(made[State.DISABLED])
    made[State.EXHAUSTED] = keys.issue(
        wallet, "x", rules=Rules(period="month", period_limit_nanousd=DOLLAR)
    ).key
    used(made[State.EXHAUSTED], DOLLAR)
    below = keys.issue(
        wallet, "b", rules=Rules(period="month", period_limit_nanousd=DOLLAR, limit_nanousd=3)
    ).key
    used(below, 2)
    for wanted, key in made.items():
        found = set(states.only(ApiKey.objects.all(), wanted).values_list("pk", flat=True))
        assert found == {key.pk, *([below.pk] if wanted == State.IN_USE else [])}
        assert state(key) == wanted


def test_a_limit_of_a_week_that_is_over_binds_no_more(issued: IssuedKey) -> None:
    keys.change(issued.key, "Laptop", Rules(period="week", period_limit_nanousd=DOLLAR))
    monday = timezone.now().date() - timedelta(days=timezone.now().weekday())
    used(issued.key, DOLLAR, monday - timedelta(days=1))
    assert state(issued.key) == State.IN_USE
    used(issued.key, DOLLAR, monday, calls=2)
    assert state(issued.key) == State.EXHAUSTED


def test_meters_are_full_only_where_nothing_is_left() -> None:
    assert (Meter(1000, 999).percent, Meter(1000, 999).is_full) == (99, False)
    assert (Meter(1000, 5000).percent, Meter(1000, 5000).left_nanousd) == (100, 0)


def test_the_chart_and_its_table(signed_in: Client, issued: IssuedKey) -> None:
    page = f"/tokens/{issued.key.pk}/"
    assert "No call was made with it in this time." in signed_in.get(page).text
    today = timezone.now().date()
    used(issued.key, 3 * DOLLAR, today, calls=2)
    used(issued.key, DOLLAR, today - timedelta(days=29), calls=1)
    used(issued.key, DOLLAR, today - timedelta(days=30), calls=1)
    text = signed_in.get(page).text
    assert text.count('class="chart-bar"') == 2
    assert "$4.00 in 3 calls" in words(text)
    table = text[text.index('<details class="plain chart-table">') :]
    assert re.findall(r'<td class="num">([^<]+)</td>', table)[:4] == ["2", "$3.00", "1", "$1.00"]
    assert not re.search(r"<svg[^>]*style=|<rect[^>]*style=", text), "the policy allows no style attribute"


def test_bars_lie_within_the_drawing() -> None:
    days = [Day(date(2026, 1, 1) + timedelta(days=n), n * 7_777_777, n) for n in range(30)]
    chart = charts.of_days(days)
    assert [bar.height for bar in chart.bars] == sorted(bar.height for bar in chart.bars)
    for bar in chart.bars:
        assert chart.left <= bar.x
        assert bar.x + bar.width <= chart.width
        assert charts.TOP <= bar.y <= chart.baseline
        assert bar.y + bar.height == chart.baseline
    assert [line.label for line in chart.lines] == ["$0.00", "$0.20", "$0.40"]
    assert charts.of_days([Day(date(2026, 1, 1))]).is_empty


def test_days_without_a_call_are_days_too(issued: IssuedKey) -> None:
    used(issued.key, 5, date(2026, 1, 2))
    days = spending.by_day(issued.key, date(2026, 1, 1), date(2026, 1, 3))
    assert [(day.day.day, day.spent_nanousd) for day in days] == [(1, 0), (2, 5), (3, 0)]


def test_disable_and_enable_twice(signed_in: Client, issued: IssuedKey) -> None:
    for _ in range(2):
        page = act(signed_in, issued.key, "disable")
        assert "is disabled. No call is let in" in page
    first = ApiKey.objects.get().disabled_at
    act(signed_in, issued.key, "disable")
    assert ApiKey.objects.get().disabled_at == first
    for _ in range(2):
        assert "“Laptop” is enabled." in act(signed_in, issued.key, "enable")
    assert state(issued.key) == State.IN_USE


def test_nothing_wakes_a_revoked_key(signed_in: Client, issued: IssuedKey) -> None:
    keys.revoke(issued.key)
    for name in ("enable", "disable", "end-overlap", "revoke"):
        page = act(signed_in, issued.key, name)
        assert "is revoked, and stays so." in page or name == "revoke"
    assert "so it gets no new text" in act(signed_in, issued.key, "rotate", overlap="1h")
    assert keys.find(issued.text) == ApiKey.objects.get(revoked_at__isnull=False)


def rotated(client: Client, key: ApiKey, **fields: str) -> str:
    response = client.post(f"/tokens/{key.pk}/rotate/", {"seen": key.hint, **fields})
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    shown = NEW_KEY.search(response.text)
    assert shown, response.text
    return shown[1]


def test_rotation_with_an_overlap_that_is_ended(signed_in: Client, issued: IssuedKey) -> None:
    text = rotated(signed_in, issued.key, overlap="7d", seen=issued.key.hint)
    assert keys.find(text) == keys.find(issued.text) == issued.key
    key = ApiKey.objects.get()
    assert key.previous_until is not None
    assert abs(key.previous_until - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    page = signed_in.get(f"/tokens/{key.pk}/").text
    assert f"The old key {issued.key.hint} is good until" in words(page)
    assert text not in page
    for _ in range(2):
        page = act(signed_in, key, "end-overlap")
        assert "The old key" not in page.replace("The old key is good for", "")
        assert keys.find(issued.text) is None
    assert keys.find(text) == key


def test_rotation_without_an_overlap(signed_in: Client, issued: IssuedKey) -> None:
    rotated(signed_in, issued.key, overlap="0")
    assert keys.find(issued.text) is None
    assert "Choose how long" in act(signed_in, issued.key, "rotate", overlap="30d")


def test_a_form_that_is_sent_twice_rotates_once(signed_in: Client, issued: IssuedKey) -> None:
    page = signed_in.get(f"/tokens/{issued.key.pk}/").text
    fields = dict(re.findall(r'name="(seen)" value="([^"]+)"', page))
    assert fields["seen"] == issued.key.hint
    text = rotated(signed_in, issued.key, **{**fields, "overlap": "1d"})
    for late in (fields, {}):
        told = act(signed_in, issued.key, "rotate", **{"overlap": "0", **late})
        assert "was rotated since that form was opened" in told
    assert keys.find(text) == keys.find(issued.text) == issued.key


@pytest.mark.django_db(transaction=True)
def test_of_many_rotations_at_once_one_happens(alice: User) -> None:
    issued = keys.issue(wallet_of(alice), "Laptop")
    hint = issued.key.hint

    def rotate(_: int) -> str:
        try:
            return keys.rotate(issued.key, timedelta(days=1), seen=hint).text
        except keys.KeyChanged:
            return ""

    texts = [text for text in at_once(8, rotate) if text]
    assert len(texts) == 1
    assert keys.find(texts[0]) == keys.find(issued.text) == issued.key


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("query", "/v1/dashboard/billing/subscription"),
        ("account", "/api/user/self"),
        ("inference", "Base URL"),
    ],
)
def test_each_kind_says_how_to_use_it(signed_in: Client, alice: User, kind: str, told: str) -> None:
    page = signed_in.post("/tokens/", {"name": "App", "kind": kind}).text
    shown = NEW_KEY.search(page)
    assert shown
    assert told in page
    key = ApiKey.objects.get()
    later = signed_in.get(f"/tokens/{key.pk}/").text
    assert told in later
    assert key.hint in later
    assert ("Calls open now" in later) == (kind == "inference")
    if kind != "inference":
        assert f"Bearer {shown[1]}" in page


def test_the_page_asks_the_same_however_much_there_is(
    signed_in: Client, issued: IssuedKey, alice: User
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as found:
            signed_in.get(f"/tokens/{issued.key.pk}/")
        return len(found)

    before = asked()
    for number in range(1, 20):
        used(issued.key, DOLLAR, timezone.now().date() - timedelta(days=number))
        keys.issue(issued.key.wallet, f"Key {number}")
    assert asked() == before
    assert before <= 15


@pytest.mark.parametrize("kind", list(ApiKey.Kind))
def test_a_revoked_key_is_told_of_as_what_is_over(signed_in: Client, alice: User, kind: ApiKey.Kind) -> None:
    key = keys.issue(wallet_of(alice), "Laptop", kind).key
    before = signed_in.get(f"/tokens/{key.pk}/").text
    assert "How to use it" in before
    assert "it is revoked" in before
    assert ("Its calls" in before) is (kind == ApiKey.Kind.INFERENCE)
    keys.revoke(key)
    after = signed_in.get(f"/tokens/{key.pk}/").text
    assert "How to use it" not in after
    assert "it is revoked" not in after
    assert "it was revoked" in after


def test_no_space_stands_between_a_time_and_its_full_stop(signed_in: Client, alice: User) -> None:
    issued = keys.issue(wallet_of(alice), "Laptop", rules=Rules(period="day", period_limit_nanousd=10**9))
    assert re.search(
        r"Begins anew at <time [^>]*>[^<]*</time>\.", signed_in.get(f"/tokens/{issued.key.pk}/").text
    )


@pytest.mark.parametrize("limit", ["calls_in_flight", "requests_per_minute", "tokens_per_minute"])
def test_a_limit_of_one_is_told_as_one(limit: str) -> None:
    one, two = (limits.reached(ApiKey(**{limit: number}), limit, timezone.now()).message for number in (1, 2))
    assert not re.search("(calls|tokens) ", one)
    assert re.search("2 (calls|tokens) ", two)
