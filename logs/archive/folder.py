"""Whether archived months are in their folder: without its setting, or its disk, no archived call is answered for."""

import logging
import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError

from logs.archive import months

logger = logging.getLogger(__name__)


def problem() -> str:
    """A sentence; empty where all is well, or no month was archived."""
    archived = months()
    if not archived:
        return ""
    if not is_there():
        return "months of calls are archived, but CALLS_ARCHIVE_DIR is not a folder that can be read"
    # One that is lost stops nothing else; where none is there, it is another folder, or its disk is not mounted.
    if not any(month.has_file for month in archived):
        return "months of calls are archived, but CALLS_ARCHIVE_DIR has none of their files"
    return ""


def is_there() -> bool:
    """Whether the setting names a folder that can be read."""
    folder = settings.CALLS_ARCHIVE_DIR
    # Path.is_dir raises where a mount died.
    return bool(folder) and os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)  # noqa: PTH112


def require() -> None:
    """Stop the start of a process that moves months. Raises ImproperlyConfigured with the sentence."""
    if sentence := _sentence():
        raise ImproperlyConfigured(sentence)


def tell() -> None:
    """Say it in the log where a web server starts, which goes on: calls are charged without the receipts of old ones."""
    if sentence := _sentence():
        logger.critical(sentence)


def _sentence() -> str:
    """A database that does not answer, or lacks migrations, stops nothing."""
    try:
        found = problem()
    except (DatabaseError, InterfaceError):
        logger.warning("The database does not answer; the folder of archived months was not checked.")
        return ""
    return f"{found[0].upper()}{found[1:]}. See docs/retention.md." if found else ""
