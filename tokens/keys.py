"""API keys: issue, verify, rename, revoke. Never stores, logs or shows a full key but once, to its owner.

A key is `sk-`, 8 characters that stay visible, 40 random ones (238 bits), and a checksum of 6, all base 62. A wrong
checksum is refused without asking the database. What is stored is the SHA-256 of the whole key; the key's own
randomness is what protects it, so no slow hash is needed.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tokens.models import ApiKey, GatewayKey
from wallet import ledger
from wallet.models import Wallet
from wallet.transactions import array, rows

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISIBLE, SECRET, CHECKSUM = 8, 40, 6
FORM = re.compile(rf"sk-[0-9A-Za-z]{{{VISIBLE + SECRET + CHECKSUM}}}")
LONGEST_NAME = 80


class KeyLimitReached(Exception):
    """The wallet has as many keys as the operator allows."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key together with its text, which exists nowhere else."""

    key: ApiKey
    text: str


def issue(wallet: Wallet, name: str) -> IssuedKey:
    """Make a key. Raises ValueError for a bad name, KeyLimitReached at the cap (which holds under parallel calls)."""
    issued = draw(wallet, clean_name(name))
    with transaction.atomic():
        ledger.lock([wallet.pk])
        if ApiKey.objects.filter(wallet=wallet, revoked_at=None).count() >= settings.KEYS_PER_WALLET:
            raise KeyLimitReached(f"A wallet can have {settings.KEYS_PER_WALLET} keys. Revoke one first.")
        issued.key.save(force_insert=True)
    return issued


def draw(wallet: Wallet, name: str) -> IssuedKey:
    """A new key that is not stored yet."""
    body = _random(VISIBLE + SECRET)
    text = f"sk-{body}{_checksum(body)}"
    key = ApiKey(
        wallet=wallet, name=name, prefix=f"sk-{body[:VISIBLE]}", last_four=text[-4:], digest=digest(text)
    )
    return IssuedKey(key, text)


def rename(key: ApiKey, name: str) -> None:
    key.name = clean_name(name)
    key.save(update_fields=["name"])


def revoke(key: ApiKey) -> None:
    """No call is let in with this key any more. Calls in flight are still charged. Twice is fine."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())


def wallets_of(key_ids: Iterable[int]) -> dict[int, int]:
    """The wallets that these keys belong to, of those that exist. A key never changes its wallet."""
    found = rows(
        "SELECT id, wallet_id FROM tokens_apikey WHERE id = ANY(%s::bigint[])", [array(set(key_ids))]
    )
    return dict(found)


def clean_name(name: str) -> str:
    """The name without surrounding space. ValueError: empty, over 80 characters, or with control characters."""
    name = name.strip()
    if not name:
        raise ValueError("Give the key a name, so that you recognise it later.")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"A name may have at most {LONGEST_NAME} characters.")
    if not name.isprintable():
        raise ValueError("A name may not contain control characters.")
    return name


def is_well_formed(text: str) -> bool:
    """Whether the text has a key's form and checksum; most wrong keys end here."""
    if not FORM.fullmatch(text):
        return False
    body, checksum = text[3:-CHECKSUM], text[-CHECKSUM:]
    return secrets.compare_digest(_checksum(body), checksum)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def issue_gateway_key(name: str) -> str:
    """Make a key for a gateway and return its text, which exists nowhere else."""
    text = f"gw-{_random(SECRET + VISIBLE)}"
    GatewayKey.objects.create(name=clean_name(name), prefix=text[:8], digest=digest(text))
    return text


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(CHECKSUM):
        number, place = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[place])
    return "".join(reversed(characters))
