"""Celery tasks of the keys; each makes one domain call."""

from celery import shared_task

from tokens import notices


@shared_task
def tell_owners() -> None:
    notices.tell_owners()
