"""Where clients of other services ask for a balance. Never a redirect: some of them refuse one."""

from django.urls import path

from tokens import balance_api as api

BILLING = [
    ("dashboard/billing/subscription", api.subscription),
    ("dashboard/billing/usage", api.usage),
    ("dashboard/billing/credit_grants", api.credit_grants),
]
urlpatterns = [
    *(path(f"{prefix}{address}", view) for address, view in BILLING for prefix in ("", "v1/")),
    *(path(f"api/usage/token{slash}", api.token_usage) for slash in ("", "/")),
    *(path(f"v1/models{slash}", api.models) for slash in ("", "/")),
    *(path(f"user/quota{slash}", api.quota_by_address) for slash in ("", "/")),
    path("api/v1/key", api.openrouter_key),
    path("api/v1/credits", api.openrouter_credits),
]
