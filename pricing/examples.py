"""A call of each kind of model as it is typically made: what it uses, and how to write it."""

import json
from dataclasses import dataclass

from pricing.catalogue import SellableModel
from pricing.models import Kind
from pricing.rating import PriceTable

_IMAGE_TOKENS = 1_290
"""What Google and OpenAI count for a picture of 1024 x 1024 in their usual quality, roughly."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code to paste, and where it is run."""

    label: str
    code: str


def usage_of(kind: str, table: PriceTable) -> dict[str, int]:
    """A typical call's usage, in units that `table` has a price for."""
    base = table.rates[0][1]
    usual = {
        "input_tokens": 100 if kind == Kind.IMAGE else 1_000,
        "output_image_tokens": _IMAGE_TOKENS,
        "output_tokens": 500,
        "images": 1,
        "seconds": 5 if kind == Kind.VIDEO else 60,
        "characters": 1_000,
        "pages": 10,
        "calls": 1,
    }
    if kind == Kind.IMAGE:
        usual["output_tokens"] = 0 if "output_image_tokens" in base else _IMAGE_TOKENS
    return {unit: quantity for unit, quantity in usual.items() if unit in base and quantity}


def snippets(model: SellableModel, table: PriceTable, *, base_url: str) -> list[Snippet]:
    """How to call `model` with curl and Python; empty for kinds that have no call in the OpenAI format."""
    request = _request(model, table)
    if request is None:
        return []
    path, body, python = request
    return [Snippet("curl", _curl(base_url, path, body)), Snippet("Python", _python(base_url, python))]


def _request(model: SellableModel, table: PriceTable) -> tuple[str, dict[str, object], str] | None:
    """Path, body and Python call in the OpenAI format."""
    name = json.dumps(model.name)
    match model.kind:
        case Kind.TEXT:
            messages = [{"role": "user", "content": "Hello!"}]
            python = _CHAT.format(name=name, messages=json.dumps(messages))
            return "chat/completions", {"model": model.name, "messages": messages}, python
        case Kind.EMBEDDING:
            return "embeddings", {"model": model.name, "input": "Hello!"}, _EMBEDDING.format(name=name)
        case Kind.IMAGE if "calls" not in table.rates[0][1]:
            prompt = "A lighthouse at dawn"
            return "images/generations", {"model": model.name, "prompt": prompt}, _IMAGE.format(name=name)
    return None


_CHAT = """reply = client.chat.completions.create(
    model={name},
    messages={messages},
)
print(reply.choices[0].message.content)"""

_EMBEDDING = """reply = client.embeddings.create(model={name}, input="Hello!")
print(len(reply.data[0].embedding))"""

_IMAGE = """reply = client.images.generate(model={name}, prompt="A lighthouse at dawn")
print(reply.data[0])"""


def _curl(base_url: str, path: str, body: dict[str, object]) -> str:
    # A single quote would end the shell's string; names have none, and this keeps it so.
    data = json.dumps(body, indent=2).replace("'", "\\u0027")
    return (
        f"curl {base_url}/v1/{path} \\\n"
        '  -H "Authorization: Bearer $API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{data}'"
    )


def _python(base_url: str, call: str) -> str:
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        "client = OpenAI(\n"
        f'    base_url="{base_url}/v1",\n'
        '    api_key=os.environ["API_KEY"],\n'
        f")\n{call}"
    )
