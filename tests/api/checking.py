"""Holds a real answer to what the OpenAPI document says of it."""

import copy
import json
from typing import Any

import jsonschema_rs
from django.http import HttpResponseBase

from cometsite import openapi

DOCUMENT = openapi.document("https://example.com")


def schema_of(name: str) -> dict[str, Any]:
    """A schema of the document that stands by itself."""
    return complete({"$ref": f"#/components/schemas/{name}"})


def complete(schema: dict[str, Any], *, closed: bool = False) -> dict[str, Any]:
    """The schema together with those it refers to; `closed` takes no field that the document doesn't name."""
    components = copy.deepcopy(DOCUMENT["components"])
    if closed:
        _close(components)
    return {**schema, "components": components}


def is_valid(name: str, value: object) -> bool:
    return jsonschema_rs.is_valid(schema_of(name), value)


def assert_documented(response: Any, method: str, path: str) -> None:
    """The answer's status, headers, type and body all stand in the document, and nothing else is in the body."""
    documented = DOCUMENT["paths"][path][method]["responses"]
    assert str(response.status_code) in documented, f"{response.status_code} of {path} is not documented"
    answer = documented[str(response.status_code)]
    for name, header in answer.get("headers", {}).items():
        jsonschema_rs.validate(header["schema"], response[name])
    if "content" not in answer:
        assert response.content == b""
        return
    kind = response["Content-Type"].partition(";")[0]
    assert kind in answer["content"], f"{kind} of {path} is not documented"
    if kind == "application/json":
        validate(answer["content"][kind]["schema"], response)


def validate(schema: dict[str, Any], response: HttpResponseBase) -> None:
    assert hasattr(response, "content")
    jsonschema_rs.validate(complete(schema, closed=True), json.loads(response.content))


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if "properties" in node and node.get("type") == "object":
            node.setdefault("additionalProperties", False)
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            _close(child)
