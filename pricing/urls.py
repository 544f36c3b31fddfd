"""Addresses of the catalogue, below /pricing/."""

from django.urls import path

from pricing import views

urlpatterns = [
    path("", views.pricing, name="pricing"),
    path("<path:name>/", views.model, name="model"),
]
