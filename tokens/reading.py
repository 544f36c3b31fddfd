"""What people type about a key's rules, as values. Pure but for the catalogue; errors are sentences to show.

Everything that is wrong raises ValueError, and names what is: a line by its number, a day that does not exist by its date.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pricing import catalogue

MOST_LINES = 200
LONGEST_ZONE = 64
LATEST_YEAR = 2200
_MOMENT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::[0-9]{2})?)?")
_NUMBER = re.compile(r"[0-9]+")


class NoZone(ValueError):
    """There is no time zone of this name."""


def whole(text: str, *, largest: int) -> int:
    """A whole number from 1 to `largest`; commas between thousands are fine."""
    text = text.replace(",", "")
    if not _NUMBER.fullmatch(text):
        raise ValueError("Write a whole number in digits, or leave it empty for no limit.")
    text = text.lstrip("0")
    if not text:
        raise ValueError("Zero would let nothing through. Leave it empty for no limit, or disable the key.")
    if len(text) > len(str(largest)) or int(text) > largest:
        raise ValueError(f"At most {largest:,}.")
    return int(text)


def moment(text: str, zone_name: str, now: datetime) -> datetime:
    """A time in the future, in UTC: what "2026-12-31 18:00" is in that zone. A day alone ends with its midnight."""
    found = _MOMENT.fullmatch(text.strip())
    if not found:
        raise ValueError("Write the date as 2026-12-31, with a time as 2026-12-31 18:00.")
    at = _in_zone(_local(found), _zone(zone_name))
    if at <= now:
        raise ValueError("That is over already. Choose a time that lies ahead.")
    if at.year > LATEST_YEAR:
        raise ValueError(f"The year {LATEST_YEAR} is the last that can be chosen. Leave it without a date.")
    return at


def _local(found: re.Match[str]) -> datetime:
    year, month, day, hour, minute = (None if part is None else int(part) for part in found.groups())
    assert year is not None
    assert month is not None
    assert day is not None
    try:
        chosen = date(year, month, day)
        return (
            datetime.combine(chosen + timedelta(days=1), time())
            if hour is None
            else datetime.combine(chosen, time(hour, minute or 0))
        )
    except (ValueError, OverflowError):
        raise ValueError(f"{found[0]} does not exist.") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name if 0 < len(name) <= LONGEST_ZONE else "?")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise NoZone("This time zone is not known. Write UTC, or one like Europe/Berlin.") from None


def _in_zone(local: datetime, zone: ZoneInfo) -> datetime:
    try:
        at = local.replace(tzinfo=zone).astimezone(UTC)
        is_there = at.astimezone(zone).replace(tzinfo=None) == local
    except OverflowError:
        raise ValueError("The year is out of reach.") from None
    if not is_there:
        raise ValueError(f"{local:%Y-%m-%d %H:%M} does not exist in {zone.key}: clocks go forward then.")
    return at


def networks(text: str) -> list[str] | None:
    """Ranges of addresses, one a line, each in its one way of writing; None where there is no line."""
    return _each_line(text, _network)


def models(text: str, known: dict[str, int]) -> list[int] | None:
    """The ids of models named one a line: those for sale, and the `known` ones. None where there is no line."""
    names = {model.name: model.id for model in catalogue.sellable()} | known

    def find(name: str) -> int:
        if name in names:
            return names[name]
        raise ValueError(f"there is no model “{name[:100]}” for sale.{_meant(name, names)}")

    return _each_line(text, find)


def _each_line[T: (int, str)](text: str, read: Callable[[str], T]) -> list[T] | None:
    found: dict[T, None] = {}
    for number, line in _lines(text):
        try:
            found[read(line)] = None
        except ValueError as error:
            raise ValueError(f"Line {number}: {error}") from None
    if len(found) > MOST_LINES:
        raise ValueError(f"At most {MOST_LINES} lines.")
    return list(found) or None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if number > 10 * MOST_LINES:
            raise ValueError(f"At most {MOST_LINES} lines.")
        if line.strip():
            yield number, line.strip()


def _meant(name: str, names: Collection[str]) -> str:
    by_letters = {each.casefold(): each for each in names}
    near = difflib.get_close_matches(name[:100].casefold(), by_letters, n=1)
    return f" Did you mean {by_letters[near[0]]}?" if near else ""


def _network(text: str) -> str:
    shown = text[:60]
    if "%" in text:
        raise ValueError(f"“{shown}” names an interface; write the address alone.")
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(
            f"“{shown}” is no address and no range. Write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32."
        ) from None
    network = interface.network
    if interface.ip != network.network_address:
        raise ValueError(
            f"“{shown}” is an address inside a range. Write {network} for the whole range, or {interface.ip} for"
            " this one address."
        )
    return str(_as_ipv4(network) if isinstance(network, ipaddress.IPv6Network) else network)


def _as_ipv4(network: ipaddress.IPv6Network) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """IPv4 addresses that are written as IPv6, as the caller's own address is read too."""
    mapped = network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
