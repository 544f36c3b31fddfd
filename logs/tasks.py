"""Celery tasks of the logs; each makes one domain call."""

from celery import shared_task

from logs import partitions


@shared_task
def make_partitions() -> None:
    partitions.make_partitions()
