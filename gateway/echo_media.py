"""What the echo says where text is not the answer: a sound without a sound, a picture of one pixel, what it did not hear."""

import base64
import struct
from typing import Any

RATE = 8_000
"""Samples a second, of one byte."""


def sound(seconds: int) -> bytes:
    """Silence, as a WAV file."""
    data = b"\x80" * RATE * seconds
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE, 1, 8)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


def heard(body: bytes, text: str) -> dict[str, Any]:
    """Of a form with a sound: the answer tells its length, at RATE."""
    told: dict[str, Any] = {"text": text}
    if b"say no usage" not in body:
        told["duration"] = len(body) / RATE
        told["usage"] = {"type": "duration", "seconds": -(-len(body) // RATE)}
    return told


def pictures(count: int) -> list[dict[str, str]]:
    return [{"b64_json": _PIXEL} for _ in range(count)]


# A picture of one transparent pixel.
_PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    )
).decode()
