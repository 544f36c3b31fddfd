"""A local stand-in for Stripe: its HTTP API, a page to pay on, and signed webhooks. No money moves.

A process of its own (`python -m stripe_sandbox`), reached over HTTP only and never imported by the product.
It uses nothing beyond the standard library.
"""

# The version that the stripe library 16.1.0 sends; objects are rendered in this one and no other.
API_VERSION = "2026-10-28.endive"
