import signal
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import SECRET, Receiver, Sandbox, payment, until


def delivery(sandbox: Sandbox, event_id: str) -> dict[str, Any]:
    [one] = sandbox.request("GET", f"/_sandbox/events/{event_id}/deliveries").json["deliveries"]
    return dict(one)


def test_an_event_arrives_signed(own: Sandbox, receiver: Receiver) -> None:
    customer = own.client().v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "key-1"})
    until(lambda: receiver.received)
    signature, body = receiver.received[0]
    event = stripe.Webhook.construct_event(body, signature, SECRET)
    assert (event.type, event.livemode, event.api_version) == ("customer.created", False, stripe.api_version)
    assert event.data.object["id"] == customer.id
    assert event.request.idempotency_key == "key-1"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", signature, SECRET)


def test_a_paid_session_tells_the_whole_story(own: Sandbox, receiver: Receiver) -> None:
    session = own.client().v1.checkout.sessions.create(payment())
    own.command(f"sessions/{session.id}/pay", method="declined")
    own.command(f"sessions/{session.id}/pay", method="card")
    until(lambda: len(receiver.received) == 6)
    told = {event["type"]: event["data"]["object"]["status"] for event in receiver.events()}
    assert told == {
        "payment_intent.created": "requires_payment_method",
        "charge.failed": "failed",
        "payment_intent.payment_failed": "requires_payment_method",
        "charge.succeeded": "succeeded",
        "payment_intent.succeeded": "succeeded",
        "checkout.session.completed": "complete",
    }
    recorded = own.client().v1.events.list({"types": ["charge.failed", "charge.succeeded"]})
    assert [event.type for event in recorded] == ["charge.succeeded", "charge.failed"]
    assert {event.type for event in own.client().v1.events.list({"type": "charge.*"})} == {
        "charge.succeeded",
        "charge.failed",
    }


@pytest.mark.parametrize("status", [302, 500])
def test_a_failed_delivery_is_tried_again(own: Sandbox, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    own.client().v1.customers.create({})
    [event] = own.client().v1.events.list().data
    until(lambda: delivery(own, event.id)["last_status"] == status)
    assert own.client().v1.events.retrieve(event.id).pending_webhooks == 1
    assert [one.id for one in own.client().v1.events.list({"delivery_success": False})] == [event.id]
    until(lambda: delivery(own, event.id)["state"] == "delivered")
    assert delivery(own, event.id)["attempts"] == 2
    assert [one["id"] for one in receiver.events()] == [event.id] * 2
    assert own.client().v1.events.list({"delivery_success": False}).data == []
    assert own.client().v1.events.retrieve(event.id).pending_webhooks == 0


def test_a_slow_receiver_does_not_hold_up_the_api(own: Sandbox, receiver: Receiver) -> None:
    receiver.hold_s = 0.5
    for _ in range(20):
        own.client().v1.customers.create({})
    # Sent by eight at a time, the twenty need more than a second; the requests have long been answered.
    assert len(receiver.received) < 20
    until(lambda: len(receiver.received) == 20)


def test_webhooks_are_paused_dropped_and_sent_again(own: Sandbox, receiver: Receiver) -> None:
    v1 = own.client().v1
    own.command("webhooks/pause")
    kept = v1.customers.create({}).id
    own.command("webhooks/drop")
    v1.customers.create({})
    own.command("webhooks/deliver")
    last = v1.customers.create({}).id
    until(lambda: len(receiver.received) == 2)
    assert {event["data"]["object"]["id"] for event in receiver.events()} == {kept, last}
    dropped = v1.events.list().data[1]
    assert delivery(own, dropped.id)["state"] == "dropped"
    assert own.command(f"events/{dropped.id}/resend", copies=3) == {"queued": 3}
    until(lambda: [event["id"] for event in receiver.events()].count(dropped.id) == 3)


def test_only_the_events_asked_for_are_sent(own: Sandbox, receiver: Receiver) -> None:
    v1 = own.client().v1
    [configured] = v1.webhook_endpoints.list().data
    v1.webhook_endpoints.update(configured.id, {"enabled_events": ["customer.updated"]})
    customer = v1.customers.create({})
    v1.customers.update(customer.id, {"name": "A"})
    until(lambda: receiver.received)
    v1.webhook_endpoints.update(configured.id, {"disabled": True})
    v1.customers.update(customer.id, {"name": "B"})
    assert [event["type"] for event in receiver.events()] == ["customer.updated"]
    assert [event.pending_webhooks for event in v1.events.list()] == [0, 0, 0]


def test_state_and_undelivered_webhooks_outlive_a_kill(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/pause")
    session = own.client().v1.checkout.sessions.create(payment())
    own.command(f"sessions/{session.id}/pay", method="bank")
    own.stop(signal.SIGKILL)
    own.start()
    assert own.client().v1.checkout.sessions.retrieve(session.id).status == "complete"
    assert len(own.client().v1.webhook_endpoints.list().data) == 1
    assert receiver.received == []
    own.command("webhooks/deliver")
    until(lambda: receiver.events("checkout.session.async_payment_succeeded"))
    [completed] = receiver.events("checkout.session.completed")
    assert completed["data"]["object"]["payment_status"] == "unpaid"


def test_a_restart_points_the_configured_endpoint_elsewhere(own: Sandbox) -> None:
    own.stop()
    own.start("--webhook-url", "http://127.0.0.1:9/elsewhere")
    [endpoint] = own.client().v1.webhook_endpoints.list().data
    assert endpoint.url == "http://127.0.0.1:9/elsewhere"


def test_events_are_forgotten_after_30_days(own: Sandbox) -> None:
    own.client().v1.customers.create({})
    own.command("clock", seconds=30 * 86_400 + 1)
    own.client().v1.customers.create({})
    own.stop()
    own.start()
    until(lambda: len(own.client().v1.events.list().data) == 1)


def test_one_state_has_one_stand_in(own: Sandbox) -> None:
    second = Sandbox(own.data).start()
    assert "Another Stripe sandbox is running" in second.communicate(timeout=10)[1]
    assert second.returncode == 1
