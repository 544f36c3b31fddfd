"""Walking through a log, whatever is looked for: every call once, in order, there and back; and what they sum to."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from logs import call_ids, pages
from logs.models import Call
from logs.pages import Page
from logs.sums import Span, Sums
from logs.wanted import Wanted
from pricing.units import INPUT_UNITS
from tests.logs import recorded
from wallet.models import Code, Transfer

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0)
FILTERS = 60


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and searches that end early."""
    monkeypatch.setattr(pages, "PAGE_SIZE", 4)
    monkeypatch.setattr(pages, "SCANNED", 9)
    monkeypatch.setattr(pages, "MOST_DAYS", 3)


def some_calls(draw: random.Random, count: int = 160) -> list[Call]:
    """Of one wallet, over 20 days of which some have none; among those of a stranger. Newest first."""
    owner = recorded.person("owner")
    keys = [recorded.key_of(owner, name) for name in ("one", "two", "three")]
    stranger = recorded.key_of(recorded.person("stranger"))
    versions = [recorded.model("m1"), recorded.model("m2"), recorded.model("m3")]
    days = draw.sample(range(20), 14)
    calls = []
    for number in range(count):
        calls.append(
            recorded.call(
                draw.choice([keys[0], keys[0], keys[1]] if number else [keys[2]]),
                draw.choice(versions[:2] if number > 2 else versions[2:]),
                {"input_tokens": draw.choice((0, 1, 1000, 50_000)), "output_tokens": draw.randrange(3)},
                at=NOW - timedelta(days=draw.choice(days), seconds=draw.randrange(86_400)),
                status="failed" if draw.random() < 0.2 else "succeeded",
                stream=draw.choice((True, False, None)),
            )
        )
        if number % 8 == 0:
            recorded.call(stranger, versions[0], at=NOW - timedelta(days=draw.choice(days)))
    return sorted(calls, key=lambda call: call.pk, reverse=True)


def some_filter(draw: random.Random, calls: Sequence[Call]) -> Wanted:
    def maybe[T](value: Callable[[], T]) -> T | None:
        return value() if draw.random() < 0.4 else None

    def moment() -> datetime:
        at = NOW - timedelta(seconds=draw.randrange(21 * 86_400))
        return at.replace(hour=0, minute=0, second=0) if draw.random() < 0.5 else at

    def one() -> Call:
        return draw.choice(calls)

    return Wanted(
        calls[0].wallet_id,
        Span(*sorted((moment(), moment()))) if draw.random() < 0.4 else Span(maybe(moment)),
        maybe(lambda: one().model_id),
        maybe(lambda: one().key_id),
        maybe(lambda: draw.choice(Call.Status.values)) or "",
        maybe(lambda: draw.random() < 0.5),
        maybe(lambda: draw.choice((0, 2_500_000, 2_510_000, 200_000_000))),
    )


def matching(wanted: Wanted, calls: Sequence[Call]) -> list[Call]:
    """By looking at each."""
    start, end = (
        wanted.span.start or datetime.min.replace(tzinfo=UTC),
        wanted.span.end or NOW + timedelta(days=1),
    )
    return [
        call
        for call in calls
        if start <= call_ids.moment(call.pk) < end
        and (wanted.model_id is None or call.model_id == wanted.model_id)
        and (wanted.key_id is None or call.key_id == wanted.key_id)
        and (not wanted.status or call.status == wanted.status)
        and (wanted.stream is None or call.stream is wanted.stream)
        and (wanted.above_nanousd is None or call.charged_nanousd > wanted.above_nanousd)
    ]


def sums_of(calls: Sequence[Call]) -> Sums:
    good = [call.usage for call in calls if call.status == "succeeded"]
    tokens = sum(
        count for usage in good for unit, count in usage.items() if unit in {*INPUT_UNITS, "output_tokens"}
    )
    failed = len(calls) - len(good)
    return Sums(len(calls), failed, sum(call.charged_nanousd for call in calls), tokens)


def shown(page: Page) -> list[UUID]:
    return [row.id for row in page.rows]


