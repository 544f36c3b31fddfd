"""The account that the key belongs to."""

from .context import Context
from .line_items import CURRENCY
from .params import Params
from .routes import EXPAND, Route
from .store import Json

# One stand-in is one account, so this is a name and no secret.
ID = "acct_sandbox00000000"


def _show(ctx: Context, params: Params) -> Json:
    name = "Stripe sandbox"
    return {
        "id": ID,
        "object": "account",
        "business_profile": {"name": name, "support_email": None, "url": ctx.settings.base_url},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "us_bank_account_ach_payments": "active"},
        "charges_enabled": True,
        "country": "US",
        "default_currency": CURRENCY,
        "details_submitted": True,
        "email": "sandbox@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
            "card_payments": {
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": name, "timezone": "Etc/UTC"},
            "payments": {
                "statement_descriptor": "STRIPE SANDBOX",
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
            },
        },
        "type": "standard",
    }


ROUTES = [Route("GET", "/v1/account", _show, EXPAND)]
