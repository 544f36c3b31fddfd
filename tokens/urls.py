"""Addresses of the keys, below /tokens/."""

from django.urls import path

from tokens import views

urlpatterns = [
    path("", views.tokens, name="tokens"),
    path("<int:key_id>/", views.token, name="token"),
    path("<int:key_id>/rename/", views.rename, name="token_rename"),
    path("<int:key_id>/revoke/", views.revoke, name="token_revoke"),
]
