"""The site: settings, addresses, Celery and the quick start. No app imports it."""

from cometsite.celery import app as celery_app

__all__ = ["celery_app"]
