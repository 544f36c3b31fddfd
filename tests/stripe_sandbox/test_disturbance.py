"""Webhooks that are lost, doubled, late, overtaken or never generated, on purpose and by a seed."""

from typing import Any

import pytest

from tests.stripe_sandbox.process import Receiver, Sandbox, until


def create(sandbox: Sandbox, count: int) -> list[str]:
    v1 = sandbox.client().v1
    return [v1.customers.create({"name": str(number)}).id for number in range(count)]


def told(receiver: Receiver) -> list[str]:
    """The customers of which webhooks told, in the order of arrival."""
    return [event["data"]["object"]["id"] for event in receiver.events()]


def state(sandbox: Sandbox) -> dict[str, Any]:
    return dict(sandbox.request("GET", "/_sandbox/webhooks").json)


def quiet(sandbox: Sandbox) -> None:
    until(lambda: state(sandbox)["deliveries"]["pending"] == 0)


def newest(sandbox: Sandbox) -> str:
    return str(sandbox.client().v1.events.list({"limit": 1}).data[0].id)


def shuffled(sandbox: Sandbox, receiver: Receiver, seed: str) -> list[int]:
    """Where each of ten webhooks, in the order of arrival, stood in the order of making."""
    sandbox.command("webhooks/pause")
    made = create(sandbox, 10)
    assert sandbox.command("webhooks/shuffle", seed=seed) == {"shuffled": 10}
    receiver.received.clear()
    sandbox.command("webhooks/deliver")
    quiet(sandbox)
    return [made.index(one) for one in told(receiver)]


