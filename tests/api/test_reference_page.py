"""The page to read the APIs on."""

import re

import pytest
from django.conf import settings
from django.test import Client

from cometsite.openapi import reading
from cometsite.openapi.parts import SAME_AS
from pricing.units import UNITS
from tests.api.checking import DOCUMENT

pytestmark = pytest.mark.django_db


def test_every_operation_stands_there_with_its_fields(client: Client) -> None:
    text = client.get("/api/").content.decode()
    for path, item in DOCUMENT["paths"].items():
        assert f"<code>{path}</code>" in text
        for operation in item.values():
            if SAME_AS in operation:  # stands beside the first
                continue
            assert f'id="{operation["operationId"]}"' in text
            assert f'href="#{operation["operationId"]}"' in text
    for unit in UNITS:
        assert f"<code>calls[].usage.{unit}</code>" in text
    assert f"curl {settings.SITE_URL}/metering/v1/authorize" in text


def test_it_brings_no_script_of_its_own(client: Client) -> None:
    text = client.get("/api/").content.decode()
    assert not re.search(r"<script(?![^>]+src=)|<style| style=| on\w+=", text)
    assert len(re.findall(r'id="([^"]+)"', text)) == len(set(re.findall(r'id="([^"]+)"', text)))


def test_words_between_backticks_are_code() -> None:
    assert reading.prose("Use `POST`.\n`x`") == [
        [(False, "Use "), (True, "POST"), (False, ".")],
        [(True, "x")],
    ]


def test_bounds_are_told_in_words() -> None:
    (metering, *_) = reading.groups(DOCUMENT)
    fields = {field.name: field for field in metering.operations[1].body}
    assert fields["calls"].kind == "array, 1 to 1,000"
    assert fields["calls[].token_id"].kind == "integer, at least 1"
    assert fields["calls[].usage.images"].kind == "integer, 0 to 10,000"
    assert fields["calls[].status"].kind == 'string, "succeeded" or "failed"'
    assert not fields["calls[].stream"].is_required
