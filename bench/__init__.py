"""The benchmark: how fast calls are let in and charged, beside what the same PostgreSQL can do at all.

A program of its own beside the product, which never imports it. It starts throw-away servers with the quick start's own
commands and leaves nothing behind.
"""


class Failed(Exception):
    """Why there is no measurement: a server went away, or a program failed; for whoever started it."""
