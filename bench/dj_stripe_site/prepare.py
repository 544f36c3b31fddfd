"""Makes the tables and an endpoint, and prints the endpoint's id."""

import os
from typing import Any

import django
from django.apps import apps
from django.core.management import call_command

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    account = _model("Account").objects.create(id="acct_bench", livemode=False)
    key = _model("APIKey").objects
    key.create(
        id="sk_test",
        type="secret",
        secret=os.environ["PEER_KEY"],
        djstripe_owner_account=account,
        livemode=False,
    )
    endpoint = _model("WebhookEndpoint").objects.create(
        id="we_bench",
        secret=SECRET,
        enabled_events=["*"],
        url="http://127.0.0.1/",
        status="enabled",
        livemode=False,
        djstripe_owner_account=account,
    )
    print(endpoint.djstripe_uuid)


def _model(name: str) -> Any:
    return apps.get_model("djstripe", name)


if __name__ == "__main__":
    main()
