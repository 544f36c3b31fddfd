"""Celery tasks of the logs; each makes one domain call."""

import logging

from celery import shared_task
from django.conf import settings

from logs import archive, invariants, partitions, price_imports, rises
from wallet import alone
from wallet.invariants import run_subject

logger = logging.getLogger(__name__)


@shared_task
def make_partitions() -> None:
    partitions.make_partitions()


@shared_task
def tell_of_rises() -> None:
    rises.note()
    rises.tell()


@shared_task(time_limit=3600, soft_time_limit=3500)
def import_prices() -> None:
    price_imports.run_daily()


@shared_task(time_limit=6 * 3600, soft_time_limit=6 * 3600 - 100)
def check_archive() -> None:
    with alone.at("check-archive") as is_ours:
        if is_ours and archive.has_months():
            run_subject(invariants.ARCHIVED_MONTHS)


@shared_task(time_limit=6 * 3600, soft_time_limit=6 * 3600 - 100)
def archive_calls() -> None:
    if not settings.CALLS_KEPT_MONTHS:
        return
    # Arrow is loaded where there is something to archive only.
    from logs.archive import moving

    try:
        moving.run(logger.info)
    except moving.AlreadyRunning as error:
        logger.info("%s", error)
    except moving.NotArchived as error:
        logger.error("%s", error)
