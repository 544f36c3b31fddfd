"""Mails that could not be sent: tried again ever more rarely, for a day. Owns wallet_unsentmail.

Who has to write marks that by its own rows; here is only what did not work out. What a server answers may hold an address,
so of that only its kind and number are kept.
"""

import datetime
import logging
from collections.abc import Callable
from smtplib import SMTPRecipientsRefused, SMTPResponseException

from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from wallet.models import UnsentMail

logger = logging.getLogger(__name__)

TRIED_FOR = datetime.timedelta(days=1)


def send(name: str, wallet_id: int, write: Callable[[], None]) -> bool:
    """Write the mail that is called `name`; whether it needs no other try, since it is sent or was given up.

    A mail that failed waits for as long again as it has failed for. One at a time for a name, which is up to the caller.
    """
    now = timezone.now()
    before = UnsentMail.objects.filter(pk=name).first()
    if before is not None and now < before.tried_at + (before.tried_at - before.since):
        return False
    try:
        write()
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        return _failed(before or UnsentMail(name=name, wallet_id=wallet_id, since=now, tried_at=now), error)
    if before is not None:
        before.delete()
    return True


def _failed(row: UnsentMail, error: Exception) -> bool:
    row.tried_at, row.problem = timezone.now(), _answer(error)
    row.is_given_up = row.tried_at - row.since > TRIED_FOR
    row.save()
    if row.is_given_up:
        logger.error("%s could not be sent for a day, and is given up: %s", row, row.problem)
    else:
        logger.warning("%s could not be sent, and is tried again: %s", row, row.problem)
    return row.is_given_up


def _answer(error: Exception) -> str:
    codes: list[int] = []
    if isinstance(error, SMTPResponseException):
        codes = [error.smtp_code]
    elif isinstance(error, SMTPRecipientsRefused):
        codes = sorted({code for code, _ in error.recipients.values()})
    return " ".join([type(error).__name__, *map(str, codes)])
