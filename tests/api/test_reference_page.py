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


def found(anchor: str) -> reading.Operation:
    every = (each for group in reading.groups(DOCUMENT) for each in group.operations)
    return next(each for each in every if each.anchor == anchor)


def test_an_operation_stands_there_once_with_all_its_addresses() -> None:
    subscription = found("getSubscription")
    assert subscription.path == "/v1/dashboard/billing/subscription"
    assert subscription.others == ["/dashboard/billing/subscription"]
    anchors = [each.anchor for group in reading.groups(DOCUMENT) for each in group.operations]
    assert len(anchors) == len(set(anchors))
    assert not any(anchor.endswith("Too") for anchor in anchors)


@pytest.mark.parametrize(
    ("anchor", "sample"),
    [
        ("getQuota", 'curl "https://example.com/user/quota?key=$API_KEY"'),
        (
            "searchOwnLog",
            (
                'curl "https://example.com/api/log/self/search?keyword=gpt-4o" \\\n'
                '  -H "Authorization: Bearer $ACCESS_TOKEN"'
            ),
        ),
        ("getModel", "curl https://example.com/api/model/gpt-4-1"),
        ("reportLeakedKeys", ""),
        ("getReceipt", ""),
    ],
)
def test_how_to_ask_with_curl(anchor: str, sample: str) -> None:
    assert found(anchor).sample == sample


def test_fields_of_lists_and_of_names_that_nobody_knows_before() -> None:
    (success,) = found("getQuota").successes
    fields = {field.name: field for field in success.fields}
    assert fields["keys[].name"].is_required
    assert not fields["daily_quota"].is_required
    assert fields["daily_quota.*[].quota_used"].kind == "number, at least 0"
    assert {answer.status for answer in found("getQuota").others_than_success} > {"400", "404", "429"}
