"""Addresses of the catalogue, below /pricing/."""

from django.urls import path

from pricing import estimate_views, views

urlpatterns = [
    path("", views.pricing, name="pricing"),
    path("estimate/", estimate_views.estimate, name="estimate"),
    path("compare/", estimate_views.compare, name="compare"),
    path("<path:name>/", views.model, name="model"),
]
