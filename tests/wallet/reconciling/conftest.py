"""A stand-in without a past, whose webhooks are all lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stripe_sandbox.process import KEY, SECRET, Sandbox
from wallet.stripe_api import listing

ENDPOINT = "http://127.0.0.1:8000/wallet/stripe/webhook/"


@pytest.fixture
def stripe(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """With no past, so that all that lies there is this test's."""
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_WEBHOOK_SECRET = SECRET
    settings.SITE_URL = "http://127.0.0.1:8000"
    # What people do is done in hundreds here.
    settings.TOP_UPS_PER_HOUR = 10_000
    monkeypatch.setattr(listing, "_sleep", lambda seconds: None)
    with Sandbox(tmp_path / "stripe", "--bank-delay", "86400").running() as sandbox:
        settings.STRIPE_API_BASE = sandbox.url
        sandbox.client().v1.webhook_endpoints.create({"url": ENDPOINT, "enabled_events": ["*"]})
        sandbox.command("webhooks/drop")
        yield sandbox
