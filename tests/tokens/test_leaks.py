"""Keys found in public, reported as GitHub's secret scanning does it: what becomes of them, and who is told."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client

from accounts import closing
from accounts.models import User
from tests.metering.gateway import Gateway, give, sell
from tests.parallel import at_once
from tests.tokens.finder import URL, Finder, finding, labels, unknown_text
from tokens import keys, notices
from tokens.keys import IssuedKey, Rules
from tokens.models import ApiKey, Notice
from wallet.models import UnsentMail
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


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


def test_a_body_that_is_too_large(finder: Finder) -> None:
    assert finder.report(b" " * (1024 * 1024 + 1)).status_code == 413


def test_many_findings_in_one_report(finder: Finder, alice: User) -> None:
    issued = [keys.issue(wallet_of(alice), "x") for _ in range(20)]
    noise = [finding(keys.draw(wallet_of(alice), "x").text) for _ in range(2000)]
    found = labels(finder.report([*noise, *(finding(each.text) for each in issued)]))
    assert found == ["false_positive"] * 2000 + ["true_positive"] * 20


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
        raise RuntimeError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(EmailBackend, "send_messages", fail)
        notices.tell_owners()
    assert Notice.objects.get().told_at is None
    assert UnsentMail.objects.get().problem == "RuntimeError"
    notices.tell_owners()
    assert len(mail.outbox) == 1
    assert (Notice.objects.exclude(told_at=None).count(), UnsentMail.objects.count()) == (1, 0)


def test_a_closed_account_is_not_written_to_and_forgets_where(
    finder: Finder, issued: IssuedKey, alice: User
) -> None:
    finder.report([finding(issued.text)])
    closing.close_own(alice)
    notices.tell_owners()
    assert mail.outbox == []
    assert Notice.objects.get().url == ""


def test_a_closed_account_leaves_no_address_and_no_word_at_its_keys(issued: IssuedKey, alice: User) -> None:
    keys.change(
        issued.key, "of a closed account", Rules(notes="on dad's server", networks=["203.0.113.7/32"])
    )
    keys.revoke(issued.key)
    closing.close_own(alice)
    key = ApiKey.objects.get()
    assert (key.notes, key.networks) == ("", None)
