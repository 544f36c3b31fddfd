"""What this site decides differently from allauth's defaults."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect

from accounts.models import User

LONGEST_ADDRESS = 254


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth publishes no types
    def clean_email(self, email: str) -> str:
        if len(email) > LONGEST_ADDRESS:
            raise ValidationError(f"An e-mail address may have at most {LONGEST_ADDRESS} characters.")
        return str(super().clean_email(email)).lower()

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Of several sign-ups with one address at the same moment the first makes the account; the others are told."""
        saved: User = super().save_user(request, user, form, commit=False)
        if not commit:
            return saved
        try:
            with transaction.atomic():
                saved.save()
        except IntegrityError:
            messages.error(request, "That did not go through. If you have an account already, log in.")
            raise ImmediateHttpResponse(redirect("account_login")) from None
        return saved

    def render_mail(
        self, template_prefix: str, email: Any, context: dict[str, Any], headers: Any = None
    ) -> Any:
        more = {"site_url": settings.SITE_URL, "site_name": settings.SITE_NAME}
        return super().render_mail(template_prefix, email, {**context, **more}, headers)
