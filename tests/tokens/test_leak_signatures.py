"""Whose reports of leaked keys count: the signature, and the public keys that it is checked with."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.test import Client
from pytest_django import Settings

from tests.site.test_start import start
from tests.tokens.finder import Finder, finding
from tokens import leaks
from tokens.keys import IssuedKey
from tokens.models import ApiKey

pytestmark = pytest.mark.django_db


def test_without_a_good_signature_nothing_happens(finder: Finder, issued: IssuedKey) -> None:
    body = json.dumps([finding(issued.text)]).encode()
    other = Finder()
    bad = {
        "changed": finder.sign(body + b" "),
        "somebody else's": other.sign(body),
        "no Base64": "§§§",
        "Base64 of nothing": base64.b64encode(b"nothing").decode(),
        "empty": "",
        "long": "A" * 201,
    }
    for name, signature in bad.items():
        assert finder.report(body, **{"Github-Public-Key-Signature": signature}).status_code == 401, name
    for key_id in ("", "x" * 201):
        assert finder.report(body, **{"Github-Public-Key-Identifier": key_id}).status_code == 401
    assert not ApiKey.objects.get().is_revoked
    assert issued.text.encode() not in finder.report(body, **{"Github-Public-Key-Signature": "AAAA"}).content


def test_public_keys_are_kept(finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        assert finder.report([]).status_code == 200
    assert finder.asked == 1
    clock = [leaks._clock()]
    monkeypatch.setattr(leaks, "_clock", lambda: clock[0])
    for _ in range(5):
        # Nobody makes us ask more than once a minute.
        assert finder.report([], **{"Github-Public-Key-Identifier": "made up"}).status_code == 401
    assert finder.asked == 1
    clock[0] += leaks.PAUSE_S
    assert finder.report([], **{"Github-Public-Key-Identifier": "made up"}).status_code == 401
    assert finder.asked == 2
    finder.keys["two"] = ec.generate_private_key(ec.SECP256R1())
    clock[0] += leaks.PAUSE_S
    headers = {
        "Github-Public-Key-Identifier": "two",
        "Github-Public-Key-Signature": finder.sign(b"[]", "two"),
    }
    assert finder.report([], **headers).status_code == 200
    assert finder.asked == 3
    withdrawn = {"Github-Public-Key-Identifier": "one", "Github-Public-Key-Signature": finder.sign(b"[]")}
    finder.keys["one"] = finder.keys["two"]
    assert finder.report([], **withdrawn).status_code == 200
    clock[0] += leaks.FRESH_S
    assert finder.report([], **withdrawn).status_code == 401


def test_while_the_address_does_not_answer(finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    finder.status = 500
    response = finder.report([])
    assert (response.status_code, response["Retry-After"]) == (503, "60")
    finder.status = 200
    assert finder.report([]).status_code == 503, "asked again within the minute"
    leaks.forget()
    assert finder.report([]).status_code == 200
    finder.status = 500
    monkeypatch.setattr(leaks, "FRESH_S", 0.0)
    monkeypatch.setattr(leaks, "PAUSE_S", 0.0)
    assert finder.report([]).status_code == 200, "those of before go on counting"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"[]",
        b'{"public_keys": 1}',
        b'{"public_keys": [{"key": "x", "key_identifier": "one"}]}',
        b"x" * 300_000,
    ],
)
def test_an_answer_that_is_no_list_of_keys(finder: Finder, answer: bytes) -> None:
    finder.answer = answer
    assert finder.report([]).status_code == 503


def test_keys_of_another_kind_count_for_nothing(finder: Finder) -> None:
    good = finder.keys["one"]
    finder.keys = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "one": good,
    }
    assert finder.report([]).status_code == 200
    headers = {
        "Github-Public-Key-Identifier": "p384",
        "Github-Public-Key-Signature": finder.sign(b"[]", "p384"),
    }
    leaks.forget()
    assert finder.report(b"[]", **headers).status_code == 401


def test_production_takes_https_alone() -> None:
    assert (
        start(LEAK_REPORT_KEYS_URL="https://api.github.com/meta/public_keys/secret_scanning").returncode == 0
    )
    done = start(LEAK_REPORT_KEYS_URL="http://api.github.com/")
    assert done.returncode != 0
    assert "LEAK_REPORT_KEYS_URL" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("path", ["/tokens/leaks/", "/tokens/leaks"])
def test_it_is_off_where_the_operator_set_no_address(settings: Settings, path: str) -> None:
    settings.LEAK_REPORT_KEYS_URL = ""
    assert Client().post(path, b"[]", content_type="application/json").status_code == 404
    assert Client().get(path).status_code == 405
