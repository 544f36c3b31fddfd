"""People, for staff, and what staff did. Whoever has `accounts.change_user` may rename people, `accounts.lock_out_user`
lock them out, `accounts.close_user` close their accounts; rights are superusers'.

Nobody is deleted here: their wallet has history. Their e-mail address is theirs to change. No page shows a password's
hash. The pages that come with allauth and Django for addresses and groups are taken away or replaced.
"""

from typing import Any

from allauth.account import admin as allauth_admin  # noqa: F401  (registers what is taken away below)
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm

import accounts.admin_audit  # noqa: F401  (registers the audit trail)
from accounts import admin_acts
from accounts.acting import ActingAdmin, button
from accounts.models import User
from staff.admin import column, lines, list_link

admin.site.unregister([EmailAddress, Group])

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class UserForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the checker only
    """Refuses what would lock out the person at the keyboard."""

    acting: User

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.instance.pk == self.acting.pk:
            for name in ("is_staff", "is_superuser"):
                if name in self.changed_data:
                    self.add_error(name, "Another superuser has to change this for you.")
        return cleaned


@admin.register(User)
class UserAdmin(ActingAdmin, DjangoUserAdmin):  # type: ignore[misc, type-arg]  # Django's is generic for the checker only
    actions_detail = ("lock_out", "reinstate", "close")
    lock_out = button(admin_acts.LOCK_OUT)
    reinstate = button(admin_acts.REINSTATE)
    close = button(admin_acts.CLOSE)
    form = UserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("who", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    search_help_text = "E-mail address from its beginning, or a name"
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("who", "name", "is_active", "closed_at")}),
        ("More of them", {"fields": ("date_joined", "last_login", "addresses", "more")}),
        ("Rights", {"fields": RIGHTS}),
    )
    filter_horizontal = ("groups", "user_permissions")

    def matching(self, term: str) -> Q:
        found = Q(email__startswith=term.lower())
        if "@" not in term:
            found |= Q(name__istartswith=term)
        return found | Q(pk=int(term)) if _is_id(term) else found

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Other staff are changed by superusers only, or locking out one's superiors would be a way up.

        Nothing is left to change of an account that is closed.
        """
        if isinstance(obj, User) and obj.closed_at is not None:
            return False
        if request.user.is_superuser:
            return True
        allowed = request.user.is_active and request.user.has_perm("accounts.change_user")
        return allowed and not (isinstance(obj, User) and (obj.is_staff or obj.is_superuser))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        always = ("who", "is_active", "closed_at", "date_joined", "last_login", "addresses", "more")
        return always if request.user.is_superuser else (*always, *RIGHTS)

    def get_form(
        self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)  # a class made for this request
        form.acting = request.user
        return form

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        if not request.user.is_superuser:
            raise PermissionDenied
        response: HttpResponse = super().user_change_password(request, id, form_url)
        return response

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        messages.error(
            request,
            "Nobody is deleted here: what they paid and used stays in the books. Lock them out, or close their"
            " account.",
        )
        return redirect("admin:accounts_user_change", object_id)

    @column("Person")
    def who(self, user: User) -> str:
        return str(user)

    @column("E-mail addresses")
    def addresses(self, user: User) -> str:
        found = EmailAddress.objects.filter(user=user).order_by("-primary", "pk")
        return lines([f"{each.email}, {'verified' if each.verified else 'not verified'}" for each in found])

    @column("Elsewhere")
    def more(self, user: User) -> str:
        found = [
            list_link("wallet_wallet", "Wallet", owner__id__exact=user.pk),
            list_link(
                "accounts_auditentry",
                "What was done to them",
                target_type="accounts.user",
                target_id=user.pk,
            ),
            list_link("accounts_auditentry", "What they did", actor__id__exact=user.pk),
        ]
        if user.closed_at is None:
            page = reverse("admin:auth_user_password_change", args=[user.pk])
            found.append(format_html('<a class="staff-link" href="{}">Set a password (superusers)</a>', page))
        return lines(found)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]  # Unfold publishes no types
    """Sets of permissions, for superusers."""

    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    has_change_permission = has_delete_permission = has_view_permission

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)


def _is_id(term: str) -> bool:
    return term.isascii() and term.isdecimal() and len(term) <= 18
