"""Loaded before Django's settings: gives the test run an environment of its own, whatever the shell's is.

The folder's name is fixed here, since the settings read DATABASE_URL when they load; the server in it starts
with the first test that needs a database.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from cometsite.quickstart.postgres import THROW_AWAY, Cluster

FOLDER = Path(tempfile.mkdtemp(prefix="comet-tests-")).resolve()
CLUSTER = Cluster(data=FOLDER / "postgres", sockets=FOLDER / "sockets", options=THROW_AWAY)

ENVIRONMENT = {
    "DEBUG": "true",
    "DATA_DIR": str(FOLDER / "data"),
    "SECRET_KEY": "a-secret-of-the-tests-which-protects-nothing-else",
    "DATABASE_URL": CLUSTER.url("cometsite"),
    "VALKEY_URL": "redis://127.0.0.1:1/0",
    "CELERY_BROKER_URL": "memory://",
    "STRIPE_SECRET_KEY": "sk_test_sandbox_of_the_tests",
    "STRIPE_WEBHOOK_SECRET": "whsec_of_the_tests",
    "STRIPE_API_BASE": "http://127.0.0.1:1",
    "EMAIL_URL": f"file://{FOLDER / 'mail'}",
    "LOG_LEVEL": "WARNING",
}
# What the shell may have set for a quick start says nothing about the tests.
for name in (
    "ALLOWED_HOSTS",
    "EMAIL_VERIFICATION",
    "GATEWAY_BASE_URL",
    "GATEWAY_PORT",
    "HOST",
    "IDENTITY_KEY",
    "PORT",
    "SITE_URL",
):
    os.environ.pop(name, None)
os.environ.update(ENVIRONMENT)
(FOLDER / "data" / "static").mkdir(parents=True)

# The last of this run's exit handlers, so that it runs after the server is stopped.
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
