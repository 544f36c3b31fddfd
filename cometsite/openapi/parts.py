"""Pieces that operations are put together from."""

from collections.abc import Mapping
from typing import Any

JSON = "application/json"


def ref(name: str) -> dict[str, str]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_content(schema: str, example: Any) -> dict[str, Any]:
    return {JSON: {"schema": ref(schema), "example": example}}


def success(description: str, schema: str, example: Any) -> dict[str, Any]:
    return {"description": description, "content": json_content(schema, example)}


def errors(
    codes: Mapping[str, str], headers: Mapping[str, tuple[str, dict[str, Any]]] | None = None
) -> dict[str, Any]:
    """An error answer: its possible codes, each with what it means."""
    (first, meaning), *_ = codes.items()
    schema = {
        "allOf": [
            ref("Error"),
            {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}},
        ]
    }
    answer: dict[str, Any] = {
        "description": "\n".join(f"`{code}`: {text}" for code, text in codes.items()),
        "content": {
            JSON: {"schema": schema, "example": {"error": {"code": first, "message": _plain(meaning)}}}
        },
    }
    if headers:
        answer["headers"] = {
            name: {"description": description, "required": True, "schema": form}
            for name, (description, form) in headers.items()
        }
    return answer


def text_answer(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }


def or_page(answer: dict[str, Any]) -> dict[str, Any]:
    """The same answer, also given as a page to whoever accepts no JSON."""
    return {**answer, "content": {**answer["content"], "text/html": {"schema": {"type": "string"}}}}


def _plain(text: str) -> str:
    return text.replace("`", "")
