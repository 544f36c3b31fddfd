"""Reading a form-encoded request: nested brackets into a tree, and the tree against what an endpoint takes.

Every object is closed: a name that is not declared is refused, at any depth, because a misspelt parameter
that is silently ignored (`price_data[unit_amout]`) is the mistake that a stand-in has to show.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from .errors import ApiError, invalid, unsupported

type Node = str | dict[str, Node]
type Params = dict[str, Any]

MAX_FIELDS = 2_000
MAX_DEPTH = 8
NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
# A host that can stand in a header as it is; names in other scripts come in their ASCII form.
HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
SPAN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)


class Field(Protocol):
    """One declared parameter. `read` returns its value or raises ApiError naming `name`."""

    @property
    def required(self) -> bool: ...

    def read(self, node: Node, name: str) -> Any: ...


def pairs(text: str) -> list[tuple[str, str]]:
    """Form-encoded text as name and value in order; ApiError if it is no UTF-8 or has too many fields."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise invalid("Invalid request: the parameters are not valid UTF-8.") from None
    except ValueError:
        raise invalid(f"Invalid request: more than {MAX_FIELDS} parameters.") from None


def tree(fields: list[tuple[str, str]]) -> dict[str, Node]:
    """`a[b][0]=x` becomes {"a": {"b": {"0": "x"}}}; `a[]=x` takes the next index."""
    root: dict[str, Node] = {}
    for name, value in fields:
        match = NAME.fullmatch(name)
        steps = [match[1], *match[2][1:-1].split("][")] if match and match[2] else [name]
        if len(steps) > MAX_DEPTH:
            raise invalid(f"Invalid request: {name[:80]} is nested too deeply.")
        _place(root, steps, value, name)
    return root


def _place(root: dict[str, Node], steps: list[str], value: str, name: str) -> None:
    node = root
    for step in steps[:-1]:
        child = node.setdefault(_index(node, step), {})
        if isinstance(child, str):
            raise invalid(f"Invalid request: {name[:80]} is given as a value and as an object.", param=name)
        node = child
    last = _index(node, steps[-1])
    if isinstance(node.get(last), dict):
        raise invalid(f"Invalid request: {name[:80]} is given as a value and as an object.", param=name)
    node[last] = value


def _index(node: dict[str, Node], step: str) -> str:
    return step or str(len(node))


@dataclass(frozen=True)
class Text:
    """A string. `clearable` ones take "" to unset; `choices` makes it an enum."""

    required: bool = False
    longest: int = 5_000
    clearable: bool = False
    choices: tuple[str, ...] = ()

    def read(self, node: Node, name: str) -> str:
        if not isinstance(node, str):
            raise invalid("Invalid string: an object was given.", param=name)
        if not node and not self.clearable:
            raise invalid(
                f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
                f"parameter; however '{name}' cannot be unset.",
                param=name,
                code="parameter_invalid_empty",
            )
        if len(node) > self.longest:
            raise invalid(f"Invalid string: {name} must be at most {self.longest} characters.", param=name)
        if self.choices and node not in self.choices:
            raise invalid(f"Invalid {name}: must be one of {', '.join(self.choices)}", param=name)
        return node


@dataclass(frozen=True)
class Integer:
    required: bool = False
    least: int | None = None
    most: int | None = None

    def read(self, node: Node, name: str) -> int:
        if not isinstance(node, str) or not INTEGER.fullmatch(node):
            shown = node[:80] if isinstance(node, str) else "an object"
            raise invalid(f"Invalid integer: {shown}", param=name, code="parameter_invalid_integer")
        value = int(node)
        if self.least is not None and value < self.least:
            raise self._out_of_range("greater", self.least, name)
        if self.most is not None and value > self.most:
            raise self._out_of_range("less", self.most, name)
        return value

    def _out_of_range(self, side: str, bound: int, name: str) -> ApiError:
        message = f"This value must be {side} than or equal to {bound}."
        return invalid(message, param=name, code="parameter_invalid_integer")


@dataclass(frozen=True)
class Seconds:
    """A time span with up to three decimals, at most `most` seconds. Stripe has none; for control addresses."""

    required: bool = False
    most: int = 86_400

    def read(self, node: Node, name: str) -> float:
        if not isinstance(node, str) or not SPAN.fullmatch(node) or float(node) > self.most:
            raise invalid(f"Invalid {name}: a number of seconds from 0 to {self.most}.", param=name)
        return float(node)


