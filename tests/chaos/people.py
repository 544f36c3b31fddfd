"""What the load needs in the product: wallets with keys and money, and the prices to check charges by.

Runs inside a quick start's `manage.py shell`, and prints one line of JSON.
"""

import json

from accounts.models import User
from pricing import catalogue
from tests.metering.gateway import give
from tokens import keys

MODELS = ("gpt-4o", "gpt-4o-mini", "gemini-2.5-flash")
# Nobody's money runs out: how a balance ends is tested elsewhere.
PLENTY_NANOUSD = 1_000 * 10**9


def make(wallets: int) -> None:
    """Prints {"keys": [[key, token_id, wallet_id], …], "gateway": key, "prices": {model: {unit: picousd}}}."""
    issued = []
    for number in range(wallets):
        user = User.objects.create_user(f"load-{number}@example.com", "correct horse battery")
        wallet = give(user, PLENTY_NANOUSD, "promotional" if number % 2 else "paid")
        # Some of it in the other account too, so that charges are split on the way.
        give(user, 1_000_000, "paid" if number % 2 else "promotional")
        for name in ("one", "two"):
            made = keys.issue(wallet, name)
            issued.append([made.text, made.key.pk, wallet.pk])
    prices = {name: catalogue.priced(name).versions[-1].table.rates[0][1] for name in MODELS}  # type: ignore[union-attr]
    print(json.dumps({"keys": issued, "gateway": keys.issue_gateway_key("load"), "prices": prices}))
