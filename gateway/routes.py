"""The addresses that answer, in whose format, and what LiteLLM calls them.

Clients differ in what they take for a base URL: `https://HOST/v1/`, `https://HOST/v1/chat/completions/` and `https://HOST/`
all lead here, with and without the last slash. Everything else that LiteLLM serves stays out of reach.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Style(StrEnum):
    """Whose formats a client of this address speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class Route:
    """What is called, for LiteLLM, and in which format."""

    path: str
    style: Style
    is_form: bool = False
    """Whether the body is a form with a file, and no JSON."""
    model: str = ""
    """Where it stands in the address."""
    is_stream: bool = False
    """Where the address says so."""


JSON_CALLS = {
    "chat/completions",
    "completions",
    "embeddings",
    "images/generations",
    "responses",
    "audio/speech",
}
FORM_CALLS = {"audio/transcriptions", "audio/translations", "images/edits"}
_GOOGLE = re.compile(r"(?:v1beta/|v1/)?models/([^:]{1,200}):(generateContent|streamGenerateContent)")
_BASES = ("v1/", "chat/completions/")


def call_of(path: str) -> Route | None:
    """What a POST to this address calls; None where nothing is called there."""
    if google := _GOOGLE.fullmatch(path.strip("/")):
        model, method = google.groups()
        stream = method == "streamGenerateContent"
        return Route(f"/v1beta/models/{model}:{method}", Style.GOOGLE, model=model, is_stream=stream)
    rest = _without_base(path)
    if rest == "messages":
        return Route("/v1/messages", Style.ANTHROPIC)
    if rest in JSON_CALLS or rest in FORM_CALLS:
        return Route(f"/v1/{rest}", Style.OPENAI, is_form=rest in FORM_CALLS)
    return None


def listed(path: str) -> str | None:
    """What a GET of this address asks for: the name of a model, "" for all that a key may call; None is neither."""
    rest = _without_base(path)
    return rest.removeprefix("models").removeprefix("/") if re.match("models(?:/|$)", rest) else None


def style_of(path: str, headers: dict[str, str]) -> Style:
    """For an error where nothing is called: as the client seems to expect it."""
    if "messages" in path or "anthropic-version" in headers:
        return Style.ANTHROPIC
    return Style.GOOGLE if "v1beta" in path or "x-goog-api-key" in headers else Style.OPENAI


def _without_base(path: str) -> str:
    rest = path.strip("/")
    while found := next((base for base in _BASES if rest.startswith(base)), None):
        rest = rest[len(found) :]
    return rest
