"""A key that stands in an address is taken out of it, and the answer leads nowhere else."""

import pytest
from django.test import Client

TEXT = "sk-" + "a" * 54


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/pricing/", "/pricing/?q=sk-aaaaaaaa"),
        ("//elsewhere.example/", "/%2Felsewhere.example/?q=sk-aaaaaaaa"),
        ("/what?is/", "/what%3Fis/?q=sk-aaaaaaaa"),
        ("/\r\nX: y", "/%0D%0AX:%20y?q=sk-aaaaaaaa"),
    ],
)
def test_the_same_address_on_this_host(path: str, location: str) -> None:
    response = Client().get("/", PATH_INFO=path, QUERY_STRING=f"q={TEXT}")
    assert (response.status_code, response["Location"]) == (302, location)
