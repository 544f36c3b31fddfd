"""Keys found in public, reported as GitHub's secret scanning does it, and keys that staff revoke: who is told what."""

import base64
import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from pytest_django import Settings

from accounts import closing
from accounts.audit import AlreadySent, Instruction, Refused
from accounts.models import AuditEntry, User
from tests.metering.gateway import Gateway, give, sell
from tests.parallel import at_once
from tests.site.test_start import start
from tokens import keys, leaks, notices
from tokens.keys import IssuedKey, Rules
from tokens.models import ApiKey, Notice
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db
URL = "https://github.example/octocat/hello/blob/1/config.py"


@dataclass
class Finder:
    """Signs reports, and serves its public keys on a port of this machine."""

    keys: dict[str, Any] = field(default_factory=lambda: {"one": ec.generate_private_key(ec.SECP256R1())})
    answer: bytes | None = None
    status: int = 200
    asked: int = 0
    url: str = ""

    def document(self) -> bytes:
        if self.answer is not None:
            return self.answer
        listed = [
            {
                "key_identifier": name,
                "key": key.public_key()
                .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                .decode(),
                "is_current": True,
            }
            for name, key in self.keys.items()
        ]
        return json.dumps({"public_keys": listed}).encode()

    def sign(self, body: bytes, name: str = "one") -> str:
        return base64.b64encode(self.keys[name].sign(body, ec.ECDSA(SHA256()))).decode()

    def report(self, findings: object, **headers: str) -> Any:
        body = findings if isinstance(findings, bytes) else json.dumps(findings).encode()
        sent = {
            "Github-Public-Key-Identifier": "one",
            "Github-Public-Key-Signature": self.sign(body),
            **headers,
        }
        return Client().post("/tokens/leaks/", body, content_type="application/json", headers=sent)

    @contextmanager
    def serving(self) -> Iterator[None]:
        finder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                finder.asked += 1
                body = finder.document()
                self.send_response(finder.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def finder(settings: Settings) -> Iterator[Finder]:
    found = Finder()
    with found.serving():
        settings.LEAK_REPORT_KEYS_URL = found.url
        leaks.forget()
        yield found
    leaks.forget()


def finding(text: str, url: str = URL) -> dict[str, str]:
    return {"token": text, "type": "comet_key", "url": url, "source": "content"}


def labels(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [each["label"] for each in response.json()]


def unknown_text(alice: User) -> str:
    """Of a key's form, checksum and all, but nobody's."""
    return keys.draw(wallet_of(alice), "never stored").text


def test_a_leaked_key_is_revoked_and_its_owner_told(finder: Finder, issued: IssuedKey) -> None:
    response = finder.report([finding(issued.text)])
    assert response.json() == [
        {
            "token_hash": hashlib.sha256(issued.text.encode()).hexdigest(),
            "token_type": "comet_key",
            "label": "true_positive",
        }
    ]
    assert ApiKey.objects.get().is_revoked
    notice = Notice.objects.get()
    assert (notice.ended, notice.hint, notice.url, notice.source) == ("key", issued.key.hint, URL, "content")
    assert notices.tell_owners() == 1
    letter = mail.outbox[0]
    assert letter.to == ["alice@example.com"]
    assert letter.subject.endswith("A key of yours was found in public")
    for text in (issued.key.hint, URL, "“Laptop”", "so we revoked it at once"):
        assert text in letter.body
    assert issued.text not in letter.body
    assert notices.tell_owners() == 0


def test_it_is_refused_at_once(finder: Finder, alice: User) -> None:
    sell()
    gateway, issued = Gateway(), keys.issue(give(alice, 1_000_000_000), "Laptop")
    assert gateway.authorize(issued.text).status_code == 200
    finder.report([finding(issued.text)])
    assert gateway.authorize(issued.text).status_code == 401


def test_the_same_report_again_changes_nothing(finder: Finder, issued: IssuedKey) -> None:
    for _ in range(3):
        assert labels(finder.report([finding(issued.text), finding(issued.text)])) == ["true_positive"] * 2
    assert Notice.objects.count() == 1
    assert labels(finder.report([finding(issued.text, "https://elsewhere.example/")])) == ["true_positive"]
    assert list(Notice.objects.order_by("id").values_list("ended", flat=True)) == ["key", "nothing"]
    assert notices.tell_owners() == 1


def test_a_text_from_before_a_rotation_ends_the_overlap_only(finder: Finder, issued: IssuedKey) -> None:
    new = keys.rotate(issued.key, timedelta(days=7))
    assert labels(finder.report([finding(issued.text)])) == ["true_positive"]
    assert keys.find(issued.text) is None
    assert keys.find(new.text) == ApiKey.objects.get(revoked_at=None)
    notices.tell_owners()
    body = mail.outbox[0].body
    assert issued.key.hint in body
    assert "The new text is not concerned" in body
    assert labels(finder.report([finding(issued.text, "https://elsewhere.example/")])) == ["true_positive"]
    assert Notice.objects.filter(ended="nothing").count() == 1
    assert labels(finder.report([finding(new.text)])) == ["true_positive"]
    assert ApiKey.objects.get().is_revoked


def test_what_is_no_key_of_ours(finder: Finder, issued: IssuedKey, alice: User) -> None:
    wrong = issued.text[:-1] + ("0" if issued.text[-1] != "0" else "1")
    texts = [unknown_text(alice), wrong, "", "x" * 5000, "ключ", "sk-" + "a" * 54, "gw-" + "a" * 48]
    assert labels(finder.report([finding(text) for text in texts])) == ["false_positive"] * len(texts)
    assert not Notice.objects.exists()
    assert not ApiKey.objects.get().is_revoked


def test_every_kind_of_key(finder: Finder, alice: User) -> None:
    issued = [keys.issue(wallet_of(alice), "x", kind) for kind in ApiKey.Kind]
    assert labels(finder.report([finding(each.text) for each in issued])) == ["true_positive"] * 3
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_a_bad_entry_holds_up_no_other(finder: Finder, issued: IssuedKey) -> None:
    bad: list[Any] = [
        None,
        7,
        {},
        {"token": 1, "type": "x"},
        {"token": "\ud800", "type": "x"},
        {"token": "x"},
    ]
    assert labels(finder.report([*bad, {"token": issued.text, "type": "t", "url": None, "source": 5}])) == [
        "true_positive"
    ]
    assert Notice.objects.get().url == ""
    notices.tell_owners()
    assert "was found in public." in mail.outbox[0].body


def test_hostile_places_are_kept_harmlessly(finder: Finder, issued: IssuedKey, signed_in: Client) -> None:
    url = f"javascript:alert(1)\r\nBcc: x@example.com\x00<script>{issued.text}" + "y" * 3000
    assert labels(finder.report([{**finding(issued.text, url), "type": issued.text, "source": issued.text}]))
    kept = Notice.objects.get()
    assert issued.text not in f"{kept.url}{kept.source}"
    assert kept.url.startswith("javascript:alert(1)Bcc: x@example.com<script>sk-…")
    assert len(kept.url) <= 2000
    page = signed_in.get(f"/tokens/{issued.key.pk}/").text
    assert "<script>sk" not in page
    assert 'href="javascript' not in page
    notices.tell_owners()
    assert "\nBcc:" not in mail.outbox[0].body


@pytest.mark.parametrize("body", [b"{}", b"null", b"", b"[", b"\xff\xfe", b"[" * 100_000, b'"x"'])
def test_signed_but_no_list(finder: Finder, body: bytes) -> None:
    assert finder.report(body).status_code == 400


def test_an_empty_list_is_answered_by_one(finder: Finder) -> None:
    assert labels(finder.report([])) == []


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


def test_a_body_that_is_too_large(finder: Finder) -> None:
    assert finder.report(b" " * (1024 * 1024 + 1)).status_code == 413


def test_many_findings_in_one_report(finder: Finder, alice: User) -> None:
    issued = [keys.issue(wallet_of(alice), "x") for _ in range(20)]
    noise = [finding(keys.draw(wallet_of(alice), "x").text) for _ in range(2000)]
    found = labels(finder.report([*noise, *(finding(each.text) for each in issued)]))
    assert found == ["false_positive"] * 2000 + ["true_positive"] * 20


@pytest.mark.parametrize("path", ["/tokens/leaks/", "/tokens/leaks"])
def test_it_is_off_where_the_operator_set_no_address(settings: Settings, path: str) -> None:
    settings.LEAK_REPORT_KEYS_URL = ""
    assert Client().post(path, b"[]", content_type="application/json").status_code == 404
    assert Client().get(path).status_code == 405


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


@pytest.mark.django_db(transaction=True)
def test_of_many_reports_at_once_one_counts(finder: Finder, alice: User) -> None:
    issued = keys.issue(wallet_of(alice), "Laptop")
    answers = at_once(8, lambda _: finder.report([finding(issued.text)]).status_code)
    assert answers == [200] * 8
    assert Notice.objects.count() == 1


def test_a_mail_that_cannot_be_sent_is_sent_later(
    finder: Finder, issued: IssuedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder.report([finding(issued.text)])

    def fail(*_: object) -> int:
        raise OSError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", fail)
        assert notices.tell_owners() == 0
    assert notices.tell_owners() == 1
    assert len(mail.outbox) == 1


def test_a_closed_account_is_not_written_to_and_forgets_where(
    finder: Finder, issued: IssuedKey, alice: User
) -> None:
    finder.report([finding(issued.text)])
    closing.close_own(alice)
    assert notices.tell_owners() == 0
    assert Notice.objects.get().url == ""


def test_a_closed_account_leaves_no_address_and_no_word_at_its_keys(issued: IssuedKey, alice: User) -> None:
    keys.change(
        issued.key, "of a closed account", Rules(notes="on dad's server", networks=["203.0.113.7/32"])
    )
    keys.revoke(issued.key)
    closing.close_own(alice)
    key = ApiKey.objects.get()
    assert (key.notes, key.networks) == ("", None)


def test_production_takes_https_alone() -> None:
    assert (
        start(LEAK_REPORT_KEYS_URL="https://api.github.com/meta/public_keys/secret_scanning").returncode == 0
    )
    done = start(LEAK_REPORT_KEYS_URL="http://api.github.com/")
    assert done.returncode != 0
    assert "LEAK_REPORT_KEYS_URL" in done.stderr.splitlines()[-1]


class TestStaff:
    REASON = "Reported by a partner, ticket 9."

    @pytest.fixture
    def guard(self, db: None) -> User:
        user = User.objects.create_user("guard@example.com", "correct horse battery", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename="revoke_apikey"))
        return user

    def by(self, guard: User, request_id: uuid.UUID | None = None) -> Instruction:
        return Instruction(guard, self.REASON, request_id or uuid.uuid4())

    def test_revoke_with_a_reason_that_the_owner_reads(self, guard: User, issued: IssuedKey) -> None:
        notices.revoke(self.by(guard), issued.key)
        assert ApiKey.objects.get().is_revoked
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target_type, entry.reason) == (
            "tokens.revoke",
            "wallet.wallet",
            self.REASON,
        )
        assert entry.details == {"key": issued.key.pk, "hint": issued.key.hint}
        notices.tell_owners()
        assert self.REASON in mail.outbox[0].body
        assert issued.text not in mail.outbox[0].body

    def test_once_per_form(self, guard: User, issued: IssuedKey, alice: User) -> None:
        form = uuid.uuid4()
        for _ in range(2):
            notices.revoke(self.by(guard, form), issued.key)
        assert (AuditEntry.objects.count(), Notice.objects.count()) == (1, 1)
        with pytest.raises(Refused, match="revoked already"):
            notices.revoke(self.by(guard), issued.key)
        with pytest.raises(AlreadySent):
            notices.revoke(self.by(guard, form), keys.issue(wallet_of(alice), "Other").key)
        assert (AuditEntry.objects.count(), Notice.objects.count()) == (1, 1)

    def test_others_may_not(self, issued: IssuedKey, alice: User) -> None:
        viewer = User.objects.create_user("viewer@example.com", is_staff=True)
        for actor in (viewer, alice):
            with pytest.raises(PermissionDenied):
                notices.revoke(self.by(actor), issued.key)
        assert not ApiKey.objects.get().is_revoked

    def test_the_page_of_the_panel(self, guard: User, issued: IssuedKey, client: Client) -> None:
        client.force_login(guard)
        page = f"/admin/tokens/apikey/{issued.key.pk}/revoke/"
        assert page in client.get(f"/admin/tokens/apikey/{issued.key.pk}/change/").text
        assert "Every call with it is refused at once" in client.get(page).text
        form = {"request_id": str(uuid.uuid4()), "reason": "short"}
        assert client.post(page, {**form, "reason": "x"}).status_code == 422
        for _ in range(2):
            sent = client.post(page, {**form, "reason": self.REASON}, follow=True)
            assert "is revoked. Its owner is told." in sent.text
        assert self.REASON in sent.text
        assert page not in sent.text
        assert Notice.objects.count() == 1

    def test_the_list_is_filtered_by_kind_and_state(
        self, guard: User, issued: IssuedKey, client: Client, alice: User
    ) -> None:
        keys.issue(wallet_of(alice), "Query", ApiKey.Kind.QUERY)
        keys.revoke(keys.issue(wallet_of(alice), "Gone").key)
        client.force_login(guard)

        def listed(**query: str) -> set[str]:
            answer = client.get("/admin/tokens/apikey/", query)
            return {key.name for key in answer.context["cl"].result_list}

        assert listed(state="revoked") == {"Gone"}
        assert listed(state="in_use") == {"Laptop", "Query"}
        assert listed(state="in_use", kind__exact="query") == {"Query"}
        assert listed(state="nonsense") == {"Laptop", "Query", "Gone"}