@dataclass(frozen=True)
class Boolean:
    """`only` is for switches of which the stand-in knows one position."""

    required: bool = False
    only: bool | None = None

    def read(self, node: Node, name: str) -> bool:
        if node not in ("true", "false"):
            raise invalid(f"Invalid boolean: {str(node)[:80]}", param=name)
        value = node == "true"
        if self.only is not None and value is not self.only:
            raise unsupported(f"{name}={node}", param=name)
        return value


@dataclass(frozen=True)
class Address:
    """An absolute http or https address."""

    required: bool = False

    def read(self, node: Node, name: str) -> str:
        value = Text().read(node, name)
        try:
            parts = urlsplit(value)
            good = (
                parts.scheme in ("http", "https") and bool(HOST.fullmatch(parts.netloc)) and parts.port != 0
            )
        except ValueError:
            good = False
        if not good or not value.isprintable() or " " in value:
            raise invalid("Not a valid URL", param=name, code="url_invalid")
        return value


@dataclass(frozen=True)
class Metadata:
    """At most 50 pairs, names up to 40 and values up to 500 characters; "" for the object clears it."""

    required: bool = False

    def read(self, node: Node, name: str) -> dict[str, str] | None:
        if node == "":
            return None
        if isinstance(node, str):
            raise invalid(f"Invalid object: {name} must be a set of names and values.", param=name)
        if len(node) > 50:
            raise invalid("You can only specify up to 50 metadata keys.", param=name)
        return {key: self._value(key, value, f"{name}[{key}]") for key, value in node.items()}

    def _value(self, key: str, value: Node, name: str) -> str:
        if len(key) > 40:
            raise invalid("Metadata keys must be at most 40 characters long.", param=name)
        if not isinstance(value, str):
            raise invalid("Metadata values must be strings.", param=name)
        if len(value) > 500:
            raise invalid("Metadata values must be at most 500 characters long.", param=name)
        return value


@dataclass(frozen=True)
class Many:
    """A list, sent as `name[0]`, `name[1]`, … or `name[]`."""

    item: Field
    required: bool = False
    most: int = 100

    def read(self, node: Node, name: str) -> list[Any]:
        if isinstance(node, str):
            raise invalid(f"Invalid array: {name}", param=name)
        if not all(index.isdecimal() for index in node):
            raise invalid(f"Invalid array: {name} has names where numbers belong.", param=name)
        if len(node) > self.most:
            raise invalid(f"Invalid array: {name} takes at most {self.most} elements.", param=name)
        ordered = sorted(node.items(), key=lambda entry: int(entry[0]))
        return [self.item.read(value, f"{name}[{index}]") for index, value in ordered]


@dataclass(frozen=True)
class Nested:
    """An object with declared fields; anything else in it is refused."""

    fields: Mapping[str, Field]
    required: bool = False

    def read(self, node: Node, name: str) -> Params:
        if isinstance(node, str):
            raise invalid(f"Invalid object: {name}", param=name)
        return read(node, self.fields, name)


@dataclass(frozen=True)
class Unsupported:
    """A parameter that Stripe knows and the stand-in does not."""

    required: bool = False

    def read(self, node: Node, name: str) -> Any:
        raise unsupported(f"the parameter {name}", param=name)


@dataclass(frozen=True)
class Created:
    """A time to filter by: seconds since 1970, or any of gt, gte, lt, lte."""

    required: bool = False

    def read(self, node: Node, name: str) -> Params:
        if isinstance(node, str):
            return {"eq": Integer().read(node, name)}
        return read(node, dict.fromkeys(("gt", "gte", "lt", "lte"), Integer()), name)


def read(node: Mapping[str, Node], fields: Mapping[str, Field], prefix: str = "") -> Params:
    """The declared `fields` out of `node`; ApiError for an unknown, a missing or an invalid one."""

    def full(name: str) -> str:
        return f"{prefix}[{name}]" if prefix else name

    unknown = [full(name) for name in node if name not in fields]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        message = f"Received unknown parameter{plural}: {', '.join(unknown)[:500]}"
        raise invalid(message, param=unknown[0], code="parameter_unknown")
    for name, field in fields.items():
        if field.required and name not in node:
            raise invalid(
                f"Missing required param: {full(name)}.", param=full(name), code="parameter_missing"
            )
    return {name: fields[name].read(value, full(name)) for name, value in node.items()}
