"""A Django site that does nothing but take Stripe's events with dj-stripe. Runs in an environment of its own."""
