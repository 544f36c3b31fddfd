"""What every page's frame shows."""

from django.conf import settings
from django.http import HttpRequest

from pricing.money import NANO_PER_USD, usd
from wallet import wallets


def navigation(request: HttpRequest) -> dict[str, object]:
    context: dict[str, object] = {
        "site_name": settings.SITE_NAME,
        "support_email": settings.SUPPORT_EMAIL,
        "nav_balance": None,
    }
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated and not request.path.startswith("/admin/"):
        context["nav_balance"] = usd(_whole_cents(wallets.funds_of(user).balance_nanousd))
    return context


def _whole_cents(amount_nanousd: int) -> int:
    """Rounded down, so that the frame never shows more than there is; the wallet's page shows all of it."""
    cent = NANO_PER_USD // 100
    return amount_nanousd // cent * cent
