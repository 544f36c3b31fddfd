"""What staff may do to people: the words of the pages. Who may, and what happens, is in accounts/lockouts.py."""

from typing import Any

from accounts import lockouts
from accounts.acting import Act
from accounts.audit import Instruction
from accounts.models import User


def _lock_out(by: Instruction, person: User, _: dict[str, Any]) -> str:
    lockouts.lock_out(by, person)
    return f"{person} is locked out."


def _reinstate(by: Instruction, person: User, _: dict[str, Any]) -> str:
    lockouts.reinstate(by, person)
    return f"{person} was let in again."


def _facts(person: User) -> list[tuple[str, object]]:
    return [
        ("Person", person.email),
        ("Now", "may sign in" if person.is_active else "locked out"),
        ("Staff", "yes" if person.is_staff else "no"),
    ]


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
    is_offered=lambda person: not person.is_active,
    facts=_facts,
)
