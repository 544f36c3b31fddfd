"""The OpenAPI document by itself: well formed, complete, and true to the code's own words."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.conf import settings
from django.test import Client
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from cometsite.openapi.parts import SAME_AS
from cometsite.openapi.schemas import REJECTIONS
from pricing.units import UNITS
from tests.api.checking import DOCUMENT, complete, is_valid

METHODS = {"get", "post"}
# The page to read it on, and what answers for addresses that do not exist.
PAGES = {"api/", "metering/v1/"}
# What stands for a part of an address, here and in the document.
PARTS = {"{call_id}": "<uuid:call_id>", "{code}": "<path:code>", "{user_id}": "<int:user_id>"}
PROGRAMS = ("metering/", "api/", "v1/", "dashboard/", "user/", "tokens/leaks", "healthz", "readyz")


def nodes(node: Any = DOCUMENT) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from nodes(child)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_it_has_the_form_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations():
        assert path.startswith("/")
        assert method in METHODS
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch("[1-5][0-9]{2}", status)
            assert response["description"]
        named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        for choice in operation["security"]:
            assert choice.keys() <= DOCUMENT["components"]["securitySchemes"].keys()


def test_every_reference_leads_somewhere() -> None:
    found = {node["$ref"] for node in nodes() if "$ref" in node}
    defined = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert found <= defined
    schemas = json.dumps(DOCUMENT["paths"]) + json.dumps(DOCUMENT["components"])
    assert {name for name in defined if f'"{name}"' not in schemas} == set()


def test_every_schema_is_json_schema_2020_12() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_example_fits_its_schema() -> None:
    examples = [node for node in nodes(DOCUMENT["paths"]) if "example" in node]
    assert len(examples) > 20
    for media in examples:
        jsonschema_rs.validate(complete(media["schema"], closed=True), media["example"])


def test_every_documented_address_is_there() -> None:
    for path in DOCUMENT["paths"]:
        try:
            call_id = "0195f3a2-7c1e-7b4d-9a60-3f2c8d51e7b4"
            resolve(path.replace("{call_id}", call_id).replace("{code}", "x").replace("{user_id}", "3"))
        except Resolver404:
            pytest.fail(f"{path} is documented, but nothing answers there")


def test_every_api_address_is_documented_and_no_other() -> None:
    documented = {path.lstrip("/") for path in DOCUMENT["paths"]}
    for written, routed in PARTS.items():
        documented = {path.replace(written, routed) for path in documented}
    routes = dict(leaves(get_resolver()))
    assert documented <= routes.keys()
    # What programs post to is exempt from the check for forms.
    wanted = {
        route
        for route, callback in routes.items()
        if route.startswith(PROGRAMS) or getattr(callback, "csrf_exempt", False)
    }
    assert len(wanted) > 30
    assert wanted - documented == PAGES


def test_another_spelling_of_an_address_is_the_same_operation() -> None:
    found = 0
    for path, _, operation in operations():
        if SAME_AS in operation:
            found += 1
            (first,) = DOCUMENT["paths"][operation[SAME_AS]].values()
            assert SAME_AS not in first
            assert {**operation, "operationId": first["operationId"], SAME_AS: ""} == {**first, SAME_AS: ""}
            routes = dict(leaves(get_resolver()))
            assert routes[path.lstrip("/")] == routes[operation[SAME_AS].lstrip("/")]
    assert found == 8


def leaves(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from leaves(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


def test_the_units_are_those_that_are_rated() -> None:
    properties = DOCUMENT["components"]["schemas"]["Usage"]["properties"]
    assert {unit: form["maximum"] for unit, form in properties.items()} == {
        unit.code: unit.bound for unit in UNITS.values()
    }
    for unit in UNITS.values():
        assert is_valid("Usage", {unit.code: unit.bound})
        assert not is_valid("Usage", {unit.code: unit.bound + 1})
        assert not is_valid("Usage", {unit.code: -1})
    assert not is_valid("Usage", {"tokens": 1})


def test_the_error_codes_are_those_of_the_code() -> None:
    by_form: dict[str, set[str]] = {}
    for node in nodes(DOCUMENT["paths"]):
        if "allOf" in node:
            form, told = node["allOf"]
            codes = told["properties"]["error"]["properties"]["code"]["enum"]
            by_form.setdefault(form["$ref"].rpartition("/")[2], set()).update(codes)
    limits = {"key_limit_reached", "rate_limited"}  # in a conditional expression
    assert by_form["Error"] == limits | codes_in(
        "logs/metering.py",
        "logs/authorizing.py",
        "logs/receipt_views.py",
        of=r'(?:failure|Refused|BadCall|_refusal)\(\s*(?:\d+, )?"(\w+)"',
    ) - {"not_found"}
    assert by_form["OpenAIError"] == codes_in(
        "tokens/bearing.py",
        "cometsite/refusing.py",
        "cometsite/views.py",
        of=r'(?:failure|refusal)\((?:request, )?\d+, "(\w+)"|\(50\d, "(\w+)"\)',
    ) - {"not_found"}  # of addresses that are none
    each = codes_in(
        "logs/reports.py", "logs/recording.py", of=r'(?:BadCall\(\s*|_refused\(\s*entry, |"code": )"(\w+)"'
    )
    each |= codes_in("pricing/rating.py", of=r'code = "(\w+)"') - {"not_ratable"}  # the base of the others
    assert each == set(REJECTIONS)


def codes_in(*files: str, of: str) -> set[str]:
    source = "".join((Path(settings.BASE_DIR) / file).read_text() for file in files)
    return {next(filter(None, found.groups())) for found in re.finditer(of, source)}


def test_it_is_served_for_any_origin(client: Client) -> None:
    response = client.get("/api/openapi.json")
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response.json()["servers"] == [{"url": settings.SITE_URL}]
    assert response.json()["paths"].keys() == DOCUMENT["paths"].keys()
