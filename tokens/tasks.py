"""Celery tasks of the keys; each makes one domain call."""

from celery import shared_task

from tokens import notices, spending


@shared_task
def tell_owners() -> None:
    notices.tell_owners()


@shared_task
def forget_old_hours() -> None:
    spending.forget_old_hours()
