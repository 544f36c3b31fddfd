"""Ids of calls: UUIDv7, which carry their time in milliseconds, so that they sort by it and bound the months."""

import functools
import secrets
import time
from datetime import UTC, date, datetime, timedelta
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


def milliseconds(call_id: UUID | str) -> int:
    """The Unix time in the id. As text it has hyphens."""
    return int(call_id[:8] + call_id[9:13], 16) if isinstance(call_id, str) else call_id.int >> 80


def moment(call_id: UUID | str) -> datetime:
    return datetime.fromtimestamp(milliseconds(call_id) / 1000, UTC)


def hour(call_id: str) -> int:
    """The UTC hour of the id, counted from 1970."""
    return int(call_id[:8] + call_id[9:13], 16) // 3_600_000


def day(call_id: UUID | str) -> date:
    """The UTC day of the id."""
    return _day(milliseconds(call_id) // 86_400_000)


@functools.lru_cache(maxsize=64)
def _day(since_1970: int) -> date:
    return date(1970, 1, 1) + timedelta(days=since_1970)


def floor(at: datetime) -> UUID:
    """The smallest id of that moment: every call at or after it has a larger one."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)
