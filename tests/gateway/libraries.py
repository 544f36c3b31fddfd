"""The published clients, each run in its own environment as a program of its own, and what they say was used."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).parent / "clients"
TIMEOUT_S = 120

Outcome = dict[str, Any]
Usage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Library:
    """`model` is one of the maker whose formats it speaks."""

    name: str
    command: tuple[str, ...]
    model: str
    environment: dict[str, str] = field(default_factory=dict)

    def do(
        self, base_url: str, key: str, steps: Sequence[Mapping[str, Any]], **options: Any
    ) -> list[Outcome]:
        """What came of each step, which may have an address and a key of its own; `options` are the client's own.

        `sent` of an outcome counts its requests.
        """
        usual = {"base_url": base_url, "key": key, "model": self.model, "say": "Hello."}
        task = {"steps": [{**usual, **step} for step in steps], "options": options}
        done = subprocess.run(
            self.command,
            input=json.dumps(task),
            env={"PATH": os.defpath, "NO_PROXY": "*", **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr
        found: list[Outcome] = json.loads(done.stdout)
        return found

    def one(self, base_url: str, key: str, do: str, **step: Any) -> Outcome:
        """A single step, which must not end in an error."""
        (outcome,) = self.do(base_url, key, [{"do": do, **step}])
        assert "error" not in outcome, outcome
        return outcome

    def units(self, used: Usage) -> dict[str, int]:
        """The usage that the client was told, in the metering API's units: disjoint, without zeros."""
        found = {"anthropic": _of_anthropic, "langchain": _of_langchain}.get(self.name, _of_openai)(used)
        return {unit: count for unit, count in found.items() if count}


def python_library(name: str, python: Path, model: str) -> Library:
    return Library(name, (str(python), str(CLIENTS / f"{name}_client.py")), model)


def node_library(node: str, modules: Path, model: str) -> Library:
    environment = {"NODE_PATH": str(modules)}
    return Library("node", (node, str(CLIENTS / "node_client.cjs")), model, environment)


def _of_openai(used: Usage) -> dict[str, int]:
    """The cached part is inside the prompt, reasoning inside the completion."""
    cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    reasoning = (used.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    prompt = used.get("prompt_tokens", used.get("input_tokens", 0))
    completion = used.get("completion_tokens", used.get("output_tokens", 0))
    return {
        "input_tokens": prompt - cached,
        "cached_input_tokens": cached,
        "output_tokens": completion - reasoning,
        "reasoning_tokens": reasoning,
    }


def _of_anthropic(used: Usage) -> dict[str, int]:
    """What is read from a cache, and written to one, stands beside the prompt."""
    written = used.get("cache_creation") or {}
    return {
        "input_tokens": used["input_tokens"],
        "cached_input_tokens": used.get("cache_read_input_tokens", 0),
        "cache_write_tokens": written.get("ephemeral_5m_input_tokens", 0),
        "cache_write_1h_tokens": written.get("ephemeral_1h_input_tokens", 0),
        "output_tokens": used["output_tokens"],
    }


def _of_langchain(used: Usage) -> dict[str, int]:
    """OpenAI's nesting in LangChain's words."""
    cached = used["input_token_details"].get("cache_read", 0)
    reasoning = used["output_token_details"].get("reasoning", 0)
    return {
        "input_tokens": used["input_tokens"] - cached,
        "cached_input_tokens": cached,
        "output_tokens": used["output_tokens"] - reasoning,
        "reasoning_tokens": reasoning,
    }
