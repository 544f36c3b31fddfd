"""The door for Stripe's events: who gets in, what is kept, and that nothing sent there breaks it."""

import io
import json
import threading
import time
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client
from stripe import WebhookSignature

from tests.stripe_sandbox.process import SECRET, until
from wallet import events, tasks
from wallet.models import StripeEvent
from wallet.stripe_api import StripeUnavailable

URL = "/wallet/stripe/webhook/"


@pytest.fixture(autouse=True)
def _door(transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    monkeypatch.setattr(tasks, "hint", lambda event_id: None)


def event(**changes: Any) -> dict[str, Any]:
    made = {
        "id": "evt_1",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": {"object": {"id": "cs_1", "object": "checkout.session"}},
    }
    return {**made, **changes}


def signature(body: bytes, *, secret: str = SECRET, shift: int = 0) -> str:
    text = body.decode("utf-8", "surrogateescape")
    at = int(time.time()) + shift
    return str(WebhookSignature.generate_signature_header(text, secret, at))


def send(body: bytes, header: str | None = None, **extra: Any) -> HttpResponse:
    if header is not None:
        extra["HTTP_STRIPE_SIGNATURE"] = header
    answer = Client(enforce_csrf_checks=True).post(URL, body, content_type="application/json", **extra)
    assert isinstance(answer, HttpResponse)
    return answer


def signed(content: Any) -> HttpResponse:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return send(body, signature(body))


def test_a_signed_event_is_kept_once() -> None:
    for _ in range(3):
        assert signed(event()).status_code == 200
    [kept] = StripeEvent.objects.all()
    assert (kept.type, kept.object_id, kept.state, kept.attempts) == (
        "checkout.session.completed",
        "cs_1",
        "pending",
        0,
    )
    assert kept.payload == event()


def test_only_a_new_event_is_put_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(tasks, "hint", told.append)
    for _ in range(3):
        signed(event())
    assert told == ["evt_1"]


BODY = json.dumps(event()).encode()


def headers() -> dict[str, str | None]:
    good = signature(BODY)
    at, v1 = good.split(",")
    return {
        "none": None,
        "empty": "",
        "garbage": "garbage",
        "no time": v1,
        "time is no number": f"t=now,{v1}",
        "v0 only": f"{at},{v1.replace('v1=', 'v0=')}",
        "wrong": f"{at},v1={'0' * 64}",
        "not ascii": f"{at},v1=é",
        "of another body": signature(BODY + b" "),
        "another secret": signature(BODY, secret="whsec_of_somebody"),
        "empty secret": signature(BODY, secret=""),
        "long": "t=1," + "v1=0," * 13_000,
        "301 s old": signature(BODY, shift=-302),
        "a day ahead": signature(BODY, shift=86_400),
        "301 s ahead": signature(BODY, shift=303),
        "two times": f"t={int(time.time())},{signature(BODY, shift=86_400)}",
        "sent twice": f"{good},{good}",
        "sent twice, forged first": f"{at},v1={'0' * 64}, {good}",
        "64 KB": f"{good}," + "v1=0," * 13_000,
        "time in other digits": good.replace("t=1", "t=\u0661"),
        "time before all times": f"t=-{int(time.time())},{v1}",
        "time too long": f"t={'9' * 5000},{v1}",
    }


@pytest.mark.parametrize("name", headers())
def test_a_forged_signature_is_refused(name: str, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert send(BODY, headers()[name]).status_code == 400


@pytest.mark.parametrize("shift", [-297, 297])
def test_clocks_may_differ_by_five_minutes(shift: int) -> None:
    assert send(BODY, signature(BODY, shift=shift)).status_code == 200


@pytest.mark.parametrize("shift", [-301, 301])
def test_a_second_later_it_is_too_late(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replayed later, the same bytes are refused."""
    header, now = signature(BODY), time.time()
    monkeypatch.setattr(time, "time", lambda: now - shift)
    assert send(BODY, header).status_code == 400
    monkeypatch.setattr(time, "time", lambda: now - shift * 0.99)
    assert send(BODY, header).status_code == 200


def test_one_of_two_signatures_is_enough() -> None:
    """While the secret is being changed, Stripe signs with both."""
    at, good = signature(BODY).split(",")
    assert send(BODY, f"{at},v1={'0' * 64},{good}").status_code == 200


@pytest.mark.parametrize("secret", ["", "  "])
def test_a_blank_secret_refuses_everything(settings: Any, secret: str) -> None:
    settings.STRIPE_WEBHOOK_SECRET = secret
    assert send(BODY, signature(BODY, secret=secret)).status_code == 503
    assert not StripeEvent.objects.exists()


ODD_FIELDS: list[dict[str, Any]] = [
    {"id": None},
    {"id": 7},
    {"id": ["evt_1"]},
    {"id": ""},
    {"id": "e" * 129},
    {"id": "evt\x00"},
    {"id": "evt_\ud800"},
    {"type": None},
    {"type": {}},
    {"type": "t" * 5000},
    {"livemode": None},
    {"livemode": "false"},
    {"data": {"object": {"id": "cs_\x00"}}},
    {"data": {"object": {"id": "cs_1", "a\x00b": 1}}},
    {"data": {"amount": float("inf")}},
    {"data": {"amount": float("nan")}},
    {"api_version": "\udfff"},
]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"1",
        b'"text"',
        b"not json",
        b"{",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"id":' + b"9" * 5000 + b"}",
        json.dumps(event(extra=[[[]] * 2])).encode().replace(b"[[", b"[" * 300).replace(b"]]", b"]" * 300),
        json.dumps({"id": "evt_2", "object": "v2.core.event", "type": "x", "livemode": False}).encode(),
        *(json.dumps(event(**change)).encode() for change in ODD_FIELDS),
        BODY.replace(b"false", b"1e400"),
        BODY.replace(b'"cs_1"', b"1e400"),
    ],
)
def test_odd_bodies_that_are_signed_are_refused(body: bytes) -> None:
    assert signed(body).status_code == 400
    assert not StripeEvent.objects.exists()


def test_bytes_that_are_no_text_are_refused() -> None:
    assert send(b"\xff\xfe{}", signature(b"{}")).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"object": None}},
        {"data": {"object": "cs_1"}},
        {"data": {"object": {"id": None}}},
        {"data": {"object": {"id": ["cs_1"]}}},
        {"type": "a.type.of.the.future"},
        {"api_version": None},
        {"api_version": 7},
        {"api_version": "2099-01-01.future" * 5},
        {"previous_attributes": "x" * 500_000},
    ],
)
def test_odd_events_are_kept_and_break_nothing(change: dict[str, Any]) -> None:
    assert signed(event(**change)).status_code == 200
    events.handle("evt_1")
    kept = StripeEvent.objects.get()
    assert kept.state in ("ignored", "parked") or kept.error
    assert kept.attempts == (0 if kept.state == "pending" else 1)  # Stripe away is no failure of the event


def test_the_last_of_two_equal_keys_counts_everywhere() -> None:
    assert signed(BODY.replace(b'"id": "evt_1"', b'"id": "evt_0", "id": "evt_1"')).status_code == 200
    assert StripeEvent.objects.get().payload["id"] == "evt_1"


def could_be() -> str:
    """A signature of these minutes that nobody made."""
    return f"t={int(time.time())},v1={'0' * 64}"


def test_large_bodies_are_refused_by_their_length() -> None:
    assert send(b"x" * 10_000_000, could_be()).status_code == 413
    assert send(b"x" * 10_000_000, "t=1,v1=0").status_code == 400


class Endless(io.RawIOBase):
    """A body that says no length and has no end; counts what was read of it."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        self.count += size
        return b"x" * size


def test_chunked_bodies_are_read_only_so_far() -> None:
    body = Endless()
    extra = {"wsgi.input": body, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert send(b"", could_be(), **extra).status_code == 413
    assert body.count <= 1024 * 1024 + 1


BY_BODY = {"wrong", "of another body", "another secret", "empty secret"}


@pytest.mark.parametrize("name", sorted(headers().keys() - BY_BODY))
def test_of_a_body_whose_signature_can_fit_nothing_no_byte_is_read(name: str) -> None:
    body = Endless()
    extra = {"wsgi.input": body, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert send(b"", headers()[name], **extra).status_code == 400
    assert body.count == 0


def test_a_chunked_event_is_read() -> None:
    extra = {"wsgi.input": io.BytesIO(BODY), "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    assert send(b"", signature(BODY), **extra).status_code == 200


def test_it_never_redirects_and_takes_only_posts() -> None:
    header = {"Stripe-Signature": signature(BODY), "Host": "[::1]:8000"}
    for url in (URL, URL.rstrip("/")):
        answer = Client().post(url, BODY, content_type="application/json", headers=header)
        assert answer.status_code == 200
        assert Client().get(url).status_code == 405


def test_what_could_not_be_stored_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(events, "rows", broken)
    assert signed(event()).status_code == 503
    assert "disk is full" in caplog.text


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The real way to the queue, with a thread and a list of hints of this test's own."""
    monkeypatch.undo()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.STRIPE_WEBHOOK_SECRET", SECRET)
        patch.setattr(tasks, "_next_try_at", 0.0)
        patch.setattr(tasks, "_hints", Queue(maxsize=50))
        patch.setattr(tasks, "_teller", None)
        yield patch


def test_a_broker_that_is_away_does_not_matter(
    queue: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError("no broker")

    queue.setattr(tasks.handle_events, "apply_async", refuse)
    assert [signed(event(id=f"evt_{n}")).status_code for n in range(20)] == [200] * 20
    until(lambda: "periodic job" in caplog.text)
    assert caplog.text.count("periodic job") < 5
    assert StripeEvent.objects.count() == 20


def test_a_broker_that_hangs_keeps_nobody_waiting(queue: pytest.MonkeyPatch) -> None:
    """More than may wait for it are let be: the periodic job finds them."""
    go_on = threading.Event()
    queue.setattr(tasks.handle_events, "apply_async", lambda *_, **__: go_on.wait(20))
    began = time.monotonic()
    assert [signed(event(id=f"evt_{n}")).status_code for n in range(90)] == [200] * 90
    go_on.set()
    assert time.monotonic() - began < 10
    assert StripeEvent.objects.count() == 90


def test_events_that_come_fast_are_told_together_and_each_is_told(queue: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def slow(arguments: tuple[list[str]], **_: Any) -> None:
        time.sleep(0.05)
        told.append(arguments[0])

    queue.setattr(tasks.handle_events, "apply_async", slow)
    for number in range(30):
        signed(event(id=f"evt_{number}"))
    until(lambda: sum(map(len, told)) == 30)
    assert [one for ids in told for one in ids] == [f"evt_{number}" for number in range(30)]
    assert all(len(ids) <= tasks.HINTS_AT_ONCE for ids in told)


def test_a_stripe_that_is_away_leaves_the_rest_to_the_periodic_job(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def handle(event_id: str) -> None:
        tried.append(event_id)
        if event_id != "evt_1":
            raise StripeUnavailable("away")

    monkeypatch.setattr(events, "_handle", handle)
    tasks.handle_events(["evt_1", "evt_2", "evt_3", "evt_4", "evt_5"])
    assert tried == ["evt_1", "evt_2", "evt_3", "evt_4"]
