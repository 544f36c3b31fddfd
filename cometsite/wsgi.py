"""The WSGI application that granian serves."""

import os
import sys

from django.core.wsgi import get_wsgi_application

# A thread that reads a batch of calls lets the others on after a millisecond rather than five: a gateway waits for them.
sys.setswitchinterval(0.001)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cometsite.settings")
application = get_wsgi_application()

from logs.archive import folder  # noqa: E402 (needs the apps loaded)
from wallet import durability  # noqa: E402

durability.require()
folder.tell()
