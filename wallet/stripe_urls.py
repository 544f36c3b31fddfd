"""Addresses that Stripe posts to, below /wallet/stripe/. Requests come here past everything that pages need."""

from django.urls import path

from wallet import webhook

urlpatterns = [
    path("webhook/", webhook.stripe_webhook, name="stripe_webhook"),
    # Without its last slash too, because a redirect would lose the event.
    path("webhook", webhook.stripe_webhook),
]
