"""Where a model is called, and how that is written: in the formats of OpenAI, which clients of all languages speak."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pricing.catalogue import SellableModel
from pricing.models import Kind
from pricing.rating import PriceTable


class Endpoint(Enum):
    """An address below /v1/ that a model answers at."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    IMAGES = "images/generations"
    SPEECH = "audio/speech"
    TRANSCRIPTIONS = "audio/transcriptions"


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code to paste, and where it is run."""

    label: str
    code: str


@dataclass(frozen=True, slots=True)
class _Call:
    """A call as each language writes it; `{model}` stands for the name, quoted."""

    body: Mapping[str, object]
    python: str
    javascript: str
    file: str = ""
    """Sent as a form with this file, where it isn't empty."""
    needs: str = ""
    """What JavaScript imports for it beside the library."""


def endpoint_of(model: SellableModel, table: PriceTable) -> Endpoint | None:
    """The endpoint that fits the model; None for those that the gateway has none for in OpenAI's formats, such as video.

    By kind, by the units that it is charged in, and by the words of its name, as providers name models for
    one purpose (tts, transcribe, instruct). Models that are spoken to over a socket have none.
    """
    base = table.rates[0][1]
    words = set(re.split(r"[^a-z0-9]+", model.name.lower()))
    match model.kind:
        case Kind.TEXT:
            is_older = bool(words & {"instruct", "babbage", "davinci"}) and model.provider_code == "openai"
            return Endpoint.COMPLETIONS if is_older else Endpoint.CHAT
        case Kind.EMBEDDING:
            return Endpoint.EMBEDDINGS
        case Kind.IMAGE:
            return None if "calls" in base else Endpoint.IMAGES
        case Kind.SPEECH if not words & {"realtime", "live", "translate"}:
            return _of_sound(words, base)
    return None


def address_of(model: SellableModel, table: PriceTable) -> str:
    """Where it is called, below the gateway's address; empty where the gateway has no address for it."""
    if endpoint := endpoint_of(model, table):
        return f"/v1/{endpoint.value}"
    # Google's own format tells the tokens of its speech.
    is_speech = model.kind == Kind.SPEECH and re.search(r"\btts\b", model.name)
    return (
        f"/v1beta/models/{model.name}:generateContent"
        if is_speech and model.provider_code == "google"
        else ""
    )


def snippets(model: SellableModel, table: PriceTable, *, base_url: str) -> list[Snippet]:
    """How to call `model` with curl, Python and JavaScript; empty where it has no endpoint."""
    endpoint = endpoint_of(model, table)
    if endpoint is None:
        return []
    call = _AUDIO_CHAT if endpoint is Endpoint.CHAT and model.kind == Kind.SPEECH else _CALLS[endpoint]
    name = json.dumps(model.name)
    python, javascript = (code.replace("{model}", name) for code in (call.python, call.javascript))
    # Its makers' own library, which adds /v1 by itself.
    own = [Snippet("Python (anthropic)", _ANTHROPIC.format(base_url=base_url, model=name))]
    return [
        Snippet(
            "curl", _curl(f"{base_url}/v1/{endpoint.value}", {"model": model.name, **call.body}, call.file)
        ),
        Snippet("Python", _PYTHON.format(base_url=base_url, call=python)),
        Snippet("JavaScript", _JAVASCRIPT.format(base_url=base_url, needs=call.needs, call=javascript)),
        *(own if model.provider_code == "anthropic" and endpoint is Endpoint.CHAT else []),
    ]


def _of_sound(words: set[str], base: Mapping[str, int]) -> Endpoint | None:
    if "tts" in words or "characters" in base:
        # Nobody tells the tokens of speech, so that a gateway can't serve what is sold by them.
        return Endpoint.SPEECH if base.keys() & {"characters", "seconds", "calls"} else None
    if "seconds" in base or words & {"transcribe", "whisper"}:
        return Endpoint.TRANSCRIPTIONS
    return Endpoint.CHAT if "output_audio_tokens" in base else None


def _curl(address: str, body: Mapping[str, object], file: str) -> str:
    lines = [f"curl {address} \\", '  -H "Authorization: Bearer $API_KEY" \\']
    if file:
        lines += [f"  -F file=@{file} \\", f"  -F {shlex.quote(f'model={body["model"]}')}"]
        return "\n".join(lines)
    # A single quote would end the shell's string; names have none, and this keeps it so.
    data = json.dumps(body, indent=2).replace("'", "\\u0027")
    return "\n".join([*lines, '  -H "Content-Type: application/json" \\', f"  -d '{data}'"]) + (
        " \\\n  -o speech.mp3" if "voice" in body else ""
    )


