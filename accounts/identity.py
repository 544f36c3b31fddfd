"""Who is the same person: one inbox, however its address is written.

Starter credit is given once per inbox. The normalised address is never stored for that: only its keyed hash is,
so that it outlives the account without naming anybody.
"""

import contextlib
import hashlib
import hmac
import unicodedata

from django.conf import settings

# Providers that ignore dots in the local part, and the names one inbox has there.
DOTLESS_DOMAINS = {"gmail.com"}
SAME_DOMAIN = {"googlemail.com": "gmail.com"}


def normalised_address(email: str) -> str:
    """The address with what does not change the inbox taken out: case, `+tag`, dots at Gmail, Unicode and IDN spellings."""
    local, _, domain = unicodedata.normalize("NFKC", email).strip().lower().rpartition("@")
    domain = domain.rstrip(".")
    # A name that DNS can't know stays as it is: the text itself is then the identity.
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii")
    domain = SAME_DOMAIN.get(domain, domain)
    local = local.partition("+")[0] or local
    if domain in DOTLESS_DOMAINS:
        local = local.replace(".", "")
    return f"{local}@{domain}"


def identity_hash(email: str) -> str:
    """Keyed hash (hex, 64 characters) of the normalised address."""
    key = hashlib.sha256(b"starter-credit:" + settings.IDENTITY_KEY.encode()).digest()
    return hmac.new(
        key, normalised_address(email).encode("utf-8", "surrogatepass"), hashlib.sha256
    ).hexdigest()
