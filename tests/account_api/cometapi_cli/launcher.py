"""Runs the tool with another host for the account API, which it has as a constant; its environment has the rest."""

import os

from cometapi_cli import client

client.COMETAPI_DASHBOARD_BASE = os.environ["DASHBOARD"]

from cometapi_cli.app import app  # noqa: E402

app()
