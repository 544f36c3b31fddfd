"""Monthly statements: opening balance + movements = closing balance, whatever happened, and for nobody else."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from accounts.models import User
from logs.recording import record
from tests.metering.gateway import call, give, sell
from tests.plugin import CLUSTER
from tokens import keys
from wallet import ledger
from wallet.models import Account, Code, Wallet
from wallet.seals import CLOSED_AFTER
from wallet.statements import months, numbers, pdf, sums, table
from wallet.statements.months import Month
from wallet.statements.sums import Amounts
from wallet.transactions import report_rows
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db

OPENED = datetime(2026, 1, 20, 12, tzinfo=UTC)
IN, OUT = 1, -1
# Which accounts a code moves, and which way: +1 into the wallet.
WAYS = {
    Code.STARTER_GRANT: ("promotional", "promotions", IN),
    Code.TOP_UP: ("paid", "stripe_clearing", IN),
    Code.REFUND: ("paid", "refunds_pending", OUT),
    Code.REFUND_REVERSAL: ("paid", "refunds_pending", IN),
    Code.DISPUTE: ("paid", "disputes", OUT),
    Code.DISPUTE_REVERSAL: ("paid", "disputes", IN),
    Code.TAX: ("paid", "tax_payable", OUT),
    Code.GRANT: ("promotional", "promotions", IN),
    Code.GRANT_VOID: ("promotional", "promotions", OUT),
    Code.CORRECTION: ("promotional", "adjustments", OUT),
}
_numbers = iter(range(10**9))


def moved(
    wallet: Wallet,
    code: Code,
    amount: int,
    at: datetime,
    *,
    kind: str = "",
    reference: str = "",
    calls: int = 1,
) -> None:
    """A transfer of that moment, as it would have been made then. Amounts are nano-dollars."""
    own, house, way = WAYS.get(code, (kind or "paid", "revenue", OUT))
    accounts = [Account.objects.get(wallet=wallet, kind=own).pk, ledger.house_id(house)]
    debit, credit = accounts if way == OUT else accounts[::-1]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO wallet_transfer (created_at, code, reference, debit_account_id, credit_account_id, wallet_id,"
            " amount_nanousd, details) VALUES (%s, %s, %s, %s, %s, %s, %s, jsonb_build_object('calls', %s::int))",
            [at, code, reference or f"{code}:{next(_numbers)}", debit, credit, wallet.pk, amount, calls],
        )


@pytest.fixture
def mine(alice: User) -> Wallet:
    return opened(alice)


def opened(user: User) -> Wallet:
    wallet = wallet_of(user)
    Wallet.objects.filter(pk=wallet.pk).update(created_at=OPENED)
    wallet.refresh_from_db()
    return wallet


@pytest.fixture
def as_alice(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_history(wallet: Wallet) -> None:
    """Two months that can be checked with pencil and paper."""
    moved(wallet, Code.STARTER_GRANT, 100_000_000, at("2026-01-20 12:00:01"))
    moved(wallet, Code.TOP_UP, 10_000_000_000, at("2026-01-25 08:30"), reference="top_up:pi_1")
    # One batch of three calls that both accounts paid for.
    moved(
        wallet,
        Code.USAGE,
        100_000_000,
        at("2026-01-31 23:59:59"),
        kind="promotional",
        reference="usage:a:promotional",
        calls=3,
    )
    moved(wallet, Code.USAGE, 5, at("2026-01-31 23:59:59"), reference="usage:a:paid", calls=3)
    moved(wallet, Code.USAGE, 2_000_000_000, at("2026-02-01 00:00"), reference="usage:b:paid", calls=40)
    moved(wallet, Code.REFUND, 1_000_000_000, at("2026-02-01 10:00"), reference="refund:r1")
    moved(wallet, Code.USAGE, 8_000_000_000, at("2026-02-01 11:00"), reference="usage:c:paid")


def test_two_months_that_a_bookkeeper_can_check(mine: Wallet) -> None:
    """
    | when         | what                    |     given |       bought |      balance |
    |--------------|-------------------------|-----------|--------------|--------------|
    | 20 January   | starter credit          |      0.10 |              |         0.10 |
    | 25 January   | top-up                  |           |        10.00 |        10.10 |
    | 31 January   | 3 calls                 |     -0.10 | -0.000000005 |  9.999999995 |
    | 1 February   | 40 calls                |           |        -2.00 |  7.999999995 |
    |              | refund                  |           |        -1.00 |  6.999999995 |
    |              | 1 call                  |           |        -8.00 | -1.000000005 |
    """
    a_history(mine)
    january, february = numbers.of(mine, Month(2026, 1)), numbers.of(mine, Month(2026, 2))
    assert [(line.code, line.note, line.change, line.after.both_nanousd) for line in january.lines] == [
        (Code.STARTER_GRANT, "", Amounts(100_000_000, 0), 100_000_000),
        (Code.TOP_UP, "", Amounts(0, 10_000_000_000), 10_100_000_000),
        (Code.USAGE, "3 charged calls", Amounts(-100_000_000, -5), 9_999_999_995),
    ]
    assert [(line.code, line.note, line.after.both_nanousd) for line in february.lines] == [
        (Code.USAGE, "40 charged calls", 7_999_999_995),
        (Code.REFUND, "", 6_999_999_995),
        (Code.USAGE, "1 charged call", -1_000_000_005),
    ]
    assert january.ends.opening == Amounts()
    assert january.ends.closing == february.ends.opening == Amounts(0, 9_999_999_995)
    assert february.ends.closing == Amounts(0, -1_000_000_005)
    assert [line.reference for line in (*january.lines, *february.lines)] == [
        "",
        "pi_1",
        "",
        "",
        "r1",
        "",
    ]
    assert february.totals == [("Usage", Amounts(0, -10_000_000_000)), ("Refund", Amounts(0, -1_000_000_000))]


MOVES = st.lists(
    st.tuples(
        st.sampled_from([*WAYS, *[Code.USAGE] * 6]),
        # Some at the very edges of months.
        st.one_of(
            st.integers(0, 100 * 86_400 * 1_000_000),
            st.sampled_from([1, -1, 0]).map(
                lambda less: int((months.read("2026-03").start - OPENED) / timedelta(microseconds=1)) + less
            ),
        ),
        st.integers(1, 10**12),
        st.sampled_from(["promotional", "paid"]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_any_history_closes(moves: list[tuple[Code, int, int, str]], alice: User) -> None:
    with undone():
        wallet = opened(alice)
        changes: list[tuple[datetime, int]] = []
        for code, after, amount, kind in moves:
            when = OPENED + timedelta(microseconds=after)
            moved(wallet, code, amount, when, kind=kind)
            changes.append((when, amount * (WAYS[code][2] if code in WAYS else OUT)))
        ends = {each.month: each for each in numbers.list_of(wallet)}
        for month in map(months.read, ("2026-01", "2026-02", "2026-03", "2026-04", "2026-05")):
            found = numbers.of(wallet, month)
            own = sorted(change for change in changes if month.start <= change[0] < month.end)
            assert found.ends == ends[month]
            assert found.ends.opening.both_nanousd == sum(x for when, x in changes if when < month.start)
            assert found.ends.closing.both_nanousd == sum(x for when, x in changes if when < month.end)
            assert sum(line.change.both_nanousd for line in found.lines) == sum(x for _, x in own)
            others = sorted(x for code, after, x, _ in moves if code != Code.USAGE and in_month(month, after))
            assert (
                sorted(abs(line.change.both_nanousd) for line in found.lines if not line.is_usage) == others
            )
            rows = list(csv.DictReader(io.StringIO(table.written(found))))
            for name in ("promotional", "paid"):
                balances = [Decimal(row[f"{name}_after_usd"]) for row in rows]
                amounts = [Decimal(row[f"{name}_usd"]) for row in rows[:-1]]
                assert sum(amounts) == balances[-1] == balances[-2]
            assert all(
                Decimal(row["balance_after_usd"])
                == Decimal(row["promotional_after_usd"]) + Decimal(row["paid_after_usd"])
                for row in rows
            )
            dates = [datetime.strptime(row["date"], "%Y-%m-%dT%H:%M:%S%z") for row in rows]
            assert dates == sorted(dates)


def in_month(month: Month, after: int) -> bool:
    return month.start <= OPENED + timedelta(microseconds=after) < month.end


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside leaves nothing in the database, and is not remembered."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    cache.clear()


@pytest.mark.parametrize("part", ["line", "closing", "opening"])
def test_one_that_does_not_close_is_refused(
    part: str,
    mine: Wallet,
    as_alice: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    a_history(mine)
    asked = report_rows

    def wrong(sql: str, parameters: object) -> list[tuple[object, ...]]:
        rows = asked(sql, parameters)  # type: ignore[arg-type]  # Passed on as it came.
        if part == "line" and sql == numbers._LINES:
            rows[0] = (*rows[0][:-1], rows[0][-1] + 1)
        elif (part, sql) in (("closing", numbers._FUNDS), ("opening", sums._BY_MONTH)):
            rows = [(*row[:-1], row[-1] + 1) for row in rows]
        return rows

    monkeypatch.setattr(numbers, "report_rows", wrong)
    monkeypatch.setattr(sums, "report_rows", wrong)
    for kind in ("pdf", "csv"):
        response = as_alice.get(f"/wallet/statements/2026-02.{kind}")
        assert response.status_code == 500
        assert "don&#x27;t add up" in response.text or "don't add up" in response.text
    assert f"The statement of wallet {mine.pk} does not close" in caplog.text
    if part != "line":
        assert as_alice.get("/wallet/statements/").status_code == 500


class Reads:
    """How many transfers of the wallet were summed up by month."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.transfers = 0
        monkeypatch.setattr(sums, "report_rows", self._asked)

    def _asked(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        if sql == sums._BY_MONTH:
            [(self.transfers,)] = report_rows(
                "SELECT count(*) FROM wallet_transfer WHERE wallet_id = %(wallet)s AND id > %(known)s",
                parameters,
            )
        return report_rows(sql, parameters)


def test_what_is_settled_is_summed_up_once(mine: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    a_history(mine)
    reads = Reads(monkeypatch)
    first = numbers.list_of(mine)
    assert reads.transfers == 7
    assert numbers.list_of(mine) == first
    assert reads.transfers == 0
    assert numbers.of(mine, Month(2026, 2)).ends == first[-2]
    assert reads.transfers == 0
    now = datetime.now(UTC)
    moved(mine, Code.TOP_UP, 3, now - CLOSED_AFTER + timedelta(minutes=5))
    moved(mine, Code.TOP_UP, 40, now)
    for _ in range(2):
        found = numbers.list_of(mine)
        assert reads.transfers == 2, "what may still change is never remembered"
        assert found[0].closing == Amounts(0, -1_000_000_005 + 43)
    # Booked late, for a time that is settled.
    moved(mine, Code.TOP_UP, 500, at("2026-02-03 00:00"))
    assert numbers.list_of(mine)[-2].closing == Amounts(0, -1_000_000_005 + 500)
    cache.clear()
    assert numbers.list_of(mine)[0].closing == Amounts(0, -1_000_000_005 + 543)


@pytest.mark.parametrize("known", [1, 2**62])
def test_what_is_remembered_of_other_books_is_forgotten(mine: Wallet, known: int) -> None:
    a_history(mine)
    right = numbers.list_of(mine)
    cache.set(f"moved-by-month:{mine.pk}", (known, {(2026, 1): (5, 5)}))
    assert numbers.list_of(mine) == right
    assert numbers.of(mine, Month(2026, 1)).ends == right[-1]


def test_without_a_cache_all_is_summed_up(mine: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    a_history(mine)
    right = numbers.list_of(mine)

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("no cache")

    monkeypatch.setattr(sums, "cache", SimpleNamespace(get=away, set=away))
    assert numbers.list_of(mine) == right


def test_the_list_of_months(mine: Wallet, as_alice: Client) -> None:
    a_history(mine)
    page = as_alice.get("/wallet/statements/").text
    this = months.of(datetime.now(UTC))
    found = re.findall(r'datetime="(\d{4}-\d\d)"', page)
    assert found[0] == str(this)
    assert found[-2:] == ["2026-02", "2026-01"]
    assert len(found) == (this.year - 2026) * 12 + this.number
    assert page.count("so far") == 1
    assert "$9.999999995" in page
    assert "-$1.000000005" in page
    assert 'href="/wallet/statements/2026-02.pdf"' in page
    assert 'href="/wallet/statements/"' in as_alice.get("/wallet/").text


@pytest.mark.parametrize(
    "name",
    ["2026-13.pdf", "2026-00.csv", "2025-12.pdf", "2999-01.pdf", "9999-12.csv", "0000-01.pdf", "2026-1.pdf",
     "２０２６-01.pdf", "x.csv", "2026-01.xml", "2026-01.pdf/", "-.pdf", "2026-01-01.pdf"],
)  # fmt: skip
def test_months_that_are_none_are_not_found(name: str, mine: Wallet, as_alice: Client) -> None:
    assert as_alice.get(f"/wallet/statements/{name}").status_code == 404


def test_they_are_for_their_owner(mine: Wallet, charlie: User) -> None:
    a_history(mine)
    for path in ("", "2026-01.pdf", "2026-01.csv"):
        response = Client().get(f"/wallet/statements/{path}")
        assert response.status_code == 302
        assert response["Location"].startswith("/accounts/login/")
    stranger = Client()
    stranger.force_login(charlie)
    opened(charlie)
    rows = list(csv.reader(io.StringIO(stranger.get("/wallet/statements/2026-01.csv").text)))
    assert [row[1] for row in rows] == ["what", "Opening balance", "Closing balance"]
    assert stranger.post("/wallet/statements/2026-01.csv").status_code == 405


def test_a_month_is_closed_an_hour_after_its_end() -> None:
    january = Month(2026, 1)
    assert not numbers.is_closed(january, at("2026-02-01 00:59:59"))
    assert numbers.is_closed(january, at("2026-02-01 01:00"))


def test_the_month_under_way_says_how_far_it_goes(mine: Wallet, as_alice: Client) -> None:
    a_history(mine)
    this = months.of(datetime.now(UTC))
    response = as_alice.get(f"/wallet/statements/{this}.csv")
    assert f'filename="statement-{this}-so-far.csv"' in response["Content-Disposition"]
    last = list(csv.DictReader(io.StringIO(response.text)))[-1]
    assert last["what"] == "Balance so far"
    assert abs(datetime.fromisoformat(last["date"]) - datetime.now(UTC)) < timedelta(minutes=5)
    text = pages(as_alice.get(f"/wallet/statements/{this}.pdf").content)[0]
    assert "Statement so far" in text
    assert "not closed" in text


def test_as_csv(mine: Wallet, as_alice: Client) -> None:
    a_history(mine)
    moved(mine, Code.GRANT, 1, at("2026-02-03 00:00"), reference="=1+1")
    response = as_alice.get("/wallet/statements/2026-02.csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="statement-2026-02.csv"' in response["Content-Disposition"]
    assert response.text.splitlines() == [
        "date,what,note,reference,promotional_usd,paid_usd,amount_usd,promotional_after_usd,paid_after_usd,balance_after_usd",
        "2026-02-01T00:00:00Z,Opening balance,,,0.000000000,9.999999995,9.999999995,0.000000000,9.999999995,9.999999995",
        (
            "2026-02-01T00:00:00Z,Usage,40 charged calls,,0.000000000,-2.000000000,-2.000000000"
            ",0.000000000,7.999999995,7.999999995"
        ),
        "2026-02-01T10:00:00Z,Refund,,r1,0.000000000,-1.000000000,-1.000000000,0.000000000,6.999999995,6.999999995",
        (
            "2026-02-01T11:00:00Z,Usage,1 charged call,,0.000000000,-8.000000000,-8.000000000"
            ",0.000000000,-1.000000005,-1.000000005"
        ),
        (
            "2026-02-03T00:00:00Z,Credit from us,,'=1+1,0.000000001,0.000000000,0.000000001"
            ",0.000000001,-1.000000005,-1.000000004"
        ),
        "2026-03-01T00:00:00Z,Closing balance,,,,,,0.000000001,-1.000000005,-1.000000004",
    ]


@pytest.mark.parametrize("together", [True, False])
def test_calls_that_cost_are_counted_however_they_were_reported(alice: User, together: bool) -> None:
    """Of four calls one failed, one was free, and one was paid for by given and by bought credit."""
    sell()
    sell("free", {"input_tokens": 0, "output_tokens": 0})
    give(alice, 1_000_000_000)
    give(alice, 7_000_000, "promotional")
    key = keys.issue(wallet_of(alice), "k").key
    calls = [call(key), call(key, status="failed"), call(key, model="free"), call(key)]
    batches = [calls] if together else [[one] for one in calls]
    for batch in batches:
        assert {result.result for result in record(batch)} == {"accepted"}
    lines = numbers.of(wallet_of(alice), months.of(datetime.now(UTC))).lines
    (usage,) = [line for line in lines if line.is_usage]
    assert (usage.note, usage.change) == ("2 charged calls", Amounts(-7_000_000, -5_000_000))


def pages(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


def test_as_pdf(mine: Wallet, as_alice: Client) -> None:
    a_history(mine)
    response = as_alice.get("/wallet/statements/2026-02.pdf")
    assert response["Content-Type"] == "application/pdf"
    (text,) = pages(response.content)
    for part in ("Statement, February 2026", "alice@example.com", "2026-02-01 00:00 to 2026-03-01 00:00 UTC", "Page 1 of 1",
                 "Opening balance", "$9.999999995", "Usage, 40 charged calls", "r1", "-$8.00", "Closing balance",
                 "-$1.000000005"):  # fmt: skip
        assert part in text, part
    assert "refund:" not in text
    assert as_alice.get("/wallet/statements/2026-02.pdf").content == response.content, "the same bytes again"


@pytest.mark.parametrize(("count", "page_count"), [(0, 1), (1, 1), (40, 2), (400, 9)])
def test_a_pdf_of_any_length(count: int, page_count: int, mine: Wallet) -> None:
    for number in range(count):
        moved(
            mine,
            Code.TOP_UP,
            1_000_000_000,
            at("2026-02-01 00:00") + timedelta(minutes=number),
            reference=f"top_up:number-{number:04}",
        )
    found = pages(pdf.written(numbers.of(mine, Month(2026, 2))))
    assert len(found) == page_count
    for number, text in enumerate(found, 1):
        assert f"Page {number} of {page_count}" in text
        assert text.count("Balance after") == bool(count), "each page has the head of the table, once"
    whole = "\n".join(found)
    assert re.findall(r"number-(\d{4})", whole) == [f"{number:04}" for number in range(count)]
    assert ("Nothing moved in this time." in whole) == (not count)


def test_a_pdf_writes_any_address(mine: Wallet) -> None:
    found = numbers.of(mine, Month(2026, 2))
    odd = replace(found, owner="<b>Žluťoučký&amp;测试\u202e@exämple.com" + "x" * 300)
    (text,) = pages(pdf.written(odd))
    assert "[U+6D4B][U+8BD5][U+202E]@exämple.com" in text
    assert "<b>" in text
    assert "&amp;" in text


def test_words_are_broken_where_they_must() -> None:
    for text in ("top_up:pi_" + "W" * 80, "a few words that are wider than the column is", "", "x"):
        lines = pdf.wrapped(text, 100).split("\n")
        assert all(pdf._width(line) <= 100 for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.fixture
def beside(transactional_db: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(CLUSTER.url(str(connection.settings_dict["NAME"])), autocommit=True) as other:
        yield other


def test_it_is_read_in_one_snapshot(
    beside: psycopg.Connection, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer that is committed between the statements of one reading is in none of them."""
    wallet = opened(alice)
    month = months.of(datetime.now(UTC))
    moved(wallet, Code.TOP_UP, 1_000_000_000, datetime.now(UTC))
    asked = report_rows
    own, house = ledger.paid(wallet).pk, ledger.house_id("stripe_clearing")

    def slowly(sql: str, parameters: dict[str, object]) -> list[tuple[object, ...]]:
        rows = asked(sql, parameters)
        beside.execute(
            "INSERT INTO wallet_transfer (code, reference, debit_account_id, credit_account_id, wallet_id, amount_nanousd,"
            " details) VALUES ('top_up', %s, %s, %s, %s, 7, '{}')",
            [f"beside:{next(_numbers)}", house, own, wallet.pk],
        )
        return rows

    monkeypatch.setattr(numbers, "report_rows", slowly)
    assert numbers.of(wallet, month).ends.closing == Amounts(0, 1_000_000_000)
    assert numbers.list_of(wallet)[0].closing == Amounts(0, 1_000_000_014)
