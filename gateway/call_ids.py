"""Ids of calls that the gateway lets in without asking: UUIDs of version 7 (RFC 9562), as the metering API gives them."""

import secrets
import time
from datetime import UTC, datetime


def new() -> str:
    """Of this millisecond; the rest is chance."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def time_of(call_id: str) -> datetime:
    """When it was made, to the millisecond, by the clock of whoever made it."""
    return datetime.fromtimestamp(int(call_id.replace("-", "")[:12], 16) / 1000, UTC)
