"""Celery: the queue is a hint. Every job can be found again from a table by the beat entries below."""

import os

from celery import Celery
from celery.schedules import crontab
from celery.signals import worker_init
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cometsite.settings")

app = Celery("cometsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    {
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "visibility_timeout": 300,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
        },
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_publish_retry": False,
        "task_time_limit": 240,
        "task_soft_time_limit": 200,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "timezone": "UTC",
        "beat_schedule": {
            "stripe-events": {"task": "wallet.tasks.handle_pending_events", "schedule": 60.0},
            "open-top-ups": {"task": "wallet.tasks.settle_open_top_ups", "schedule": 60.0},
            "disputes": {"task": "wallet.tasks.look_at_disputes", "schedule": 60.0},
            "open-refunds": {"task": "wallet.tasks.settle_open_refunds", "schedule": 60.0},
            "auto-top-ups": {"task": "wallet.tasks.top_up_automatically", "schedule": 30.0},
            "starter-credit": {"task": "wallet.tasks.grant_missing_starter_credit", "schedule": 60.0},
            "overdue-holds": {"task": "wallet.tasks.expire_holds", "schedule": 60.0},
            "check-what-moved": {"task": "wallet.tasks.check_what_moved", "schedule": 120.0},
            "check-everything": {
                "task": "wallet.tasks.check_everything",
                "schedule": crontab(hour=1, minute=30),
            },
            "reconcile": {"task": "wallet.tasks.reconcile", "schedule": 600.0},
            "closed-accounts": {"task": "accounts.tasks.forget_late", "schedule": 3600.0},
            "notices-of-keys": {"task": "tokens.tasks.tell_owners", "schedule": 30.0},
            "old-hours": {
                "task": "tokens.tasks.forget_old_hours",
                "schedule": crontab(hour=4, minute=20),
            },
            "partitions": {"task": "logs.tasks.make_partitions", "schedule": 3600.0},
            "check-archive": {"task": "logs.tasks.check_archive", "schedule": crontab(hour=2, minute=40)},
            "archive": {"task": "logs.tasks.archive_calls", "schedule": crontab(hour=4, minute=20)},
            "rising-prices": {"task": "logs.tasks.tell_of_rises", "schedule": 60.0},
            "prices": {"task": "logs.tasks.import_prices", "schedule": crontab(hour=3, minute=10)},
        },
    }
)
app.autodiscover_tasks()


@worker_init.connect
def _refuse_to_lose_or_miss_calls(**_: object) -> None:
    from logs.archive import folder
    from wallet import durability

    try:
        durability.require()
        folder.require()
    except ImproperlyConfigured as error:
        # Celery only logs what a receiver raises; this ends the worker.
        raise SystemExit(str(error)) from None
