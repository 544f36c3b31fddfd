"""A request and an answer, free of sockets."""

import string
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Request:
    """`path` without its query; header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Ending(Enum):
    """What becomes of an answer on its way to the client."""

    ANSWER = "sent"
    SILENCE = "the connection is closed without it"
    RESET = "the connection is reset without it"


@dataclass(frozen=True)
class Answer:
    """`body` is text or bytes as they are, or anything else as JSON; it is sent after `wait_s` seconds."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    ending: Ending = Ending.ANSWER


def see_other(address: str) -> Answer:
    """A redirect after a form. A header takes ASCII only, so other signs are written as `%XX`."""
    return Answer(303, b"", {"Location": quote(address, safe=string.punctuation)})
