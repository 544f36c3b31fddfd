"""Where the price list for programs is. Nothing is changed there, so a form's token is asked of nobody."""

from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from pricing import api, price_list

urlpatterns = [
    path("api/models", csrf_exempt(api.models)),
    path("api/model/<path:code>", csrf_exempt(api.model)),
    path("api/pricing", csrf_exempt(price_list.as_json), name="pricing_json"),
    path("api/pricing.csv", csrf_exempt(price_list.as_csv), name="pricing_csv"),
]
