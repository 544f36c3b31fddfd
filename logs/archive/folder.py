"""Whether the folder of archived months can be read: without its setting, or its disk, no archived call is answered for."""

import logging
import os
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError

from logs.archive import has_months

logger = logging.getLogger(__name__)


def problem() -> str:
    """A sentence; empty where all is well, or no month was archived."""
    folder = settings.CALLS_ARCHIVE_DIR
    is_there = bool(folder) and Path(folder).is_dir() and os.access(folder, os.R_OK | os.X_OK)
    if is_there or not has_months():
        return ""
    return "months of calls are archived, but CALLS_ARCHIVE_DIR is not a folder that can be read"


def require() -> None:
    """Stop the start of a process that could not read archived months. Raises ImproperlyConfigured with the sentence.

    A database that does not answer, or lacks migrations, stops nothing.
    """
    try:
        sentence = problem()
    except (DatabaseError, InterfaceError):
        logger.warning("The database does not answer; the folder of archived months was not checked.")
        return
    if sentence:
        raise ImproperlyConfigured(f"{sentence[0].upper()}{sentence[1:]}. See docs/retention.md.")
