"""What the wallet relies on about Stripe, said once and run against either the stand-in or Stripe itself.

    python -m pytest tests/stripe_sandbox/conformance                            # against the stand-in
    STRIPE_TEST_KEY=sk_test_… python -m pytest tests/stripe_sandbox/conformance  # against Stripe's test mode

**It has only ever been run against the stand-in**: Stripe itself could not be reached where it was written, and no key was
at hand. So what it says of Stripe comes from Stripe's documentation, its OpenAPI description and its library; the first
run with a key is expected to find mistakes, in the stand-in or in a test.

With a key the tests talk to api.stripe.com, in the test mode of the account that the key belongs to; no money moves
there either. They leave customers, sessions and payments of a few dollars behind (their metadata says
`conformance`), and remove the webhook endpoints that they make. The account needs to take cards in US dollars and to
settle in them, and a customer portal that was saved once in its dashboard. What only a person with a browser can
do is skipped, by name. It takes a minute or two, for Stripe's test disputes come some seconds after their payment.

A test that fails there and not here has found a mistake of the stand-in's.
"""