def test_what_is_queued_is_shuffled_by_a_seed(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/disturb", in_turn="true")
    first = shuffled(own, receiver, "a")
    assert sorted(first) == list(range(10))
    assert first != sorted(first)
    assert shuffled(own, receiver, "a") == first
    assert shuffled(own, receiver, "b") != first


def test_what_is_queued_is_doubled(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/pause")
    made = create(own, 2)
    assert own.command("webhooks/duplicate", copies=2) == {"queued": 4}
    own.command("webhooks/deliver")
    quiet(own)
    assert sorted(told(receiver)) == sorted(made * 3)
    assert len({event["id"] for event in receiver.events()}) == 2


def test_what_is_queued_is_lost_and_what_comes_later_is_not(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/pause")
    create(own, 3)
    assert own.command("webhooks/lose") == {"dropped": 3}
    own.command("webhooks/deliver")
    [last] = create(own, 1)
    quiet(own)
    assert told(receiver) == [last]
    assert state(own)["deliveries"] == {"pending": 0, "delivered": 1, "failed": 0, "dropped": 3}


def test_one_event_is_lost(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/pause")
    [first] = create(own, 1)
    create(own, 1)
    assert own.command(f"events/{newest(own)}/drop") == {"dropped": 1}
    own.command("webhooks/deliver")
    quiet(own)
    assert told(receiver) == [first]


def test_one_event_is_late(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/pause")
    [late] = create(own, 1)
    assert own.command(f"events/{newest(own)}/delay", seconds=3_600) == {"delayed": 1}
    own.command("webhooks/deliver")
    [prompt] = create(own, 1)
    until(lambda: told(receiver) == [prompt])
    own.command("clock", seconds=3_600)
    until(lambda: told(receiver) == [prompt, late])


def test_an_attempt_under_way_that_was_dropped_is_not_repeated(own: Sandbox, receiver: Receiver) -> None:
    receiver.hold_s, receiver.statuses = 0.5, [500]
    create(own, 1)
    event = newest(own)
    own.command(f"events/{event}/drop")
    until(lambda: receiver.received)

    def delivery() -> Any:
        return own.request("GET", f"/_sandbox/events/{event}/deliveries").json["deliveries"][0]

    until(lambda: delivery()["last_status"] == 500)
    assert delivery()["state"] == "dropped"


def fared(sandbox: Sandbox, **shares: Any) -> tuple[list[str], dict[str, int]]:
    """Thirty customers under a disturbance: those of whom an event exists, and how the deliveries ended."""
    sandbox.command("webhooks/disturb", **shares)
    before = state(sandbox)["deliveries"]
    made = create(sandbox, 30)
    quiet(sandbox)
    sandbox.request("DELETE", "/_sandbox/webhooks/disturb")
    listed = sandbox.client().v1.events.list({"limit": 100}).data
    known = {event.data.object["id"] for event in listed}
    after = state(sandbox)["deliveries"]
    return [str(made.index(one)) for one in made if one in known], {
        name: after[name] - before[name] for name in after
    }


def test_a_share_is_lost_doubled_and_late_by_the_seed(own: Sandbox, receiver: Receiver) -> None:
    mixed = {"drop": 20, "duplicate": 30, "copies": 2, "reorder": 50, "reorder_s": "0.2", "seed": "a"}
    _, first = fared(own, **mixed)
    assert 1 <= first["dropped"] <= 15
    assert first["delivered"] > 30 - first["dropped"]
    assert len(receiver.received) == first["delivered"]
    assert fared(own, **mixed)[1] == first
    assert fared(own, **mixed | {"seed": "b"})[1] != first


def test_a_share_of_events_is_never_generated(own: Sandbox, receiver: Receiver) -> None:
    known, ended = fared(own, never=40, seed="a")
    assert 10 <= len(known) <= 25
    assert (ended["delivered"], ended["dropped"]) == (len(known), 0)
    assert len(receiver.received) == len(known)
    assert len(own.client().v1.customers.list({"limit": 100}).data) == 30
    assert fared(own, never=40, seed="a")[0] == known


def test_a_share_is_late(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/disturb", late=100, late_s=600)
    made = create(own, 2)
    own.request("DELETE", "/_sandbox/webhooks/disturb")
    [prompt] = create(own, 1)
    until(lambda: told(receiver) == [prompt])
    own.command("clock", seconds=600)
    until(lambda: sorted(told(receiver)) == sorted([prompt, *made]))


def test_reordered_events_arrive_out_of_order(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/disturb", reorder=100, reorder_s=1, in_turn="true")
    made = create(own, 12)
    quiet(own)
    assert sorted(told(receiver)) == sorted(made)
    assert told(receiver) != made


def test_only_the_kinds_that_are_named_are_disturbed(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/disturb", **{"never": 100, "types[]": "customer.upd*"})
    [made] = create(own, 1)
    own.client().v1.customers.update(made, {"name": "B"})
    assert [event.type for event in own.client().v1.events.list()] == ["customer.created"]
    until(lambda: told(receiver) == [made])


def test_what_is_sent_again_by_hand_goes_undisturbed(own: Sandbox, receiver: Receiver) -> None:
    own.command("webhooks/disturb", drop=100)
    create(own, 1)
    assert state(own)["deliveries"]["dropped"] == 1
    assert own.command(f"events/{newest(own)}/resend", copies=2) == {"queued": 2}
    until(lambda: len(receiver.received) == 2)


def test_a_disturbance_outlives_a_restart(own: Sandbox) -> None:
    own.command("webhooks/disturb", drop=10, seed="kept")
    create(own, 1)
    own.stop()
    own.start()
    shown = state(own)["disturbance"]
    assert (shown["drop"], shown["seed"], shown["seen"]) == (10, "kept", 1)


@pytest.mark.parametrize("fields", [{"drop": 101}, {"drop": "half"}, {"late_s": "x"}, {"lost": 5}])
def test_a_disturbance_that_makes_no_sense_is_refused(shared: Sandbox, fields: dict[str, Any]) -> None:
    assert shared.request("POST", "/_sandbox/webhooks/disturb", fields).status == 400
    assert state(shared)["disturbance"]["drop"] == 0


def test_a_disabled_endpoint_is_seen_and_gets_nothing(own: Sandbox, receiver: Receiver) -> None:
    v1 = own.client().v1
    [endpoint] = v1.webhook_endpoints.list().data
    own.command("webhooks/pause")
    create(own, 1)
    assert v1.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    own.command("webhooks/deliver")
    quiet(own)
    create(own, 1)
    assert state(own)["deliveries"] == {"pending": 0, "delivered": 0, "failed": 0, "dropped": 1}
    assert v1.webhook_endpoints.update(endpoint.id, {"disabled": False}).status == "enabled"
    [last] = create(own, 1)
    until(lambda: told(receiver) == [last])
