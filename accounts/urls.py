"""Addresses of the account below /accounts/, besides allauth's own."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("close/", views.close, name="account_close"),
]
