"""Ids of calls: UUIDv7, which carry their time in milliseconds, so that they sort by it and bound the months."""

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID

_VERSION_7 = 7 << 76
_VARIANT = 2 << 62


def new(now_ms: int | None = None) -> UUID:
    """A fresh id of now, or of the given Unix time in milliseconds."""
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    noise = secrets.randbits(74)
    return UUID(
        int=(milliseconds << 80) | _VERSION_7 | ((noise >> 62) << 64) | _VARIANT | (noise & ((1 << 62) - 1))
    )


def milliseconds(call_id: UUID) -> int:
    """The Unix time in the id."""
    return call_id.int >> 80


def moment(call_id: UUID) -> datetime:
    return datetime.fromtimestamp(milliseconds(call_id) / 1000, UTC)


def floor(at: datetime) -> UUID:
    """The smallest id of that moment: every call at or after it has a larger one."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)
