"""What docs/payments.md tells to subscribe the webhook endpoint to is what the product needs."""

import re
from pathlib import Path

from wallet import events
from wallet.models.stripe import FRAUD_WARNING

ROOT = Path(__file__).parents[2]


def test_the_documents_list_names_every_event_that_is_needed() -> None:
    text = (ROOT / "docs" / "payments.md").read_text()
    section = text.split("### Events to subscribe to\n")[1].split("\n#")[0]
    listed = re.findall(r"^- `([a-z_.]+)`$", section, re.MULTILINE)
    assert listed == sorted([*events.READERS, FRAUD_WARNING])


def test_the_readme_leads_to_that_list() -> None:
    assert "(docs/payments.md#events-to-subscribe-to)" in (ROOT / "README.md").read_text()
