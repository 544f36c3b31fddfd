#!/usr/bin/env python
"""Django's command line. On a machine where the quick start runs it works on the quick start's data."""

import os
import sys
from pathlib import Path


def main() -> None:
    if sys.version_info < (3, 12):  # noqa: UP036 (the one file that an older Python can still read)
        sys.exit("This project needs Python 3.12 or newer; run it as .venv/bin/python manage.py.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cometsite.settings")
    from cometsite import env

    data_dir = Path(os.environ.get("DATA_DIR") or Path(__file__).resolve().parent / ".data")
    env.load_file(data_dir / "quickstart.env")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{error}\nOn a machine of your own, `make run` sets all of this up; start it first.")
    except OperationalError as error:
        sys.exit(f"The database does not answer. Is `make run` running?\n{error}")


if __name__ == "__main__":
    main()
