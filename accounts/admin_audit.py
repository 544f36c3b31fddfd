"""The audit trail for staff: everybody on the staff reads it, nobody changes it."""

import re
import uuid

from django.contrib import admin
from django.db.models import Q
from django.urls import NoReverseMatch
from django.utils.html import format_html

from accounts.models import AuditEntry, User
from staff.admin import ReadOnlyAdmin, code, column, link, page_of, pretty

_TARGET = re.compile(r"(user|wallet|transfer) #?([0-9]{1,18})")
_TYPES = {"user": "accounts.user", "wallet": "wallet.wallet", "transfer": "wallet.transfer"}


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "target", "reason")
    list_display_links = ("at",)
    list_select_related = ("actor",)
    linked_by = ("target_type", "target_id", "actor__id__exact")
    search_fields = ("target_id",)
    search_help_text = (
        "E-mail of who did it, or of whose account or wallet it was done to;"
        " or as in: wallet 12, transfer 7, user 3, wallet.grant"
    )
    ordering = ("-id",)
    fields = ("id", "at", "actor_link", "action", "target", "reason_text", "request_text", "explained")

    def matching(self, term: str) -> Q:
        """Exactly what is named; a transfer also where it was corrected or withdrawn."""
        named = _TARGET.fullmatch(term.lower())
        if named:
            found = Q(target_type=_TYPES[named[1]], target_id=named[2])
            return found | Q(details__transfer=int(named[2])) if named[1] == "transfer" else found
        if "@" in term:
            return _of_people(term.lower())
        try:
            return Q(request_id=uuid.UUID(term))
        except ValueError:
            return Q(action=term)

    @column("Actor")
    def actor_link(self, entry: AuditEntry) -> str:
        return link(entry.actor)

    @column("Target")
    def target(self, entry: AuditEntry) -> str:
        text = f"{entry.target_type.rpartition('.')[2]} {entry.target_id}"
        try:
            page = page_of(entry.target_type.replace(".", "_"), entry.target_id)
        except NoReverseMatch:  # a table that went
            return text
        return format_html('<a class="staff-link" href="{}">{}</a>', page, text)

    @column("Reason")
    def reason_text(self, entry: AuditEntry) -> str:
        return code(entry.reason)

    @column("Request")
    def request_text(self, entry: AuditEntry) -> str:
        return code(entry.request_id)

    @column("Details")
    def explained(self, entry: AuditEntry) -> str:
        return pretty(entry.details)


def _of_people(address: str) -> Q:
    """What people with such an address did, and what was done to their accounts or wallets.

    What is done to a transfer of a wallet is written down as done to the wallet, so that is all.
    """
    rows = list(User.objects.filter(email__startswith=address).values_list("pk", "wallets")[:50])
    people = {person for person, _ in rows}
    wallets = [str(wallet) for _, wallet in rows if wallet is not None]
    found = Q(actor__in=people) | Q(target_type="accounts.user", target_id__in=[str(pk) for pk in people])
    return found | Q(target_type="wallet.wallet", target_id__in=wallets)
