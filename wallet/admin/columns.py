"""Columns that many lists and pages of the wallet have: an amount, a link, an id, what a state means.

`attribute` names what is shown of a row, through others where it has dots.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from django.utils.text import Truncator

from pricing.money import NANO_PER_CENT, usd
from staff.admin import code, column, link

type Column = Callable[[Any, Any], str]


def dollars(title: str, attribute: str) -> Column:
    """An amount in nano-dollars."""
    return _column(title, attribute, usd)


def cents(title: str, attribute: str) -> Column:
    """An amount in cents, or a dash."""
    return _column(title, attribute, lambda found: "-" if found is None else usd(found * NANO_PER_CENT))


def linked(title: str, attribute: str) -> Column:
    """A link to another row, or a dash."""
    return _column(title, attribute, link)


def coded(title: str, attribute: str) -> Column:
    """An id or a text exactly as it is stored, or a dash."""
    return _column(title, attribute, code)


def briefly(title: str, attribute: str) -> Column:
    """The beginning of a sentence for people, for lists; all of it is on the page of the row."""
    return _column(title, attribute, lambda text: Truncator(text).chars(90) or "-")


def worded(title: str, attribute: str) -> Column:
    """What the choice in this field is called."""
    return _column(title, f"get_{attribute}_display", lambda display: str(display()))


def _column(title: str, attribute: str, shown: Callable[[Any], str]) -> Column:
    read = attrgetter(attribute)

    @column(title)
    def function(page: object, row: object) -> str:
        return shown(read(row))

    return function
