"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from cometsite import health, views

urlpatterns = [
    path("", views.home, name="home"),
    path("help/", views.help_page, name="help"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/openapi.json", views.openapi, name="openapi"),
    path("api/", views.api_reference, name="api_reference"),
    path("accounts/", include("accounts.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("wallet/", include("wallet.urls")),
    path("tokens/", include("tokens.urls")),
    path("logs/", include("logs.urls")),
    path("", include("tokens.balance_urls")),
    path("", include("logs.account_api.urls")),
    path("", include("pricing.api_urls")),
    path("metering/v1/", include("logs.metering_urls")),
    path("pricing/", include("pricing.urls")),
    path("admin/", admin.site.urls),
]

handler404 = "cometsite.refusing.not_found"
handler500 = "cometsite.views.server_error"
