"""Whether archived months are in their folder: without its setting, or its disk, no archived call is answered for."""

import logging
import os
from pathlib import Path

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
    folder = settings.CALLS_ARCHIVE_DIR
    if not (folder and Path(folder).is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        return "months of calls are archived, but CALLS_ARCHIVE_DIR is not a folder that can be read"
    # One that is lost stops nothing else; where none is there, it is another folder, or its disk is not mounted.
    if not any(month.has_file for month in archived):
        return "months of calls are archived, but CALLS_ARCHIVE_DIR has none of their files"
    return ""


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
