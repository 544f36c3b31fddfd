"""The end of a run: what Stripe's transactions still leave open, and our ledger against their sum, to the cent."""

import re

from pricing.money import NANO_PER_CENT, usd
from wallet import clearing
from wallet.models import StripeTransaction
from wallet.reconciliation import accepting
from wallet.reconciliation.booking import in_usd
from wallet.reconciliation.movements import book_transaction
from wallet.reconciliation.report import Report
from wallet.stripe_api import StripeFailed, StripeRefused, listing

# Of those that nothing explained before so many are asked about in a run, those that were not for longest.
MOST_ASKED = 200
PAYMENT = re.compile(r"\bpi_\w+")


def try_again(report: Report) -> None:
    """What was unexplained may be known by now."""
    for row in clearing.to_try_again(MOST_ASKED):
        try:
            booked = book_transaction(listing.balance_transaction(row.pk), report)
        except StripeRefused as error:
            report.differs(
                row.pk, f"Balance transaction {row.pk}, which we have, is not known to Stripe: {error}"
            )
            continue
        except StripeFailed as error:
            report.differs(row.pk, f"Balance transaction {row.pk} is still not explained: {error}")
            continue
        if booked.state == clearing.State.BOOKED:
            report.repaired(f"Balance transaction {row.pk} of {in_usd(row.net_cents)} is explained now.")


def name_unexplained(report: Report) -> int:
    """Each by its payment, where it tells of one; returns what those that staff accepted sum to, in cents."""
    named = []
    for row in clearing.unexplained():
        name, sentence = name_of(row), row.problem
        if name == row.pk:
            amount = in_usd(row.net_cents)
            sentence = f"Balance transaction {row.pk} ({row.type}, {amount}) fits nothing here: {row.problem}"
        report.differs(name, sentence)
        named.append((name, row))
    accepted = accepting.names_accepted(report.run.started_at)
    in_sums = [row for name, row in named if name in accepted and row.currency == clearing.CURRENCY]
    return sum(row.net_cents for row in in_sums)


def name_of(row: StripeTransaction) -> str:
    """What a difference about an unexplained transaction goes by: its payment, or else itself."""
    payment = PAYMENT.search(row.problem)
    return payment[0] if payment else row.pk


def compare_sums(report: Report, accepted_cents: int) -> None:
    """Both sums go into the run; a difference names everything that is known to make one.

    It is accepted where all of it is of transactions that staff accepted.
    """
    found, accepted = clearing.standing(), accepted_cents * NANO_PER_CENT
    run = report.run
    run.clearing_nanousd, run.stripe_nanousd = found.clearing_nanousd, found.stripe_nanousd
    run.in_transit_nanousd = found.in_transit_nanousd
    # What is unexplained lies at Stripe and not in the ledger.
    rest = found.difference_nanousd + accepted
    if not rest and not accepted:
        return
    parts = [
        (found.unexplained_nanousd - accepted, "unexplained transactions make {} of it"),
        (accepted, "accepted transactions make {} of it"),
        (-found.corrections_nanousd, "corrections by staff make {} of it"),
    ]
    known = "; ".join(words.format(usd(-amount)) for amount, words in parts if amount)
    sentence = (
        f"The account stripe_clearing holds {usd(found.clearing_nanousd)}; Stripe's balance transactions sum to"
        f" {usd(found.stripe_nanousd)}, and {usd(found.in_transit_nanousd)} is on its way there:"
        f" {usd(found.difference_nanousd)} too much here{f' ({known})' if known else ''}."
    )
    report.remains(sentence, is_accepted=not rest)
