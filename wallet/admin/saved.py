"""A wallet's saved card and its automatic top-ups, as staff read them."""

from django.utils import timezone

from pricing.money import NANO_PER_CENT, usd
from staff.admin import lines
from wallet.auto_topups import charged_this_month_cents
from wallet.models import AutoTopUp, SavedCard, Wallet


def card(wallet: Wallet) -> str:
    """Brand, last four digits and expiry, or a dash."""
    found = SavedCard.objects.filter(wallet=wallet).first()
    if found is None:
        return "-"
    brand = found.brand.capitalize() or "Card"
    if found.expires is None:
        return f"{brand} ending in {found.last_four}"
    expires = "expired" if found.expires < timezone.now().date() else "expires"
    return f"{brand} ending in {found.last_four}, {expires} {found.expires:%m/%Y}"


def automatic(wallet: Wallet) -> str:
    """What the owner wants, and what became of it: a line each, or that nothing was ever wanted."""
    wish = AutoTopUp.objects.filter(wallet=wallet).first()
    if wish is None:
        return "Never switched on."
    charged = charged_this_month_cents(wallet.pk)
    told = [
        _state(wish),
        f"Below {_usd(wish.below_cents)} adds {_usd(wish.add_cents)}",
        f"At most {_usd(wish.monthly_cents)} in a calendar month, {_usd(charged)} of it charged in this one",
    ]
    if wish.paused_for:
        told.append(f"Paused for: {wish.paused_for}")
    if wish.next_attempt_at and wish.next_attempt_at > timezone.now():
        told.append(
            f"Not before {wish.next_attempt_at:%Y-%m-%d %H:%M} UTC; declines in a row: {wish.declines}"
        )
    return lines(told)


def _state(wish: AutoTopUp) -> str:
    if not wish.is_on:
        return "Off"
    return "On, paused" if wish.paused_for else "On"


def _usd(cents: int) -> str:
    return usd(cents * NANO_PER_CENT)
