"""Who gets into the admin panel, through which door, and under which policy."""

import pytest
from django.test import Client

from accounts.models import User

PATHS = [
    "/admin/",
    "/admin/wallet/transfer/",
    "/admin/login/",
    "/admin/search/?s=a",
    "/admin/password_change/",
]


@pytest.mark.parametrize("path", PATHS)
def test_people_who_are_not_staff_get_403(alice: User, client: Client, path: str) -> None:
    client.force_login(alice)
    assert client.get(path, follow=True).status_code == 403
    assert client.post("/admin/login/", {"username": "staff@example.com", "password": "x"}).status_code == 403


def test_strangers_log_in_on_the_sites_own_page(staff: User, client: Client) -> None:
    answer = client.get("/admin/wallet/transfer/?q=x", follow=True)
    path, _ = answer.redirect_chain[-1]
    assert path == "/accounts/login/?next=%2Fadmin%2Fwallet%2Ftransfer%2F%3Fq%3Dx"
    form = {"login": "staff@example.com", "password": "correct horse battery"}
    assert client.post(path, form, follow=True).redirect_chain[-1][0] == "/admin/wallet/transfer/?q=x"


def test_the_panel_itself_takes_no_password(staff: User, client: Client) -> None:
    form = {"username": "staff@example.com", "password": "correct horse battery"}
    answer = client.post("/admin/login/", form)
    assert (answer.status_code, answer["Location"][:16]) == (302, "/accounts/login/")
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_the_door_leads_nowhere_else(desk: Client, elsewhere: str) -> None:
    assert desk.get("/admin/login/", {"next": elsewhere})["Location"] == "/admin/"


def test_staff_go_on_to_where_they_wanted(desk: Client) -> None:
    assert desk.get("/admin/login/", {"next": "/admin/logs/call/"})["Location"] == "/admin/logs/call/"


def test_who_is_locked_out_is_a_stranger(staff: User, desk: Client) -> None:
    User.objects.update(is_active=False)
    assert desk.get("/admin/")["Location"].startswith("/admin/login/")


def test_logging_out(desk: Client) -> None:
    assert desk.get("/admin/logout/").status_code == 405
    assert desk.post("/admin/logout/").status_code == 302
    assert "_auth_user_id" not in desk.session


def test_passwords_are_changed_on_the_sites_own_page(desk: Client) -> None:
    assert desk.get("/admin/password_change/")["Location"] == "/accounts/password/change/"


def test_the_panel_has_a_policy_of_its_own(desk: Client) -> None:
    policy = dict(
        part.strip().split(" ", 1) for part in desk.get("/admin/")["Content-Security-Policy"].split(";")
    )
    assert policy["script-src"] == "'self' 'unsafe-eval'"
    assert policy["style-src"] == "'self'"
    assert policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["default-src"] == "'self'"


@pytest.mark.parametrize("path", ["/", "/help/", "/accounts/login/"])
def test_no_other_page_has_it(client: Client, path: str) -> None:
    assert "unsafe" not in client.get(path)["Content-Security-Policy"]


def test_a_refusal_has_the_sites_policy(alice: User, client: Client) -> None:
    client.force_login(alice)
    assert "unsafe" not in client.get("/admin/", follow=True)["Content-Security-Policy"]
