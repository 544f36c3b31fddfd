"""What a gateway reports of a call: read from JSON strictly, so that nothing ambiguous is ever charged.

A body that can't be read raises MalformedBody (the whole request is refused). One bad call raises BadCall, which names
the field; the other calls of its batch go on.
"""

import functools
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from logs import call_ids
from pricing import rating
from tokens import masking

OLDEST_ID_MS = 35 * 86_400_000
AHEAD_MS = 10 * 60_000
STARTED_WITHIN_MS = 24 * 3_600_000
STATUSES = {"succeeded", "failed"}
UUID_FORM = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
TIME_FORM = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
LARGEST_INT = 2**31 - 1
LARGEST_BIGINT = 2**63 - 1
LONGEST_TEXT = {"endpoint": 200, "upstream_id": 200, "error": 4000}
LONGEST_MODEL = 200


class MalformedBody(Exception):
    """The body is no JSON, or not of the endpoint's form."""


class BadCall(Exception):
    """A call that can't be recorded; `code` is for machines, the text names what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class CallReport:
    """One finished call, checked. Quantities are disjoint and positive: a unit of zero is left out.

    Not frozen, which would cost more than all of its checks.
    """

    call_id: str
    """In lower case."""
    key_id: int
    model: str
    status: str
    started_at: datetime
    usage: dict[str, int]
    latency_ms: int | None
    first_token_ms: int | None
    stream: bool | None
    endpoint: str
    client_ip: str | None
    upstream_id: str
    error: str
    upstream_cost_nanousd: int | None
    is_estimated: bool


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Refused: bad UTF-8, duplicate names, NaN and Infinity, endless numbers, deep nesting."""
    try:
        value = _load(body.decode("utf-8"))
    except RecursionError:
        raise MalformedBody("The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except ValueError as error:
        raise MalformedBody(f"The body is not JSON: {error}") from None
    if type(value) is not dict:
        raise MalformedBody("The body must be a JSON object.")
    return value


def _load(text: str) -> Any:
    read = functools.partial(
        json.loads, text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_inexact
    )
    try:
        return read()
    except ValueError as error:
        if "digits" not in str(error):
            raise
        # Python reads no number of thousands of digits; its call is refused, and the others are not.
        return read(parse_int=lambda digits: int(digits) if len(digits) < 30 else _inexact(digits))


class Inexact(float):
    """A number written with a point or an exponent: never a quantity, whatever its value."""


def _inexact(text: str) -> Inexact:
    return Inexact(text)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def read_call(raw: object, now_ms: float) -> CallReport:
    """The report in one element of `calls`, at this Unix time in milliseconds. Raises BadCall."""
    if type(raw) is not dict:
        raise BadCall("invalid_call", "A call must be a JSON object.")
    call_id = read_call_id(raw.get("call_id"), now_ms)
    status = raw.get("status")
    if type(status) is not str or status not in STATUSES:
        raise BadCall("invalid_field", 'status must be "succeeded" or "failed".')
    # In the order of the fields: naming them here would double the time that this takes.
    return CallReport(
        call_id,
        _key_id(raw.get("token_id")),
        _model(raw.get("model")),
        status,
        _started_at(raw.get("started_at"), call_ids.milliseconds(call_id), now_ms),
        _usage(raw.get("usage")),
        _count(raw, "latency_ms", LARGEST_INT),
        _count(raw, "first_token_ms", LARGEST_INT),
        _yes_or_no(raw, "stream"),
        _text(raw, "endpoint"),
        read_ip(raw.get("client_ip")),
        _text(raw, "upstream_id"),
        _text(raw, "error"),
        _count(raw, "upstream_cost_nanousd", LARGEST_BIGINT),
        _yes_or_no(raw, "estimated") is True,
    )


def read_call_id(value: object, now_ms: float) -> str:
    """A UUIDv7 whose time lies in the last 35 days or at most 10 minutes ahead, in lower case."""
    if type(value) is not str or not UUID_FORM.fullmatch(value):
        raise BadCall("invalid_field", "call_id must be a UUID of version 7.")
    age_ms = now_ms - call_ids.milliseconds(value)
    if age_ms > OLDEST_ID_MS:
        raise BadCall("call_id_too_old", "call_id is older than 35 days; it can't be told from a replay.")
    if age_ms < -AHEAD_MS:
        raise BadCall("call_id_in_future", "call_id lies more than 10 minutes ahead.")
    return value.lower()


def read_ip(value: object) -> str | None:
    if value is None or value == "":
        return None
    try:
        if type(value) is not str or len(value) > 45:
            raise ValueError
        return _ip(value)
    except ValueError:
        raise BadCall("invalid_field", "client_ip must be an IPv4 or IPv6 address.") from None


@functools.lru_cache(maxsize=4096)
def _ip(text: str) -> str:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    # One address has one name, so that a range of IPv4 addresses holds it however it came; and none has an interface,
    # which PostgreSQL's addresses don't know.
    return str(address.ipv4_mapped or ipaddress.IPv6Address(address.packed))


def is_storable(text: str) -> bool:
    """Whether PostgreSQL takes the text: no NUL, no half of a surrogate pair."""
    return (text.isascii() and "\x00" not in text) or not UNSTORABLE.search(text)


def _key_id(value: object) -> int:
    if type(value) is not int or not 0 < value <= LARGEST_BIGINT:
        raise BadCall("invalid_field", "token_id must be the id that authorize gave.")
    return value


def _model(value: object) -> str:
    if type(value) is not str or not 0 < len(value) <= LONGEST_MODEL or not is_storable(value):
        raise BadCall("invalid_field", f"model must be a name of 1 to {LONGEST_MODEL} characters.")
    return value


def _started_at(value: object, id_ms: int, now_ms: float) -> datetime:
    if type(value) is not str or not TIME_FORM.fullmatch(value):
        raise BadCall("invalid_field", "started_at must be an RFC 3339 time with an offset.")
    try:
        started_at = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadCall("invalid_field", "started_at is not a time that exists.") from None
    started_ms = started_at.timestamp() * 1000
    if abs(started_ms - id_ms) > STARTED_WITHIN_MS:
        raise BadCall("invalid_field", "started_at must lie within 24 hours of the time in call_id.")
    if started_ms > now_ms + AHEAD_MS:
        raise BadCall("invalid_field", "started_at lies more than 10 minutes ahead.")
    return started_at


def _usage(value: object) -> dict[str, int]:
    if type(value) is not dict:
        raise BadCall("invalid_field", "usage must be an object of quantities by unit.")
    try:
        for unit, quantity in value.items():
            rating.check_quantity(unit, quantity)
    except rating.RatingError as error:
        raise BadCall(error.code, str(error)) from None
    return {unit: quantity for unit, quantity in value.items() if quantity}


def _count(raw: Mapping[str, Any], name: str, largest: int) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= largest:
        raise BadCall("invalid_field", f"{name} must be an integer from 0 to {largest}.")
    return value


def _yes_or_no(raw: Mapping[str, Any], name: str) -> bool | None:
    value = raw.get(name)
    if value is None or type(value) is bool:
        return value
    raise BadCall("invalid_field", f"{name} must be true or false.")


def _text(raw: Mapping[str, Any], name: str) -> str:
    """Free text from outside: cut, and cleaned of keys and what can't be stored; a finished call isn't refused for it."""
    value = raw.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise BadCall("invalid_field", f"{name} must be text.")
    # Before it is cut, which could leave half a key.
    may_hold_key = "-" in value or "_" in value
    value = (masking.masked(value) if may_hold_key else value)[: LONGEST_TEXT[name]]
    return value if value.isascii() and "\x00" not in value else UNSTORABLE.sub("\ufffd", value)
