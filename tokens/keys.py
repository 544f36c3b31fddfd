"""API keys: issue, verify, change, rotate, revoke. Never stores, logs or shows a full key but once, to its owner.

A key is the prefix of its kind, 8 characters that stay visible, 40 random ones (238 bits), and a checksum of 6, all base
62. A wrong checksum is refused without asking the database. What is stored is the SHA-256 of the whole key; the key's own
randomness is what protects it, so no slow hash is needed.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from tokens.models import ApiKey, GatewayKey
from wallet import ledger
from wallet.models import Wallet
from wallet.transactions import array, rows

Kind = ApiKey.Kind

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISIBLE, SECRET, CHECKSUM = 8, 40, 6
PREFIXES = {Kind.INFERENCE: "sk-", Kind.QUERY: "sk-query-", Kind.ACCOUNT: "at-"}
# The longest prefix first, since another begins with it.
FORM = re.compile(
    rf"({'|'.join(sorted(PREFIXES.values(), key=len, reverse=True))})"
    rf"([0-9A-Za-z]{{{VISIBLE + SECRET}}})([0-9A-Za-z]{{{CHECKSUM}}})"
)
LONGEST_NAME = 80
FORMS = UUID("4d1b7c62-0f83-4e5a-9a37-6c2e8f10b95d")
LONGEST_OVERLAP = timedelta(days=30)
ASKED_TO = timedelta(minutes=1)


class KeyLimitReached(Exception):
    """The wallet has as many keys as the operator allows."""


class MadeBefore(Exception):
    """This very form made a key already, which is shown once."""


class KeyRevoked(Exception):
    """The key was revoked, which is for good."""


class KeyChanged(Exception):
    """The key has another text than whoever asks has seen."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a key may do. None does not bind; units and meaning are those of `ApiKey`."""

    notes: str = ""
    expires_at: datetime | None = None
    limit_nanousd: int | None = None
    period: str = ""
    period_limit_nanousd: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    calls_in_flight: int | None = None
    model_ids: list[int] | None = None
    networks: list[str] | None = None


