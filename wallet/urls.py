"""Addresses of the wallet, below /wallet/."""

from django.urls import include, path, re_path

from wallet import card_views, views
from wallet.refunds import views as refund_views
from wallet.statements import views as statement_views
from wallet.topups import lookup_views

urlpatterns = [
    path("", views.wallet, name="wallet"),
    path("top-ups/", views.top_up_create, name="top_up_create"),
    path("top-ups/check/", lookup_views.top_up_check, name="top_up_check"),
    path("top-ups/<uuid:top_up_id>/", views.top_up, name="top_up"),
    path("refunds/", refund_views.refund_create, name="refund_create"),
    path("refunds/<uuid:request_id>/", refund_views.refund, name="refund"),
    path("refunds/<uuid:request_id>/cancel/", refund_views.refund_cancel, name="refund_cancel"),
    path("auto-top-up/", card_views.auto_top_up, name="auto_top_up"),
    path("card/", card_views.card, name="card"),
    path("card/<uuid:setup_id>/", card_views.card_saved, name="card_saved"),
    path("portal/", card_views.portal, name="portal"),
    path("statements/", statement_views.statements, name="statements"),
    re_path(
        r"^statements/(?P<month>[^/.]+)\.(?P<kind>pdf|csv)$", statement_views.statement, name="statement"
    ),
    path("stripe/", include("wallet.stripe_urls")),
]
