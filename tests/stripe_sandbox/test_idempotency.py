import threading
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import Reply, Sandbox, payment, until


def test_the_same_key_gives_the_same_answer(shared: Sandbox) -> None:
    fields = {"name": "Once", "metadata[a]": "1"}
    first = shared.request("POST", "/v1/customers", fields, Idempotency_Key="once")
    second = shared.request("POST", "/v1/customers", fields, Idempotency_Key="once")
    assert first.json == second.json
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    assert "Idempotent-Replayed" not in first.headers


def test_the_key_is_told_in_the_event(client: Any) -> None:
    customer = client.v1.customers.create({}, {"idempotency_key": "told-1"})
    found = [
        event
        for event in client.v1.events.list({"type": "customer.created", "limit": 100}).data
        if event.data.object["id"] == customer.id
    ]
    assert [event.request.idempotency_key for event in found] == ["told-1"]


@pytest.mark.parametrize(
    ("path", "fields"), [("/v1/customers", {"name": "Other"}), ("/v1/customers/cus_no", {"name": "A"})]
)
def test_another_request_under_the_key_is_refused(shared: Sandbox, path: str, fields: dict[str, str]) -> None:
    shared.request("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="taken")
    reply = shared.request("POST", path, fields, Idempotency_Key="taken")
    assert (reply.status, reply.error["type"]) == (400, "idempotency_error")


def test_a_validation_failure_does_not_use_up_the_key(client: Any) -> None:
    options: Any = {"idempotency_key": "mended"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(payment(success_url="no"), options)
    assert client.v1.checkout.sessions.create(payment(), options).status == "open"


def test_a_refusal_of_the_object_is_kept(client: Any) -> None:
    session = client.v1.checkout.sessions.create(payment())
    client.v1.checkout.sessions.expire(session.id)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.checkout.sessions.expire(session.id, {}, {"idempotency_key": "expire-again"})
    assert (caught.value.headers or {})["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["k" * 256, "", "a\tb"])
def test_a_key_is_1_to_255_printable_characters(shared: Sandbox, key: str) -> None:
    reply = shared.request("POST", "/v1/customers", Idempotency_Key=key)
    assert (reply.status, reply.error["type"]) == (400, "idempotency_error")


def create(sandbox: Sandbox, key: str, replies: list[Reply]) -> threading.Thread:
    def work() -> None:
        replies.append(sandbox.request("POST", "/v1/customers", {"name": "A"}, Idempotency_Key=key))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_key_in_use_is_a_conflict(own: Sandbox) -> None:
    """Of two requests one gets as far as the database, which is kept from it until the other was answered."""
    replies: list[Reply] = []
    with own.stalled():
        threads = [create(own, "busy", replies) for _ in range(2)]
        until(lambda: replies)
    for thread in threads:
        thread.join()
    conflict, answer = replies
    assert (conflict.status, conflict.error["code"]) == (409, "idempotency_key_in_use")
    assert answer.status == 200
    assert own.request("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="busy").json == answer.json


def test_parallel_copies_make_one_object(own: Sandbox) -> None:
    replies: list[Reply] = []
    for thread in [create(own, "parallel", replies) for _ in range(10)]:
        thread.join()
    assert {reply.status for reply in replies} <= {200, 409}
    assert len(own.client().v1.customers.list().data) == 1


def test_keys_are_forgotten_after_a_day(own: Sandbox) -> None:
    first = own.request("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="old").json["id"]
    own.stop()
    own.start()
    assert own.request("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="old").json["id"] == first
    own.command("clock", seconds=86_401)
    own.stop()
    own.start()
    until(
        lambda: own.request("POST", "/v1/customers", {"name": "A"}, Idempotency_Key="old").json["id"] != first
    )
