"""What this site decides differently from allauth's defaults."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth publishes no types
    def clean_email(self, email: str) -> str:
        return str(super().clean_email(email)).lower()

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        saved: User = super().save_user(request, user, form, commit=False)
        saved.email = saved.email.lower()
        if commit:
            saved.save()
        return saved

    def build_absolute_uri(
        self, request: HttpRequest | None, location: str, protocol: str | None = None
    ) -> str:
        """Links in mails name the configured site, whatever Host header the request carried."""
        return location if location.startswith(("http://", "https://")) else f"{settings.SITE_URL}{location}"

    def render_mail(
        self, template_prefix: str, email: Any, context: dict[str, Any], headers: Any = None
    ) -> Any:
        return super().render_mail(
            template_prefix,
            email,
            {**context, "site_url": settings.SITE_URL, "site_name": settings.SITE_NAME},
            headers,
        )