FREE = Rules()
RULES = [field.name for field in fields(Rules)]


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key together with its text, which exists nowhere else."""

    key: ApiKey
    text: str


def issue(
    wallet: Wallet, name: str, kind: Kind = Kind.INFERENCE, rules: Rules = FREE, *, form_id: str = ""
) -> IssuedKey:
    """Make a key. Raises ValueError for a bad name, KeyLimitReached at the cap, MadeBefore where `form_id` made one.

    Cap and form hold under parallel calls, which wait for each other. Without a `form_id` each call makes a key.
    """
    issued = draw(wallet, clean_name(name), kind, rules)
    issued.key.form_id = uuid5(FORMS, f"{wallet.pk} {form_id}") if form_id else None
    with transaction.atomic():
        ledger.lock([wallet.pk])
        if form_id and ApiKey.objects.filter(form_id=issued.key.form_id).exists():
            raise MadeBefore
        if ApiKey.objects.filter(wallet=wallet, revoked_at=None).count() >= settings.KEYS_PER_WALLET:
            raise KeyLimitReached(f"A wallet can have {settings.KEYS_PER_WALLET} keys. Revoke one first.")
        issued.key.save(force_insert=True)
    return issued


def draw(wallet: Wallet, name: str, kind: Kind = Kind.INFERENCE, rules: Rules = FREE) -> IssuedKey:
    """A new key that is not stored yet."""
    key = ApiKey(wallet=wallet, name=name, kind=kind)
    _apply(key, rules)
    return IssuedKey(key, _give_text(key))


def rules_of(key: ApiKey) -> Rules:
    return Rules(**{name: getattr(key, name) for name in RULES})


def change(key: ApiKey, name: str, rules: Rules) -> None:
    """Give a key another name and other rules; from its answer on they hold. Raises ValueError for a bad name."""
    key.name = clean_name(name)
    _apply(key, rules)
    key.save(update_fields=["name", *RULES])


def rotate(key: ApiKey, overlap: timedelta, *, seen: str | None = None) -> IssuedKey:
    """Give a key another text. The text before is good for `overlap` more, up to 30 days; one before that no more.

    The key stays the same, with its limits, what it has spent and its calls. Raises KeyRevoked, and KeyChanged where its
    text is not the one with the hint `seen`: of several that ask at once, one rotates it.
    """
    with transaction.atomic():
        locked = ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)
        if locked.is_revoked:
            raise KeyRevoked
        if seen is not None and seen != locked.hint:
            raise KeyChanged
        previous, hint = locked.digest, locked.hint
        issued = IssuedKey(locked, _give_text(locked))
        locked.previous_digest, locked.previous_hint = previous, hint
        locked.previous_until = timezone.now() + min(overlap, LONGEST_OVERLAP)
        locked.save(
            update_fields=[
                "prefix",
                "last_four",
                "digest",
                "previous_digest",
                "previous_hint",
                "previous_until",
            ]
        )
    return issued


def end_overlap(key: ApiKey) -> bool:
    """The text before the last rotation is refused from now on. False where it was before."""
    now = timezone.now()
    return bool(ApiKey.objects.filter(pk=key.pk, previous_until__gt=now).update(previous_until=now))


def disable(key: ApiKey) -> None:
    """No call is let in with this key until it is enabled. Calls in flight are still charged. Twice is fine."""
    ApiKey.objects.filter(pk=key.pk, disabled_at=None).update(disabled_at=timezone.now())


def enable(key: ApiKey) -> None:
    """The opposite of `disable`. A revoked key stays revoked."""
    ApiKey.objects.filter(pk=key.pk).update(disabled_at=None)


def revoke(key: ApiKey) -> bool:
    """No call is let in with this key any more. Calls in flight are still charged. False where it was revoked before."""
    return bool(ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()))


def find(text: str) -> ApiKey | None:
    """The key of this text, whatever became of it, its wallet and its owner with it; None where there is none.

    A text from before a rotation finds the key as long as it is good beside the new one.
    """
    if not is_well_formed(text):
        return None
    wanted = digest(text)
    is_previous = Q(previous_digest=wanted, previous_until__gt=timezone.now())
    found = ApiKey.objects.filter(Q(digest=wanted) | is_previous)
    return found.select_related("wallet__owner").first()


def note_question(key: ApiKey) -> None:
    """Remember that a key, as `find` just read it, asked an API of this site: written once a minute at most."""
    now = timezone.now()
    is_due = Q(last_asked_at=None) | Q(last_asked_at__lte=now - ASKED_TO)
    if key.last_asked_at is None or key.last_asked_at <= now - ASKED_TO:
        ApiKey.objects.filter(is_due, pk=key.pk).update(last_asked_at=now)


@dataclass(frozen=True, slots=True)
class Payer:
    """The wallet that a key's calls are charged to, and the group whose prices it pays, if any: since when, and before."""

    wallet_id: int
    group_id: int | None
    group_since: datetime | None
    group_before_id: int | None

    def group_at(self, moment: datetime) -> int | None:
        """The group whose prices a call pays that started then."""
        is_before = self.group_since is not None and moment < self.group_since
        return self.group_before_id if is_before else self.group_id


def payers_of(key_ids: Iterable[int]) -> dict[int, Payer]:
    """Who pays for the calls of these keys, of those that exist. A key never changes its wallet."""
    found = rows(
        "SELECT k.id, k.wallet_id, w.customer_group_id, w.group_since, w.group_before_id"
        " FROM tokens_apikey k JOIN wallet_wallet w ON w.id = k.wallet_id WHERE k.id = ANY(%s::bigint[])",
        [array(set(key_ids))],
    )
    return {key_id: Payer(*payer) for key_id, *payer in found}


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
    found = FORM.fullmatch(text)
    return found is not None and secrets.compare_digest(_checksum(found[2]), found[3])


def visible_part(text: str) -> str:
    """What of a key, or of a part of one, may be shown and searched by: its prefix and the first characters."""
    prefix = next((each for each in PREFIXES.values() if each != "sk-" and text.startswith(each)), "sk-")
    return text[: len(prefix) + VISIBLE]


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def issue_gateway_key(name: str) -> str:
    """Make a key for a gateway and return its text, which exists nowhere else."""
    text = f"gw-{_random(SECRET + VISIBLE)}"
    GatewayKey.objects.create(name=clean_name(name), prefix=text[:8], digest=digest(text))
    return text


def _give_text(key: ApiKey) -> str:
    """Draw a text for the key and keep what can be kept of it."""
    body, prefix = _random(VISIBLE + SECRET), PREFIXES[Kind(key.kind)]
    text = f"{prefix}{body}{_checksum(body)}"
    key.prefix, key.last_four, key.digest = prefix + body[:VISIBLE], text[-4:], digest(text)
    return text


def _apply(key: ApiKey, rules: Rules) -> None:
    for name in RULES:
        setattr(key, name, getattr(rules, name))


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(CHECKSUM):
        number, place = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[place])
    return "".join(reversed(characters))
