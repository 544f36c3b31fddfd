"""Addresses of the calls, below /logs/."""

from django.urls import path

from logs import export_views, receipt_views, statistics_views, views

urlpatterns = [
    path("", views.logs, name="logs"),
    path("export/", export_views.export, name="export"),
    path("exports/<uuid:export_id>/", export_views.progress, name="export_progress"),
    path("exports/<uuid:export_id>/stop/", export_views.stop, name="export_stop"),
    path("statistics/", statistics_views.statistics_page, name="statistics"),
    path("<uuid:call_id>/", receipt_views.call, name="call"),
    path("<uuid:call_id>/check/", receipt_views.check, name="check_call"),
    path("<uuid:call_id>.json", receipt_views.call_json, name="call_json"),
]
