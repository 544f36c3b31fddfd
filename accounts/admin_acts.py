"""What staff may do to people: the words of the pages. Who may, and what happens, is in accounts/lockouts.py and
accounts/closing.py.
"""

from typing import Any

from accounts import closing, lockouts
from accounts.acting import Act
from accounts.audit import Instruction
from accounts.models import User


def _lock_out(by: Instruction, person: User, _: dict[str, Any]) -> str:
    lockouts.lock_out(by, person)
    return f"{person} is locked out."


def _reinstate(by: Instruction, person: User, _: dict[str, Any]) -> str:
    lockouts.reinstate(by, person)
    return f"{person} was let in again."


def _close(by: Instruction, person: User, _: dict[str, Any]) -> str:
    closing.close(by, person)
    return f"Account {person.pk} is closed."


def _facts(person: User) -> list[tuple[str, object]]:
    return [
        ("Person", person),
        ("Now", _state(person)),
        ("Staff", "yes" if person.is_staff else "no"),
    ]


def _state(person: User) -> str:
    if person.closed_at is not None:
        return "closed"
    return "may sign in" if person.is_active else "locked out"


def _facts_of_closing(person: User) -> list[tuple[str, object]]:
    """With what is left on the account, and what stands in the way."""
    found = closing.standing(person)
    return [*_facts(person), *found.facts, *(("In the way", each) for each in found.obstacles)]


LOCK_OUT = Act[User](
    title="Lock out",
    button="Lock out",
    path="lock-out",
    explained=lambda: (
        "They are signed out at once and can't sign in, and their keys are answered account_suspended."
        " Calls in flight are still charged."
    ),
    do=_lock_out,
    may=lockouts.may_lock_out,
    is_offered=lambda person: person.is_active,
    facts=_facts,
    is_grave=True,
)
REINSTATE = Act[User](
    title="Reinstate",
    button="Reinstate",
    path="reinstate",
    explained=lambda: "They can sign in again, and their keys work again.",
    do=_reinstate,
    may=lockouts.may_lock_out,
    is_offered=lambda person: not person.is_active and person.closed_at is None,
    facts=_facts,
)
CLOSE = Act[User](
    title="Close the account",
    button="Close the account",
    path="close",
    explained=lambda: (
        "Only on the person's own request, and for good. Their keys stop at once; calls in flight are still charged."
        " Their name, addresses and what their calls tell of them are deleted; payments and calls stay in the books."
        " What they bought has to be given back first."
    ),
    do=_close,
    may=closing.may_close,
    is_offered=lambda person: person.closed_at is None,
    facts=_facts_of_closing,
    is_grave=True,
)
