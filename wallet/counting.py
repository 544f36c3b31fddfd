"""How often something happened lately. Kept in the cache: where that is away, nothing is counted and nobody turned away."""

import logging

from django.core.cache import cache

logger = logging.getLogger(__name__)


def count(what: str, *, seconds: int) -> int:
    """One more; how many that makes since the first, which is forgotten after so many seconds."""
    try:
        cache.add(what, 0, timeout=seconds)
        return cache.incr(what)
    except ValueError:
        return 1  # The time ended between the two.
    except Exception as error:
        logger.warning("%s is not counted: %r", what, error)
        return 1


def forget(what: str) -> None:
    """Begin anew."""
    try:
        cache.delete(what)
    except Exception as error:
        logger.warning("%s is not forgotten: %r", what, error)
