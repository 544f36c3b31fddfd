"""Who may ask the account API, what a question may say, and the form of its answers."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from logs.export_places import RETRY_AFTER_S
from tokens.bearing import Asks, plain_error
from tokens.models import ApiKey

LARGEST_ID = 2**63 - 1
LAST_SECOND = 32_503_680_000  # of the year 3000; above it lie milliseconds
PAGE_SIZE, LARGEST_PAGE = 20, 100
# A page further back costs more than it is worth; a narrower time shows the same rows.
DEEPEST_ROW = 10_000
LONGEST_TEXT = 200

NUMBER = re.compile(r"-?[0-9]{1,20}")
SIZE = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?([eE]\+?[0-9]{1,3})?")

type View = Callable[[HttpRequest, ApiKey], HttpResponseBase]
type Answer = Callable[[HttpRequest], HttpResponseBase]

_account = Asks((ApiKey.Kind.ACCOUNT,), plain_error)


class Unclear(ValueError):
    """The question makes no sense. The text names the parameter."""


def own(view: View) -> Answer:
    """Decorator: a person asks about what is theirs; the view gets their access token and may raise Unclear."""

    @_account
    @functools.wraps(view)
    def checked(request: HttpRequest, token: ApiKey) -> HttpResponseBase:
        if token.disabled_at is not None:
            return _account.failure(403, "token_disabled", "This access token is disabled.")
        if not token.wallet.owner.is_active:
            return _account.failure(403, "account_locked", "This account is locked.")
        try:
            return view(request, token)
        except Unclear as error:
            return _account.failure(400, "unclear", str(error))
        except OperationalError:
            return _account.failure(503, "unavailable", "The answer takes too long. Ask for a shorter time.")

    return checked


def staff(view: View) -> Answer:
    """Decorator: the same for what everybody did. The admin panel shows it to all of the staff, and so does this."""

    @functools.wraps(view)
    def checked(request: HttpRequest, token: ApiKey) -> HttpResponseBase:
        return view(request, token) if is_staff(token) else refuse_stranger()

    return own(checked)


def is_staff(token: ApiKey) -> bool:
    owner = token.wallet.owner
    return owner.is_active and owner.is_staff


def refuse_stranger() -> HttpResponse:
    return _account.failure(403, "staff_only", "Only staff may ask for this.")


def nobody() -> HttpResponse:
    return _account.failure(404, "not_found", "There is nobody of this number.")


def later(status: int, code: str, message: str) -> HttpResponse:
    """A refusal of what can be asked again."""
    response = _account.failure(status, code, message)
    response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def answer(data: Any) -> JsonResponse:
    return JsonResponse({"success": True, "message": "", "data": data})


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are asked for: `size` of them after the first `offset`."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    def answer(self, items: Sequence[Any], total: int) -> JsonResponse:
        return answer({"items": items, "total": total, "page": self.number, "page_size": self.size})


def page(request: HttpRequest) -> Page:
    """The page of `p` and `page_size`, which is cut to LARGEST_PAGE. Raises Unclear beyond DEEPEST_ROW."""
    size = _size(request)
    number = integer(request, "p", least=1, most=LARGEST_ID) or 1
    if number * size > DEEPEST_ROW:
        raise Unclear(
            f"p times page_size may be at most {DEEPEST_ROW:,}. Ask for a shorter time to see what lies further back."
        )
    return Page(number, size)


def _size(request: HttpRequest) -> int:
    told = request.GET.get("page_size", "")
    if not told:
        return PAGE_SIZE
    # However it is written, what is more than a page is a page.
    size = min(float(told), LARGEST_PAGE) if SIZE.fullmatch(told) else 0
    if size < 1 or size != int(size):
        raise Unclear(f"page_size must be a whole number from 1 to {LARGEST_PAGE}.")
    return int(size)


def integer(request: HttpRequest, name: str, *, least: int, most: int) -> int | None:
    """The number in a parameter; None where it is empty. Raises Unclear for what is no number in these bounds."""
    told = request.GET.get(name, "")
    if not told:
        return None
    if not NUMBER.fullmatch(told) or not least <= int(told) <= most:
        bounds = f"from {least} to {most}" if most < LARGEST_ID else f"of at least {least}"
        raise Unclear(f"{name} must be a whole number {bounds}.")
    return int(told)


def text(request: HttpRequest, name: str) -> str:
    """The words in a parameter. Raises Unclear for more of them than any name has."""
    told = request.GET.get(name, "").strip()
    if len(told) > LONGEST_TEXT:
        raise Unclear(f"{name} may have at most {LONGEST_TEXT} characters.")
    return told


def moments(request: HttpRequest, start: str, end: str) -> tuple[datetime | None, datetime | None]:
    """From the first of these Unix times on, up to and with the second: the moment after it. Raises Unclear."""
    first, last = (integer(request, name, least=0, most=LAST_SECOND) for name in (start, end))
    if first is not None and last is not None and last < first:
        raise Unclear(f"{end} lies before {start}.")
    return _moment(first), _moment(None if last is None else min(last + 1, LAST_SECOND))


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
