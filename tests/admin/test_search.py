"""What staff have in hand - an address, a key's prefix, an id of ours or of Stripe's - finds its rows."""

import pytest
from django.test import Client

from logs.models import Call, RejectedCall
from tests.admin.conftest import World
from wallet.models import Hold


def found(desk: Client, model: str, term: object) -> list[str]:
    answer = desk.get(f"/admin/{model}/", {"q": str(term)}, follow=True)
    assert answer.status_code == 200
    return [str(row.pk) for row in answer.context["cl"].result_list]


@pytest.mark.parametrize("term", ["alice@example.com", "ALICE@Example.com", "alice@", "alice"])
def test_people_by_address(world: World, desk: Client, term: str) -> None:
    assert found(desk, "accounts/user", term) == [str(world.alice.pk)]


@pytest.mark.parametrize("term", ["alice@example.com", "cus_alice", "cs_test_1", "pi_test_1"])
def test_wallets(world: World, desk: Client, term: str) -> None:
    assert found(desk, "wallet/wallet", term) == [str(world.wallet.pk)]
    assert found(desk, "wallet/wallet", world.wallet.pk) == [str(world.wallet.pk)]


@pytest.mark.parametrize("term", ["pi_test_1", "cs_test_1", "top_up:pi_test_1", "top_up:"])
def test_transfers_by_stripe_id_and_reference(world: World, desk: Client, term: str) -> None:
    assert found(desk, "wallet/transfer", term) == [str(world.transfer.pk)]


def test_transfers_by_owner_and_number(world: World, desk: Client) -> None:
    own = set(map(str, world.wallet.transfers.values_list("pk", flat=True)))
    assert len(own) >= 3
    assert set(found(desk, "wallet/transfer", "alice@example.com")) == own
    assert set(found(desk, "wallet/transfer", "cus_alice")) == own
    assert found(desk, "wallet/transfer", world.transfer.pk) == [str(world.transfer.pk)]
    assert found(desk, "wallet/transfer", "charlie@example.com") != []
    assert found(desk, "wallet/transfer", world.top_up.pk) == []


@pytest.mark.parametrize("term", ["alice@example.com", "cs_test_1", "pi_test_1", "cus_alice"])
def test_top_ups(world: World, desk: Client, term: str) -> None:
    assert found(desk, "wallet/topup", term) == [str(world.top_up.pk)]
    assert found(desk, "wallet/topup", world.top_up.pk) == [str(world.top_up.pk)]


@pytest.mark.parametrize("term", ["evt_1", "cs_test_1"])
def test_stripe_events(world: World, desk: Client, term: str) -> None:
    assert found(desk, "wallet/stripeevent", term) == ["evt_1"]


def test_keys_by_prefix_and_owner(world: World, desk: Client) -> None:
    for term in (world.key.prefix, world.key_text, "alice@example.com"):
        assert found(desk, "tokens/apikey", term) == [str(world.key.pk)]
    assert found(desk, "tokens/apikey", "sk-00000000") == []


def test_calls(world: World, desk: Client) -> None:
    every = {str(pk) for pk in Call.objects.values_list("pk", flat=True)}
    assert len(every) == 2
    assert found(desk, "logs/call", world.call_id) == [world.call_id]
    assert found(desk, "logs/call", "chatcmpl-upstream") == [world.call_id]
    for term in ("alice@example.com", world.key.prefix, str(world.wallet.pk)):
        assert set(found(desk, "logs/call", term)) == every
    assert found(desk, "logs/call", "charlie@example.com") == []


def test_calls_of_one_key_and_of_today(world: World, desk: Client) -> None:
    narrowed: dict[str, str | int] = {
        "wallet__id__exact": world.wallet.pk,
        "key__id__exact": world.key.pk,
        "since": "hour",
    }
    answer = desk.get("/admin/logs/call/", {**narrowed, "status__exact": "failed"})
    assert [row.status for row in answer.context["cl"].result_list] == ["failed"]


def test_rejected_calls_and_holds(world: World, desk: Client) -> None:
    rejected = RejectedCall.objects.get()
    assert found(desk, "logs/rejectedcall", rejected.call_id) == [str(rejected.pk)]
    assert found(desk, "logs/rejectedcall", "alice@example.com") == [str(rejected.pk)]
    assert found(desk, "wallet/hold", Hold.objects.get().pk) == [str(Hold.objects.get().pk)]
    assert found(desk, "wallet/hold", "alice@example.com") == [str(Hold.objects.get().pk)]


def test_accounts_and_funds(world: World, desk: Client) -> None:
    assert len(found(desk, "wallet/account", "alice@example.com")) == 2
    assert found(desk, "wallet/funds", "alice@example.com") == [str(world.wallet.pk)]


def test_models_and_their_versions(world: World, desk: Client) -> None:
    assert len(found(desk, "pricing/model", "4o")) == 1
    assert len(found(desk, "pricing/priceversion", "gpt-4o")) == 1


def test_a_percent_sign_is_a_percent_sign(world: World, desk: Client) -> None:
    for model in ("accounts/user", "wallet/transfer", "pricing/model", "wallet/wallet"):
        assert found(desk, model, "%") == []
