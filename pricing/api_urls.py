"""Where the price list for programs is."""

from django.urls import path

from pricing import api, price_list

urlpatterns = [
    path("api/models", api.models),
    path("api/model/<path:code>", api.model),
    path("api/pricing", price_list.as_json, name="pricing_json"),
    path("api/pricing.csv", price_list.as_csv, name="pricing_csv"),
]
