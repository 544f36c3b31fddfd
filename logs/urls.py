"""Addresses of the calls, below /logs/."""

from django.urls import path

from logs import statistics_views, views

urlpatterns = [
    path("", views.logs, name="logs"),
    path("statistics/", statistics_views.statistics_page, name="statistics"),
    path("<uuid:call_id>/", views.call, name="call"),
]
