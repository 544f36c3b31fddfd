"""The end of a run: what Stripe's transactions still leave open, and our ledger against their sum, to the cent."""

import re
from itertools import islice

from pricing.money import NANO_PER_CENT, usd
from wallet import clearing
from wallet.reconciliation.report import Report
from wallet.stripe_api import StripeFailed, StripeRefused, listing

# Of those that nothing explained before, and of credits that Stripe has not booked yet, so many are asked about in a run.
MOST_ASKED = 200
PAYMENT = re.compile(r"\bpi_\w+")


def try_again(report: Report) -> None:
    """What was unexplained may be known by now."""
    for row in clearing.unexplained()[:MOST_ASKED]:
        try:
            booked = clearing.book(listing.balance_transaction(row.pk))
        except StripeRefused as error:
            report.differs(
                row.pk, f"Balance transaction {row.pk}, which we have, is not known to Stripe: {error}"
            )
            continue
        except StripeFailed as error:
            report.differs(row.pk, f"Balance transaction {row.pk} is still not explained: {error}")
            continue
        if booked.state == clearing.State.BOOKED:
            report.repaired(f"Balance transaction {row.pk} of {_cents(row.net_cents)} is explained now.")


def name_unexplained(report: Report) -> None:
    for row in clearing.unexplained():
        payment = PAYMENT.search(row.problem)
        sentence = f"Balance transaction {row.pk} ({row.type}, {_cents(row.net_cents)}) fits nothing here: {row.problem}"
        report.differs(payment[0] if payment else row.pk, sentence)


def look_at_transit(report: Report) -> None:
    """Credits that Stripe has no balance transaction for: paid payments are on their way."""
    for top_up in islice(clearing.in_transit(), MOST_ASKED):
        payment_id = str(top_up.payment_intent_id)
        credited = usd(top_up.received_nanousd + top_up.tax_nanousd)
        try:
            payment = listing.payment(payment_id)
        except (StripeRefused, StripeFailed) as error:
            sentence = f"Top-up {top_up.pk} is credited with {credited}, but its payment could not be looked up: {error}"
            report.differs(payment_id, sentence)
            continue
        if payment is None:
            report.differs(
                payment_id,
                f"Top-up {top_up.pk} is credited with {credited}, but Stripe knows no payment {payment_id}.",
            )
        elif payment.status != "succeeded":
            report.differs(
                payment_id,
                f"Top-up {top_up.pk} is credited with {credited}, but payment {payment_id} is {payment.status} at Stripe.",
            )


def compare_sums(report: Report) -> None:
    """Both sums go into the run; a difference names everything that is known to make one."""
    found = clearing.standing()
    run = report.run
    run.clearing_nanousd, run.stripe_nanousd = found.clearing_nanousd, found.stripe_nanousd
    run.in_transit_nanousd = found.in_transit_nanousd
    if not found.difference_nanousd:
        return
    parts = []
    if found.unexplained_nanousd:
        parts.append(f"unexplained transactions make {usd(-found.unexplained_nanousd)} of it")
    if found.corrections_nanousd:
        parts.append(f"corrections by staff make {usd(found.corrections_nanousd)} of it")
    known = f" ({'; '.join(parts)})" if parts else ""
    report.differs(
        "stripe_clearing",
        f"The account stripe_clearing holds {usd(found.clearing_nanousd)}; Stripe's balance transactions sum to"
        f" {usd(found.stripe_nanousd)}, and {usd(found.in_transit_nanousd)} is on its way there:"
        f" {usd(found.difference_nanousd)} too much here{known}.",
    )


def _cents(cents: int) -> str:
    return usd(cents * NANO_PER_CENT)
