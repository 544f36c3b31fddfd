"""Words for schemas: a text, a number, an object all of whose fields are always there."""

from typing import Any


def text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def whole(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "description": description, **more}


def number(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "number", "description": description, **more}


def yes_or_no(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "boolean", "description": description, **more}


def many(items: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    """A list."""
    return {"type": "array", "items": items, "description": description, **more}


def by_name(values: dict[str, Any], description: str) -> dict[str, Any]:
    """An object whose names are not known before."""
    return {"type": "object", "additionalProperties": values, "description": description}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    found = {**schema, "type": [schema["type"], "null"]}
    return {**found, "enum": [*schema["enum"], None]} if "enum" in schema else found


def shape(description: str, properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
