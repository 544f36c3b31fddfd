"""Who may use the metering API: gateways, by a key of their own."""

import threading
import time

from django.utils import timezone

from tokens import keys
from tokens.models import GatewayKey

# A gateway key is looked up once in this time; so long may a revoked one still be good.
REMEMBER_SECONDS = 5.0
LONGEST_KEY = 200

_lock = threading.Lock()
_good_until: dict[bytes, float] = {}


def is_gateway_key(text: str) -> bool:
    """Whether this is the key of a gateway that was not revoked."""
    if not 40 < len(text) <= LONGEST_KEY or not text.isascii():
        return False
    digest = keys.digest(text)
    now = time.monotonic()
    if _good_until.get(digest, 0.0) > now:
        return True
    good = GatewayKey.objects.filter(digest=digest, revoked_at=None).exists()
    with _lock:
        if good:
            _good_until[digest] = now + REMEMBER_SECONDS
        else:
            _good_until.pop(digest, None)
    return good


def revoke(key: GatewayKey) -> bool:
    """No gateway is let in with this key after REMEMBER_SECONDS. False where it was revoked before."""
    return bool(GatewayKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()))


def forget() -> None:
    """Look every gateway key up again."""
    with _lock:
        _good_until.clear()
