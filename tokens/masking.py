"""What a key looks like wherever one may turn up by mistake, and how it is kept from being written there.

Any text that begins as one of our keys and goes on for long enough counts, whether it is a key or not, and so do those of
providers that begin alike. No Django here: the log's formatter is made before there are models.
"""

import logging
import re

# Of the kinds of API keys (tokens/keys.py), of gateways' keys and of Stripe's, which are the operator's. The longest
# first, since another begins with it.
PREFIXES = ("sk-query-", "sk-", "at-", "gw-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_")
VISIBLE = 8
HOLDS_KEY = "This seems to hold a key. Keys are shown once and written down nowhere."
KEY = re.compile(rf"({'|'.join(PREFIXES)})([0-9A-Za-z]{{20,}})")


def holds_key(text: str) -> bool:
    return KEY.search(text) is not None


def masked(text: str) -> str:
    """The text with nothing of its keys but what they begin with."""
    return KEY.sub(r"\1…", text)


def shortened(text: str) -> str:
    """The text with its keys cut down to what may be seen, by which they can still be searched."""
    return KEY.sub(lambda found: found[1] + found[2][:VISIBLE], text)


class MaskingFormatter(logging.Formatter):
    """A line of the log, traceback included, without keys."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))
