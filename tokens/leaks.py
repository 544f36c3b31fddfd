"""Keys that were found in public, as GitHub's secret scanning reports them to its partners.

A report counts only if the finder's signature of the raw body is good: ECDSA over P-256 with SHA-256, by one of the public
keys that stand at LEAK_REPORT_KEYS_URL. The source of the rules: GitHub's documentation of its secret scanning partner
program. No answer contains a key: a finding is named by the SHA-256 of its text, which that program allows.
"""

import base64
import binascii
import http.client
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.db.models import Q

from tokens import keys, masking, notices
from tokens.models import ApiKey

logger = logging.getLogger(__name__)

LARGEST_KEYS = 256 * 1024
LONGEST_TYPE = 100
LONGEST_URL = 2000
LONGEST_SOURCE = 40
FETCH_TIMEOUT_S = 5.0
# So long a public key is believed; and so long nobody asks again, whatever ids strangers make up.
FRESH_S = 3600.0
PAUSE_S = 60.0


class NotSigned(Exception):
    """The signature is missing or not good."""


class KeysUnavailable(Exception):
    """This public key is not known, and can't be asked for now."""


class Malformed(Exception):
    """Signed, but no list of findings."""


@dataclass(slots=True)
class _Known:
    """The finder's public keys by their ids, as they were read last."""

    keys: Mapping[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)
    read_at: float | None = None
    asked_at: float | None = None


_clock = time.monotonic
_reading = threading.Lock()
_known = _Known()


def check_signature(body: bytes, key_id: str, signature: str) -> None:
    """Raises NotSigned, or KeysUnavailable."""
    try:
        decoded = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise NotSigned("The signature is not Base64.") from None
    key = _public_key(key_id)
    if key is None:
        raise NotSigned("The public key of this id is not known.")
    try:
        key.verify(decoded, body, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise NotSigned("The signature does not fit the body.") from None


@dataclass(frozen=True, slots=True)
class Finding:
    text: str
    type: str
    url: str
    source: str


def read(body: bytes) -> list[Finding]:
    """The findings in a signed body; entries of another form are left out. Raises Malformed."""
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("The body is no JSON.") from None
    if type(entries) is not list:
        raise Malformed("The body must be a list.")
    return [found for entry in entries if (found := _finding(entry))]


def end(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Stop the keys that were found, and say of each whether it is one. Twice is fine."""
    known = _owners({finding.text for finding in findings})
    for finding in findings:
        if finding.text in known:
            notices.found_in_public(known[finding.text], finding.text, url=finding.url, source=finding.source)
    return [
        {
            "token_hash": keys.digest(finding.text).hex(),
            "token_type": finding.type,
            "label": "true_positive" if finding.text in known else "false_positive",
        }
        for finding in findings
    ]


def forget() -> None:
    """Read the public keys anew before the next signature."""
    global _known
    _known = _Known()


def _owners(texts: set[str]) -> dict[str, ApiKey]:
    """The key of each text that is or was one. A text from before a rotation counts however long that is ago."""
    wanted = {keys.digest(text): text for text in texts if keys.is_well_formed(text)}
    found = ApiKey.objects.filter(Q(digest__in=wanted) | Q(previous_digest__in=wanted)) if wanted else []
    owners = {}
    for key in found:
        for digest in (key.digest, key.previous_digest):
            if digest is not None and bytes(digest) in wanted:
                owners[wanted[bytes(digest)]] = key
    return owners


def _finding(entry: object) -> Finding | None:
    if not isinstance(entry, dict):
        return None
    text, kind = entry.get("token"), entry.get("type")
    if not isinstance(text, str) or not isinstance(kind, str) or not _is_text(text):
        return None
    url, source = (_line(entry.get(name), longest) for name, longest in _OPTIONAL)
    return Finding(text, masking.masked(_line(kind, LONGEST_TYPE)), url, source)


_OPTIONAL = (("url", LONGEST_URL), ("source", LONGEST_SOURCE))


def _line(value: object, longest: int) -> str:
    """What can be stored and printed of a text; of anything else nothing."""
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value if character.isprintable())[:longest]


def _is_text(value: str) -> bool:
    """Whether it can be encoded: JSON may hold half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _public_key(key_id: str) -> ec.EllipticCurvePublicKey | None:
    """None where nobody has it. One that was read before is good also while the address does not answer."""
    with _reading:
        now = _clock()
        is_fresh = _known.read_at is not None and now - _known.read_at < FRESH_S
        if is_fresh and key_id in _known.keys:
            return _known.keys[key_id]
        if _known.asked_at is None or now - _known.asked_at >= PAUSE_S:
            _known.asked_at = now
            _read_keys()
        # What was read within the pause tells who is not known, too: whoever makes up an id is at fault, not we.
        was_just_read = _known.read_at is not None and _clock() - _known.read_at <= PAUSE_S
        if not was_just_read and key_id not in _known.keys:
            raise KeysUnavailable
        return _known.keys.get(key_id)


def _read_keys() -> None:
    """Leaves what was known before where they can't be read."""
    try:
        _known.keys, _known.read_at = _parsed(_fetched()), _clock()
    except (OSError, ValueError, http.client.HTTPException) as error:
        logger.warning("The public keys for reports of leaks can't be read: %s", error)


def _fetched() -> bytes:
    request = urllib.request.Request(  # noqa: S310 (the address is the operator's; the settings take https alone)
        settings.LEAK_REPORT_KEYS_URL,
        headers={"Accept": "application/json", "User-Agent": settings.SITE_NAME},
    )
    with urllib.request.urlopen(request, timeout=FETCH_TIMEOUT_S) as answer:  # noqa: S310
        body: bytes = answer.read(LARGEST_KEYS + 1)
    if len(body) > LARGEST_KEYS:
        raise ValueError("the answer is too large")
    return body


def _parsed(body: bytes) -> dict[str, ec.EllipticCurvePublicKey]:
    """Raises ValueError where it has not the form of the program; a key of another kind is left out."""
    document: Any = json.loads(body)
    if not isinstance(document, dict) or not isinstance(document.get("public_keys"), list):
        raise ValueError("there is no list of public keys")
    found = {}
    for entry in document["public_keys"]:
        key = load_pem_public_key(str(entry["key"]).encode()) if _is_key(entry) else None
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            found[entry["key_identifier"]] = key
    return found


def _is_key(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("key_identifier"), str)
        and isinstance(entry.get("key"), str)
    )


def is_on() -> bool:
    return bool(settings.LEAK_REPORT_KEYS_URL)
