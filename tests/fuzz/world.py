"""People, keys of every kind and what they did: what a question must name to be answered with more than a refusal."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.test import Client

from accounts.models import User
from logs import call_ids
from pricing import groups
from tests.metering.gateway import Gateway, call, give, sell
from tokens import keys
from tokens.keys import Rules
from tokens.models import ApiKey
from wallet.models import TopUp
from wallet.wallets import wallet_of

USD = 10**9
Kind = ApiKey.Kind


@dataclass
class World:
    """Alice, who has money and calls and belongs to a customer group; somebody of the staff; charlie, who has nothing."""

    gateway: Gateway = field(default_factory=Gateway)
    finder: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.alice = User.objects.create_user("alice@example.com", "correct horse battery")
        self.charlie = User.objects.create_user("charlie@example.com", "correct horse battery")
        self.staff = User.objects.create_superuser("staff@example.com", "correct horse battery")
        self._sell()
        self._issue()
        self._use()
        client = Client()
        client.force_login(self.alice)
        self.session = client.cookies[settings.SESSION_COOKIE_NAME].value

    def _sell(self) -> None:
        sell()
        sell("gpt-4.1-mini")
        sell("suno_music", {"calls": 10**11}, kind="music")
        sell("dall-e-3", {"images": 4 * 10**10}, kind="image")

    def _issue(self) -> None:
        wallet = give(self.alice, 1_000_000 * USD)
        wallet.customer_group = groups.create("partners", multiplier_bp=9_000)
        wallet.save()
        self.inference = keys.issue(wallet, "laptop")
        self.query = keys.issue(wallet, "=meter", Kind.QUERY)
        self.access = keys.issue(wallet, "console", Kind.ACCOUNT)
        self.staffs = keys.issue(wallet_of(self.staff), "panel", Kind.ACCOUNT)
        self.poor = keys.issue(wallet_of(self.charlie), "empty")
        self.revoked = keys.issue(wallet, "old")
        keys.revoke(self.revoked.key)
        self.leaked = keys.issue(wallet, "in public")
        self.limited = keys.issue(wallet, "limited")
        rules = Rules(limit_nanousd=USD, period="day", period_limit_nanousd=USD, requests_per_minute=1)
        keys.change(self.limited.key, "limited", rules)
        self.elsewhere = keys.issue(wallet, "office")
        keys.change(self.elsewhere.key, "office", Rules(networks=["192.0.2.0/24"], model_ids=[]))

    def _use(self) -> None:
        key = self.inference.key
        sent = [
            call(key, latency_ms=1_600, first_token_ms=200, stream=True, client_ip="203.0.113.7"),
            call(key, upstream_id="chatcmpl-1", endpoint="/v1/chat/completions"),
            call(key, status="failed", usage={}, error="upstream is away"),
            call(key, model="suno_music", usage={"calls": 2}, endpoint="/suno/submit/music"),
            call(self.limited.key),
        ]
        results = self.gateway.record(*sent)
        assert {result["result"] for result in results} == {"accepted"}, results
        self.calls = [str(each["call_id"]) for each in sent]
        self.top_up = str(TopUp.objects.create(wallet=wallet_of(self.alice), amount_cents=500).pk)

    def report(self) -> dict[str, Any]:
        return call(self.inference.key, call_id=str(call_ids.new()), started_at=datetime.now(UTC).isoformat())

    @property
    def texts(self) -> list[str]:
        """A key of each kind, and some that are none, or no longer."""
        issued = (self.inference, self.query, self.access, self.staffs, self.poor, self.limited, self.revoked)
        return [self.gateway.key, *(each.text for each in issued), "sk-", "", "é", "x" * 300]
