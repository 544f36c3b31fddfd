"""The document as people read it: groups of operations with their fields, answers and an example each."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cometsite.openapi.parts import SAME_AS
from logs.reports import LARGEST_BIGINT

type Prose = list[list[tuple[bool, str]]]
"""Paragraphs of (is code, text): what stands between backticks in a description is code."""


@dataclass(frozen=True, slots=True)
class Field:
    """One name in a body or an answer, or one parameter."""

    name: str
    kind: str
    is_required: bool
    text: Prose


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that an operation answers with."""

    status: str
    tone: str
    text: Prose
    fields: list[Field]
    example: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one address."""

    anchor: str
    method: str
    path: str
    others: list[str]
    """Other addresses where the same answers."""
    summary: str
    text: Prose
    shown_by: str
    parameters: list[Field]
    body: list[Field]
    sample: str
    successes: list[Answer]
    others_than_success: list[Answer]


@dataclass(frozen=True, slots=True)
class Group:
    """Operations for one purpose."""

    name: str
    text: Prose
    operations: list[Operation]


# What an operation's caller shows, in words.
SHOWN_BY = {
    "gatewayKey": "Gateway key",
    "accessToken": "Access token",
    "apiKey": "API key",
    "keyInAddress": "API key",
    "session": "Signed in",
}
# What the sample shows it as; who signs in by a form, or signs what is sent, has none.
SHOWN_AS = {"gatewayKey": "$GATEWAY_KEY", "accessToken": "$ACCESS_TOKEN", "apiKey": "$API_KEY"}
OK = "ok"
TONES = {"2": OK, "3": "info", "4": "warn", "5": "bad"}


def groups(document: Mapping[str, Any]) -> list[Group]:
    """Every operation of the document, grouped by its tag, in the document's order."""
    found = list(_operations(document))
    return [
        Group(
            tag["name"],
            prose(tag["description"]),
            [operation for name, operation in found if name == tag["name"]],
        )
        for tag in document["tags"]
    ]


def prose(text: str) -> Prose:
    """Paragraphs of a description, code told from words."""
    return [
        [(bool(place % 2), part) for place, part in enumerate(paragraph.split("`")) if part]
        for paragraph in text.split("\n")
        if paragraph
    ]


def resolve(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself where this is a reference to one."""
    if "$ref" not in schema:
        return schema
    target: Mapping[str, Any] = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return target


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    others: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for operation in item.values():
            if SAME_AS in operation:
                others.setdefault(operation[SAME_AS], []).append(path)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if SAME_AS not in operation:
                yield (
                    operation["tags"][0],
                    _operation(document, path, method, operation, others.get(path, [])),
                )


def _operation(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any], others: list[str]
) -> Operation:
    content = _json(operation.get("requestBody", {}))
    security = [name for choice in operation["security"] for name in choice]
    parameters = [
        Field(
            one["name"],
            f"{one['in']}, {_kind(one['schema'])}",
            one.get("required", False),
            prose(one["description"]),
        )
        for one in operation.get("parameters", [])
    ]
    answers = [_answer(document, *answer) for answer in sorted(operation["responses"].items())]
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        others=others,
        summary=operation["summary"],
        text=prose(operation.get("description", "")),
        shown_by=", ".join(SHOWN_BY[name] for name in security),
        parameters=parameters,
        body=_fields(document, content["schema"]) if content else [],
        sample=_sample(document["servers"][0]["url"], path, operation),
        successes=[answer for answer in answers if answer.tone == OK],
        others_than_success=[answer for answer in answers if answer.tone != OK],
    )


def _answer(document: Mapping[str, Any], status: str, response: Mapping[str, Any]) -> Answer:
    content = _json(response)
    is_error = "allOf" in content.get("schema", {})
    return Answer(
        status=status,
        tone=TONES[status[0]],
        text=prose(response["description"]),
        fields=_fields(document, content["schema"]) if content and not is_error else [],
        example=_pretty(content["example"]) if "example" in content else "",
    )


def _json(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = holder.get("content", {}).get("application/json", {})
    return found


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], prefix: str = "") -> list[Field]:
    """The fields of an object, those of what lies in it after it: `calls[].usage.images`."""
    found: list[Field] = []
    schema = resolve(document, schema)
    if schema.get("type") == "array":
        return _fields(document, schema["items"], f"{prefix.removesuffix('.')}[].")
    for name, part in schema.get("properties", {}).items():
        own = resolve(document, part)
        full = f"{prefix}{name}"
        is_required = name in schema.get("required", ())
        found.append(Field(full, _kind(own), is_required, prose(own.get("description", ""))))
        found += _fields(document, own, f"{full}.")
    if isinstance(named := schema.get("additionalProperties"), Mapping):
        found += _fields(document, named, f"{prefix}*.")
    return found


def _kind(schema: Mapping[str, Any]) -> str:
    """The type in words, with its bounds: "integer, 0 to 10,000", "string, uuid"."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = [" or ".join(kinds)]
    named = [value for value in schema.get("enum", ()) if value is not None]
    if 0 < len(named) <= 3:
        words.append(" or ".join(f'"{value}"' for value in named))
    if "format" in schema:
        words.append(schema["format"])
    if "minimum" in schema and "maximum" in schema:
        words.append(_range(schema["minimum"], schema["maximum"]))
    elif "minimum" in schema:
        words.append(f"at least {schema['minimum']:,}")
    if "const" in schema:
        words.append(f"always {json.dumps(schema['const'])}")
    if "maxItems" in schema:
        words.append(f"{schema['minItems']:,} to {schema['maxItems']:,}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']:,} characters")
    return ", ".join(words)


def _range(minimum: float, maximum: float) -> str:
    """The bounds of a number; that it fits 64 bits goes without saying."""
    return f"at least {minimum:,}" if maximum >= LARGEST_BIGINT else f"{minimum:,} to {maximum:,}"


def _sample(server: str, path: str, operation: Mapping[str, Any]) -> str:
    """How to ask with curl; nothing for who signs in by a form, or signs what is sent."""
    shown = {name for choice in operation["security"] for name in choice}
    body = _json(operation.get("requestBody", {}))
    if "session" in shown or (body and not shown):
        return ""
    query = ["key=$API_KEY"] if "keyInAddress" in shown else []
    for one in operation.get("parameters", []):
        path = path.replace(f"{{{one['name']}}}", str(one.get("example", "")))
        if one["in"] == "query" and one.get("required"):
            query.append(f"{one['name']}={one['example']}")
    lines = [f'curl "{server}{path}?{"&".join(query)}"' if query else f"curl {server}{path}"]
    lines += [f'-H "Authorization: Bearer {SHOWN_AS[name]}"' for name in shown if name in SHOWN_AS]
    if body:
        lines += ['-H "Content-Type: application/json"', f"-d '{_pretty(body['example'])}'"]
    return " \\\n  ".join(lines)


def _pretty(example: Any) -> str:
    return json.dumps(example, indent=2, ensure_ascii=False)
