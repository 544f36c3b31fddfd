"""Celery tasks of the accounts; each makes one domain call."""

from celery import shared_task

from accounts import closing


@shared_task
def forget_late() -> None:
    closing.forget_late()
