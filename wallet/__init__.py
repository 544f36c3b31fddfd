"""The money: ledger, grants, holds, top-ups, Stripe's events."""
