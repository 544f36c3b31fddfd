"""Where the price list for programs is."""

from django.urls import path

from pricing import api

urlpatterns = [
    path("api/models", api.models),
    path("api/model/<path:code>", api.model),
]
