"""Pieces that operations are put together from."""

from collections.abc import Mapping
from typing import Any

from tokens.bearing import openai_error

JSON = "application/json"
# Our own word in the document: this is the operation of another address.
SAME_AS = "x-same-as"

type Header = tuple[str, dict[str, Any]]
"""What it says, and its schema."""

RETRY_AFTER: dict[str, Header] = {
    "Retry-After": ("Seconds to wait.", {"type": "string", "pattern": "^[0-9]+$"})
}


def allow(methods: str) -> dict[str, Header]:
    return {"Allow": ("What may be used.", {"type": "string", "const": methods})}


def ref(name: str) -> dict[str, str]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_content(schema: str, example: Any) -> dict[str, Any]:
    return {JSON: {"schema": ref(schema), "example": example}}


def success(description: str, schema: str, example: Any) -> dict[str, Any]:
    return {"description": description, "content": json_content(schema, example)}


def headed(
    answer: dict[str, Any], headers: Mapping[str, Header], *, is_always: bool = True
) -> dict[str, Any]:
    """The same answer with these headers, always or sometimes."""
    told = {
        name: {"description": description, "required": is_always, "schema": form}
        for name, (description, form) in headers.items()
    }
    return {**answer, "headers": {**answer.get("headers", {}), **told}}


def errors(codes: Mapping[str, str], headers: Mapping[str, Header] | None = None) -> dict[str, Any]:
    """An error answer: its possible codes, each with what it means."""
    (first, meaning), *_ = codes.items()
    answer = {
        "description": "\n".join(f"`{code}`: {text}" for code, text in codes.items()),
        "content": {
            JSON: {
                "schema": _with_code("Error", codes),
                "example": {"error": {"code": first, "message": _plain(meaning)}},
            }
        },
    }
    return headed(answer, headers) if headers else answer


def openai_errors(
    status: int, codes: Mapping[str, str], headers: Mapping[str, Header] | None = None
) -> dict[str, Any]:
    """The same in the form that OpenAI's clients know."""
    (first, meaning), *_ = codes.items()
    answer = {
        "description": "\n".join(f"`{code}`: {text}" for code, text in codes.items()),
        "content": {
            JSON: {
                "schema": _with_code("OpenAIError", codes),
                "example": openai_error(status, first, _plain(meaning)),
            }
        },
    }
    return headed(answer, headers) if headers else answer


def refusal(description: str, message: str, headers: Mapping[str, Header] | None = None) -> dict[str, Any]:
    """An error answer of the APIs that tell a sentence and no code."""
    answer = {
        "description": description,
        "content": {JSON: {"schema": ref("Refusal"), "example": {"success": False, "message": message}}},
    }
    return headed(answer, headers) if headers else answer


def text_answer(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }


def or_page(answer: dict[str, Any]) -> dict[str, Any]:
    """The same answer, also given as a page to whoever accepts no JSON."""
    return {**answer, "content": {**answer["content"], "text/html": {"schema": {"type": "string"}}}}


def query(name: str, kind: str, description: str, **more: Any) -> dict[str, Any]:
    """A parameter in the address; `more` goes into its schema."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind, **more}}


def also(operation: dict[str, Any], first: str) -> dict[str, Any]:
    """The same operation at another address than the one where it is best known."""
    return {**operation, "operationId": f"{operation['operationId']}Too", SAME_AS: first}


def _with_code(form: str, codes: Mapping[str, str]) -> dict[str, Any]:
    return {"allOf": [ref(form), {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}}]}


def _plain(text: str) -> str:
    return text.replace("`", "")
