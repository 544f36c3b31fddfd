"""What an account tells the apps above, which it knows nothing of. They answer from what they own.

`account_closing` (person, lock) asks what closing an account would mean. A receiver answers with a Standing, or None. With
`lock` it is asked inside the transaction that closes the account, and its answer must hold until that ends; then it locks
what its answer rests on, but never what calls wait for: a wallet's funds, which admitting one writes, and the row of its
paid account, under which calls are recorded (`ledger.lock`).

`account_closed` (person, addresses) tells, inside that transaction, that the account is closed. A receiver stops what goes
on by itself and deletes what identifies the person; the addresses are those that they had. It is told again, without
addresses, while late calls may still come, so what it does must be safe to repeat.
"""

from dataclasses import dataclass

from django.dispatch import Signal


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left on an account, as (name, text), and the sentences that say why it can't be closed yet."""

    facts: tuple[tuple[str, str], ...] = ()
    obstacles: tuple[str, ...] = ()


account_closing = Signal()
account_closed = Signal()
