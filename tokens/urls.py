"""Addresses of the keys, below /tokens/."""

from django.urls import path

from tokens import act_views, leak_views, views

urlpatterns = [
    path("", views.tokens, name="tokens"),
    path("models/", views.models, name="token_models"),
    # With and without the last slash: a redirect would lose a report's body.
    path("leaks/", leak_views.report, name="leaks"),
    path("leaks", leak_views.report),
    path("<int:key_id>/", views.token, name="token"),
    path("<int:key_id>/disable/", act_views.disable, name="token_disable"),
    path("<int:key_id>/enable/", act_views.enable, name="token_enable"),
    path("<int:key_id>/rotate/", act_views.rotate, name="token_rotate"),
    path("<int:key_id>/end-overlap/", act_views.end_overlap, name="token_end_overlap"),
    path("<int:key_id>/revoke/", act_views.revoke, name="token_revoke"),
]
