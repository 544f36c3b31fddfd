"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cometsite.settings")
application = get_wsgi_application()

from wallet import durability  # noqa: E402 (needs the apps loaded)

durability.require()
