"""Holds a real answer to what the OpenAPI document says of it."""

import copy
import functools
import json
from typing import Any

import jsonschema_rs

from cometsite import openapi

DOCUMENT = openapi.document("https://example.com")


def schema_of(name: str) -> dict[str, Any]:
    """A schema of the document that stands by itself."""
    return complete({"$ref": f"#/components/schemas/{name}"})


def complete(schema: dict[str, Any], *, closed: bool = False) -> dict[str, Any]:
    """The schema together with those it refers to; `closed` takes no field that the document doesn't name."""
    found = copy.deepcopy({**schema, "components": DOCUMENT["components"]})
    if closed:
        _close(found)
    return found


def is_valid(name: str, value: object) -> bool:
    return jsonschema_rs.is_valid(schema_of(name), value)


def assert_documented(response: Any, method: str, path: str) -> None:
    """The answer's status, headers, type and body all stand in the document, and nothing else is in the body."""
    documented = DOCUMENT["paths"][path][method]["responses"]
    assert str(response.status_code) in documented, f"{response.status_code} of {path} is not documented"
    answer = documented[str(response.status_code)]
    for name, header in answer.get("headers", {}).items():
        if header["required"] or name in response:
            jsonschema_rs.validate(header["schema"], response[name])
    if "content" not in answer:
        assert response.content == b""
        return
    kind = response["Content-Type"].partition(";")[0]
    assert kind in answer["content"], f"{kind} of {path} is not documented"
    if kind == "application/json":
        _validator(method, path, response.status_code).validate(json.loads(response.content))


@functools.cache
def _validator(method: str, path: str, status: int) -> jsonschema_rs.Draft202012Validator:
    """Takes no field that the document doesn't name."""
    answer = DOCUMENT["paths"][path][method]["responses"][str(status)]
    schema = complete(answer["content"]["application/json"]["schema"], closed=True)
    return jsonschema_rs.Draft202012Validator(schema)


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if "properties" in node and node.get("type") == "object":
            node.setdefault("additionalProperties", False)
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            _close(child)
