"""Nobody changes the books in the admin panel, and rights are superusers' to give."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import AuditEntry, User
from pricing.models import CustomerGroup, Model
from staff.admin import ReadOnlyAdmin
from tests.admin.conftest import World
from tests.admin.test_pages import address
from tokens.keys import revoke
from tokens.models import ApiKey, GatewayKey

READ_ONLY = {model: page for model, page in admin.site._registry.items() if isinstance(page, ReadOnlyAdmin)}

# By a form of their own (tests/staffing/test_prices.py), which refuses this one for having no reason.
ADDED_WITH_A_REASON = {CustomerGroup}


def contents(model: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{model._meta.db_table}" ORDER BY 1')
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def test_the_books_the_keys_and_the_calls_are_read_only() -> None:
    assert {model._meta.app_label for model in READ_ONLY} == {
        "accounts",
        "wallet",
        "tokens",
        "logs",
        "pricing",
    }
    assert AuditEntry in READ_ONLY
    for app in ("wallet", "tokens", "logs"):
        assert all(model in READ_ONLY for model in admin.site._registry if model._meta.app_label == app)


def test_superusers_may_not_either(world: World, staff: User, rf: RequestFactory) -> None:
    request = rf.get("/admin/")
    request.user = staff
    for model, page in READ_ONLY.items():
        row = model._default_manager.first()
        assert page.has_view_permission(request, row)
        assert page.has_add_permission(request) == (model in ADDED_WITH_A_REASON)
        assert not page.has_change_permission(request, row)
        assert not page.has_delete_permission(request, row)
        assert set(page.get_actions(request)) <= {"revoke"}


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model._meta.label_lower)
def test_posts_are_refused_and_change_nothing(world: World, desk: Client, model: Any) -> None:
    row, before = model._default_manager.first(), contents(model)
    form = {"_save": "Save", "amount_nanousd": "1", "state": "paid", "name": "changed", "revoked_at_0": ""}
    bulk = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    refused = 422 if model in ADDED_WITH_A_REASON else 403
    assert desk.post(address(model, "add"), form).status_code == refused
    for page, data in [
        (address(model, "change", row.pk), form),
        (address(model, "delete", row.pk), {"post": "yes"}),
    ]:
        assert desk.post(page, data).status_code == 403, page
    if model is not GatewayKey:
        assert desk.post(address(model, "changelist"), bulk).status_code == 403
    else:
        assert desk.post(address(model, "changelist"), bulk).status_code in (200, 302)
    assert contents(model) == before


def test_nobody_is_deleted(world: World, desk: Client) -> None:
    answer = desk.post(
        reverse("admin:accounts_user_delete", args=[world.alice.pk]), {"post": "yes"}, follow=True
    )
    assert b"stays in the books" in answer.content
    bulk = {"action": "delete_selected", "_selected_action": [str(world.alice.pk)], "post": "yes"}
    assert desk.post(reverse("admin:accounts_user_changelist"), bulk).status_code == 403
    assert User.objects.filter(pk=world.alice.pk).exists()


def change(client: Client, user: User, **fields: str) -> Any:
    return client.post(reverse("admin:accounts_user_change", args=[user.pk]), {"name": "", **fields})


def test_staff_rename_people_and_lock_nobody_out_by_it(world: World, keeper: User, client: Client) -> None:
    client.force_login(keeper)
    assert change(client, world.alice, name="Alice", is_active="").status_code == 302
    world.alice.refresh_from_db()
    assert (world.alice.name, world.alice.is_active, world.alice.email) == (
        "Alice",
        True,
        "alice@example.com",
    )
    assert LogEntry.objects.get(user=keeper).object_id == str(world.alice.pk)


def test_staff_promote_nobody(world: World, keeper: User, client: Client) -> None:
    client.force_login(keeper)
    rights = {
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "user_permissions": "1",
        "groups": "1",
    }
    assert change(client, world.alice, **rights, email="new@example.com", password="x").status_code == 302
    assert change(client, keeper, **rights).status_code == 403
    for user in (world.alice, keeper):
        hashed, email, permissions = user.password, user.email, user.user_permissions.count()
        user.refresh_from_db()
        assert not user.is_superuser
        assert (user.password, user.email, user.user_permissions.count()) == (hashed, email, permissions)
    assert not world.alice.is_staff


def test_staff_touch_no_other_staff(staff: User, viewer: User, keeper: User, client: Client) -> None:
    client.force_login(keeper)
    for user in (staff, viewer):
        assert change(client, user).status_code == 403
        user.refresh_from_db()
        assert user.is_active


def test_staff_set_no_passwords(world: World, keeper: User, client: Client) -> None:
    client.force_login(keeper)
    page = reverse("admin:auth_user_password_change", args=[world.alice.pk])
    assert client.get(page).status_code == 403
    new = {
        "password1": "another horse battery",
        "password2": "another horse battery",
        "usable_password": "true",
    }
    assert client.post(page, new).status_code == 403
    before = world.alice.password
    world.alice.refresh_from_db()
    assert world.alice.password == before


def test_superusers_give_rights_and_set_passwords(world: World, desk: Client) -> None:
    assert change(desk, world.alice, is_active="on", is_staff="on").status_code == 302
    page = reverse("admin:auth_user_password_change", args=[world.alice.pk])
    new = {
        "password1": "another horse battery",
        "password2": "another horse battery",
        "usable_password": "true",
    }
    assert desk.get(page).status_code == 200
    assert desk.post(page, new).status_code == 302
    world.alice.refresh_from_db()
    assert world.alice.is_staff
    assert world.alice.check_password("another horse battery")


def test_superusers_do_not_demote_themselves(staff: User, desk: Client) -> None:
    answer = change(desk, staff, is_staff="on")
    assert answer.status_code == 200
    assert b"Another superuser has to change this" in answer.content
    staff.refresh_from_db()
    assert staff.is_superuser


def test_staff_without_permission_change_nobody(world: World, viewer: User, client: Client) -> None:
    client.force_login(viewer)
    page = reverse("admin:accounts_user_change", args=[world.alice.pk])
    assert client.get(page).status_code == 200
    assert change(client, world.alice).status_code == 403


def test_gateway_keys_are_revoked(world: World, desk: Client, viewer: User, client: Client) -> None:
    key = GatewayKey.objects.get()
    chosen = {"action": "revoke", "_selected_action": [str(key.pk)]}
    client.force_login(viewer)
    assert client.post(address(GatewayKey, "changelist"), chosen).status_code == 403
    assert GatewayKey.objects.get().revoked_at is None
    assert desk.post(address(GatewayKey, "changelist"), chosen).status_code == 302
    first = GatewayKey.objects.get().revoked_at
    assert first is not None
    assert desk.post(address(GatewayKey, "changelist"), chosen, follow=True).status_code == 200
    assert GatewayKey.objects.get().revoked_at == first
    assert LogEntry.objects.filter(object_id=str(key.pk)).count() == 1


def test_a_revoked_gateway_key_opens_nothing(world: World, desk: Client) -> None:
    from tests.metering.gateway import Gateway
    from tokens import gateways

    desk.post(
        address(GatewayKey, "changelist"),
        {"action": "revoke", "_selected_action": [str(GatewayKey.objects.get().pk)]},
    )
    gateways.forget()
    gateway = Gateway.__new__(Gateway)
    gateway.key, gateway.client = world.gateway_key_text, Client()
    assert gateway.authorize(world.key_text).status_code == 401


def test_a_revoked_api_key_says_so(world: World, desk: Client) -> None:
    revoke(world.key)
    assert b"revoked" in desk.get(address(ApiKey, "change", world.key.pk)).content


def test_models_are_kept_from_sale_and_the_imports_reason_stays(world: World, desk: Client) -> None:
    model = Model.objects.get()
    page = address(Model, "change", model.pk)
    assert desk.post(page, {"unsold_reason": "Import: mine"}).status_code == 200
    assert desk.post(page, {"unsold_reason": " Too slow. ", "name": "other"}).status_code == 302
    model.refresh_from_db()
    assert (model.unsold_reason, model.name) == ("Too slow.", "gpt-4o")
    Model.objects.update(unsold_reason="Import: cannot be expressed")
    desk.post(page, {"unsold_reason": ""})
    assert Model.objects.get().unsold_reason == "Import: cannot be expressed"