def walk(wanted: Wanted, page: Page, direction: str) -> Iterator[Page]:
    """The pages beyond this one."""
    for _ in range(200):
        query = page.older if direction == "before" else page.newer
        if not query:
            return
        cursor = parse_qs(query)[direction][0]
        page = pages.page(wanted, {}, **{"before": "", "after": "", direction: cursor})
        yield page
    pytest.fail("the pages never end")


@pytest.mark.usefixtures("small")
def test_every_call_is_on_one_page_there_and_back() -> None:
    draw = random.Random(61)
    calls = some_calls(draw)
    sizes, cut = set(), 0
    for _ in range(FILTERS):
        wanted = some_filter(draw, calls)
        expected = [call.pk for call in matching(wanted, calls)]
        first = pages.page(wanted, {}, before="", after="")
        down = [first, *walk(wanted, first, "before")]
        assert [pk for page in down for pk in shown(page)] == expected, wanted
        cut += sum(page.searched_to is not None for page in down)
        last = next((page for page in reversed(down) if page.rows), None)
        if last is not None:
            # Near the top the newest page stands for what is left, so it may show calls again.
            up = [pk for page in walk(wanted, last, "after") for pk in reversed(shown(page))]
            before = expected[: -len(last.rows)][::-1]
            assert [pk for pk in dict.fromkeys(up) if pk in before] == before, wanted
        sizes.add(len(expected))
    assert len(sizes) > 15, "the filters differ"
    assert cut > 10, "some searches ended before their page was full"


def test_sums_are_those_of_the_rows() -> None:
    draw = random.Random(62)
    calls = some_calls(draw)
    quick = 0
    for _ in range(FILTERS):
        wanted = some_filter(draw, calls)
        expected = sums_of(matching(wanted, calls))
        assert wanted.sums() == expected, wanted
        found = wanted.quick_sums()
        assert found in (None, expected), wanted
        quick += found is not None
    assert quick > 5, "some need the roll-up alone"
    wallet_id = calls[0].wallet_id
    taken = Transfer.objects.filter(code=Code.USAGE, wallet=wallet_id).aggregate(all=Sum("amount_nanousd"))
    assert Wanted(wallet_id).sums().charged_nanousd == taken["all"] > 0


def test_a_search_that_ended_says_where_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SCANNED", 2)
    version, key = recorded.model(), recorded.key_of(recorded.person("owner"))
    old = recorded.call(key, version, at=NOW - timedelta(days=3), stream=True)
    for _ in range(2):
        recorded.call(key, version, at=NOW - timedelta(days=1), stream=False)
    wanted = Wanted(key.wallet_id, stream=True)
    page = pages.page(wanted, {"stream": "yes"}, before="", after="")
    yesterday = (NOW - timedelta(days=1)).replace(hour=0, minute=0, second=0)
    assert (page.rows, page.searched_to) == ([], yesterday)
    assert page.older == f"stream=yes&before={call_ids.floor(yesterday)}"
    [further] = walk(wanted, page, "before")
    assert (shown(further), further.searched_to) == ([old.pk], None)


@pytest.mark.parametrize(
    ("wanted", "reads"),
    [
        ({"above_nanousd": 10**12}, ["tokens_dailyusage"]),
        ({"status": "failed", "above_nanousd": 0}, []),
        ({"status": "succeeded", "model_id": 0}, ["tokens_dailyusage"]),
        ({"model_id": 0}, ["logs_call"]),
    ],
)
def test_what_never_was_is_found_out_from_the_roll_up(
    monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], reads: list[str]
) -> None:
    version, key = recorded.model(), recorded.key_of(recorded.person("owner"))
    recorded.call(key, version)
    asked = recorded.statements(monkeypatch)
    with CaptureQueriesContext(connection) as queries:
        page = pages.page(Wanted(key.wallet_id, **wanted), {}, before="", after="")
    assert not page.rows
    assert page.older is None
    found = [query["sql"] for query in queries] + asked
    assert len(found) == len(reads)
    assert all(table in sql for table, sql in zip(reads, found, strict=True))
