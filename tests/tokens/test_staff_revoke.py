"""Keys that staff revoke: with a reason that the owner reads, once, and only by who may."""

import uuid

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client

from accounts.audit import AlreadySent, Instruction, Refused
from accounts.models import AuditEntry, User
from tokens import keys, notices
from tokens.keys import IssuedKey
from tokens.models import ApiKey, Notice
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db


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
