"""A request and an answer, free of sockets."""

import string
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Answer:
    """`body` is text or bytes as they are, or anything else as JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def see_other(address: str) -> Answer:
    """A redirect after a form. A header takes ASCII only, so other signs are written as `%XX`."""
    return Answer(303, b"", {"Location": quote(address, safe=string.punctuation)})
