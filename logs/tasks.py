"""Celery tasks of the logs; each makes one domain call."""

from celery import shared_task

from logs import partitions, price_imports, rises


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
