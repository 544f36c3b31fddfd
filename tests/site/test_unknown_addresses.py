"""Where nothing is: programs are told in the form of the API that they ask, people get a page."""

from typing import Any

import pytest
from django.test import Client


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("address", ["/v1/chat/completions", "/v1/embeddings", "/v1/nothing"])
def test_who_calls_models_here_is_told_where_they_are_called(
    address: str, method: str, settings: Any
) -> None:
    settings.GATEWAY_BASE_URL = "https://gateway.example"
    client = Client(enforce_csrf_checks=True)
    answer = getattr(client, method)(address)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "not_found"
    assert "https://gateway.example" in error["message"]
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("address", ["/api/nothing", "/api/user/", "/api/usage/nothing", "/user/nothing"])
def test_other_apis_answer_in_their_form(address: str) -> None:
    answer = Client().get(address)
    assert answer.status_code == 404
    assert answer.json() == {"success": False, "message": "There is nothing at this address."}
    assert Client().get("/api/v1/nothing").json()["error"]["code"] == "not_found"


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/nothing", "/apis/", "/v1"])
def test_people_get_a_page(address: str) -> None:
    answer = Client().get(address)
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
