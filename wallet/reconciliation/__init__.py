"""Reconciliation: our tables against what lies at Stripe, object by object, whether or not an event ever came.

`runs.py` owns wallet_reconciliation; `objects.py` compares each kind of object and has what differs booked by the very
functions that events use, so that there is no second way of booking; `ending.py` compares the sums and names what is left;
`subscription.py` looks whether Stripe's events can come here. Nothing here writes a transfer.
"""
