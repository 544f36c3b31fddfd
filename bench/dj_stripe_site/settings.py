"""The least that dj-stripe needs, over the same PostgreSQL, with a pool of connections as ours has."""

import os

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "djstripe"]
ROOT_URLCONF = "dj_stripe_site.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PEER_DATABASE"],
        "HOST": os.environ["PEER_DATABASE_HOST"],
        "USER": os.environ["PEER_DATABASE_USER"],
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 16}},
    }
}
USE_TZ = True
STRIPE_TEST_SECRET_KEY = os.environ["PEER_KEY"]
STRIPE_LIVE_MODE = False
STRIPE_API_HOST = os.environ["PEER_STRIPE"]
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
