from django.urls import path, re_path

from logs import metering

urlpatterns = [
    path("authorize", metering.authorize, name="metering_authorize"),
    path("calls", metering.calls, name="metering_calls"),
    path("release", metering.release, name="metering_release"),
    re_path("", metering.unknown, name="metering_unknown"),
]
