"""What the help says of calling models, beside what the gateway answers and what is for sale."""

import re

import pytest
from django.test import Client

from cometsite.views import CLAUDE_MODEL
from gateway.answers import refusal
from gateway.metering import Refused
from gateway.routes import Style
from pricing import genai_listings

REFUSALS = (
    (402, "insufficient_balance"),
    (429, "key_limit_reached"),
    (429, "rate_limited"),
    (403, "model_not_allowed"),
    (403, "ip_not_allowed"),
)


@pytest.fixture
def page() -> str:
    return Client().get("/help/").text


@pytest.mark.django_db
def test_codes_of_limits_are_those_that_a_client_gets(page: str) -> None:
    told = re.findall(r"<li><code>(\w+)</code>(?: and <code>(\w+)</code>)?:", page)
    sent = {refusal(Refused(status, code, "No."), Style.OPENAI).code for status, code in REFUSALS}
    assert {code for codes in told for code in codes if code} == sent


@pytest.mark.django_db
def test_the_claude_of_the_examples_is_for_sale(page: str) -> None:
    assert set(re.findall(r"claude-[a-z]+-[\d-]+", page)) == {CLAUDE_MODEL}
    sold = {listing.name for listing in genai_listings.listings() if not listing.unsold_reason}
    assert CLAUDE_MODEL in sold
