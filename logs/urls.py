"""Addresses of the calls, below /logs/."""

from django.urls import path

from logs import views

urlpatterns = [
    path("", views.logs, name="logs"),
    path("<uuid:call_id>/", views.call, name="call"),
]