_PYTHON = """import os

from openai import OpenAI

client = OpenAI(
    base_url="{base_url}/v1",
    api_key=os.environ["API_KEY"],
)
{call}"""

_ANTHROPIC = """import os

from anthropic import Anthropic

client = Anthropic(
    base_url="{base_url}/",
    api_key=os.environ["API_KEY"],
)
reply = client.messages.create(
    model={model},
    max_tokens=300,
    messages=[{{"role": "user", "content": "Hello!"}}],
)
print(reply.content[0].text)"""

_JAVASCRIPT = """{needs}import OpenAI from "openai";

const client = new OpenAI({{
  baseURL: "{base_url}/v1",
  apiKey: process.env.API_KEY,
}});
{call}"""

_CALLS: Mapping[Endpoint, _Call] = {
    Endpoint.CHAT: _Call(
        {"messages": [{"role": "user", "content": "Hello!"}]},
        """reply = client.chat.completions.create(
    model={model},
    messages=[{"role": "user", "content": "Hello!"}],
)
print(reply.choices[0].message.content)""",
        """const reply = await client.chat.completions.create({
  model: {model},
  messages: [{ role: "user", content: "Hello!" }],
});
console.log(reply.choices[0].message.content);""",
    ),
    Endpoint.COMPLETIONS: _Call(
        {"prompt": "Once upon a time", "max_tokens": 50},
        """reply = client.completions.create(
    model={model},
    prompt="Once upon a time",
    max_tokens=50,
)
print(reply.choices[0].text)""",
        """const reply = await client.completions.create({
  model: {model},
  prompt: "Once upon a time",
  max_tokens: 50,
});
console.log(reply.choices[0].text);""",
    ),
    Endpoint.EMBEDDINGS: _Call(
        {"input": "Hello!"},
        """reply = client.embeddings.create(model={model}, input="Hello!")
print(len(reply.data[0].embedding))""",
        """const reply = await client.embeddings.create({ model: {model}, input: "Hello!" });
console.log(reply.data[0].embedding.length);""",
    ),
    Endpoint.IMAGES: _Call(
        {"prompt": "A lighthouse at dawn"},
        """reply = client.images.generate(model={model}, prompt="A lighthouse at dawn")
print(reply.data[0])""",
        """const reply = await client.images.generate({ model: {model}, prompt: "A lighthouse at dawn" });
console.log(reply.data[0]);""",
    ),
    Endpoint.SPEECH: _Call(
        {"voice": "alloy", "input": "Hello!"},
        """with client.audio.speech.with_streaming_response.create(
    model={model},
    voice="alloy",
    input="Hello!",
) as reply:
    reply.stream_to_file("speech.mp3")""",
        """const reply = await client.audio.speech.create({ model: {model}, voice: "alloy", input: "Hello!" });
await writeFile("speech.mp3", Buffer.from(await reply.arrayBuffer()));""",
        needs='import { writeFile } from "node:fs/promises";\n',
    ),
    Endpoint.TRANSCRIPTIONS: _Call(
        {},
        """with open("speech.mp3", "rb") as file:
    reply = client.audio.transcriptions.create(model={model}, file=file)
print(reply.text)""",
        """const reply = await client.audio.transcriptions.create({
  model: {model},
  file: createReadStream("speech.mp3"),
});
console.log(reply.text);""",
        file="speech.mp3",
        needs='import { createReadStream } from "node:fs";\n',
    ),
}

_AUDIO_CHAT = _Call(
    {
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
        "messages": [{"role": "user", "content": "Hello!"}],
    },
    """reply = client.chat.completions.create(
    model={model},
    modalities=["text", "audio"],
    audio={"voice": "alloy", "format": "wav"},
    messages=[{"role": "user", "content": "Hello!"}],
)
print(reply.choices[0].message.audio.transcript)""",
    """const reply = await client.chat.completions.create({
  model: {model},
  modalities: ["text", "audio"],
  audio: { voice: "alloy", format: "wav" },
  messages: [{ role: "user", content: "Hello!" }],
});
console.log(reply.choices[0].message.audio.transcript);""",
)
