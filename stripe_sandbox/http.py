"""A request and an answer, free of sockets."""

from dataclasses import dataclass, field
from typing import Any


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
    return Answer(303, b"", {"Location": address})
