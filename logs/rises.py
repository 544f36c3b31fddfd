"""Tells people by mail, before it happens, that a price of a model rises that they used in the last 30 days.

Once for each wallet and price version, or rate of its group. A notice is found again each minute until the price holds, so
who begins to use the model meanwhile is told too; the mail follows from the table. The only module that writes rise notices.
Mails tell what a wallet pays, with the rate of its group. A mail is rather sent twice than lost, unless no server takes it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection, transaction
from django.db.models import F, Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from logs.models import RiseNotice
from pricing import announced, catalogue, rises
from pricing.announced import Rise
from pricing.rating import PriceTable
from pricing.rises import Step
from wallet import rounds, unsent
from wallet.models import Wallet

USED_WITHIN = timedelta(days=30)
# Who began to send a mail and says nothing for this long has died over it.
GIVEN_UP = timedelta(minutes=10)

# What the table of daily usage knows: the day of a call's id.
_OF_VERSIONS = """
INSERT INTO logs_risenotice (wallet_id, price_version_id)
SELECT DISTINCT used.wallet_id, rise.version_id
FROM unnest(%s::bigint[], %s::bigint[]) AS rise (model_id, version_id)
JOIN tokens_dailyusage used ON used.model_id = rise.model_id AND used.day >= %s
WHERE NOT EXISTS (
    SELECT FROM logs_risenotice told WHERE told.wallet_id = used.wallet_id AND told.price_version_id = rise.version_id)
ON CONFLICT DO NOTHING
"""
_OF_RATES = """
INSERT INTO logs_risenotice (wallet_id, group_rate_id)
SELECT DISTINCT used.wallet_id, rise.rate_id
FROM unnest(%s::bigint[], %s::bigint[]) AS rise (group_id, rate_id)
JOIN wallet_wallet member ON member.customer_group_id = rise.group_id
JOIN tokens_dailyusage used ON used.wallet_id = member.id AND used.day >= %s
WHERE NOT EXISTS (
    SELECT FROM logs_risenotice told WHERE told.wallet_id = used.wallet_id AND told.group_rate_id = rise.rate_id)
ON CONFLICT DO NOTHING
"""


def note() -> None:
    """Write the notices of what rises from now on and has none. Safe to run at any time and in parallel."""
    now = timezone.now()
    since = (now - USED_WITHIN).date()
    of_models, of_rates = announced.coming(now), announced.coming_rates(now)
    with connection.cursor() as cursor:
        if of_models:
            models = [rise.model.id for rise in of_models]
            versions = [rise.after.table.version_id for rise in of_models]
            cursor.execute(_OF_VERSIONS, [models, versions, since])
        if of_rates:
            groups = [rise.after.group_id for rise in of_rates]
            cursor.execute(_OF_RATES, [groups, [rise.after.pk for rise in of_rates], since])


def tell(limit: int = 100) -> int:
    """Write to so many owners of wallets with notices that nobody told them. Returns how many were looked at."""
    due = RiseNotice.objects.filter(_is_due()).order_by(F("mail_begun_at").asc(nulls_first=True), "id")
    wallets = list(dict.fromkeys(due.values_list("wallet_id", flat=True)[: limit * 20]))[:limit]
    return rounds.go_round("the mail about prices to wallet", wallets, _tell_owner)


def _is_due() -> Q:
    return Q(told_at=None) & (Q(mail_begun_at=None) | Q(mail_begun_at__lt=timezone.now() - GIVEN_UP))


def _tell_owner(wallet_id: int) -> None:
    """All notices of the wallet in one mail. Whoever takes them writes; nobody else does, unless that one dies."""
    with transaction.atomic():
        due = RiseNotice.objects.filter(_is_due(), wallet=wallet_id).select_for_update(
            skip_locked=True, of=("self",)
        )
        found = list(due.select_related("price_version__model", "group_rate__group"))
        taken = RiseNotice.objects.filter(pk__in=[notice.pk for notice in found])
        taken.update(mail_begun_at=timezone.now())
    wallet = Wallet.objects.select_related("owner").get(pk=wallet_id)
    if found and wallet.owner.closed_at is None:
        name = f"rising prices, since notice {min(notice.pk for notice in found)}"
        if not unsent.send(name, wallet_id, lambda: _send(wallet, found)):
            return
    taken.update(told_at=timezone.now(), mail_begun_at=None)


def _send(wallet: Wallet, notices: Iterable[RiseNotice]) -> None:
    told = [rise for notice in notices if (rise := _rise_of(notice)) is not None]
    rates = [notice.group_rate for notice in notices if notice.group_rate is not None]
    if not told and not rates:
        return  # Taken back meanwhile.
    context = {
        "site_name": settings.SITE_NAME,
        "site_url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "rises": [
            (rise, _steps(rise, wallet), settings.SITE_URL + reverse("model", args=[rise.model.name]))
            for rise in sorted(told, key=lambda rise: (rise.after.effective_from, rise.model.name))
        ],
        "rates": rates,
        "days": USED_WITHIN.days,
        "page": settings.SITE_URL + reverse("pricing"),
    }
    subject = "Prices of models that you use rise"
    if len(told) == 1 and not rates:
        subject = f"The price of {told[0].model.name} rises"
    send_mail(
        f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}",
        render_to_string("logs/email/rises_message.txt", context),
        None,
        [wallet.owner.email],
    )


def _rise_of(notice: RiseNotice) -> Rise | None:
    """As it stands now; None where another version was put before it, so that nothing rises."""
    if notice.price_version is None:
        return None
    model = catalogue.priced(notice.price_version.model.name, fresh=True)
    found = announced.rises_of(model) if model else ()
    return next((rise for rise in found if rise.after.table.version_id == notice.price_version_id), None)


def _steps(rise: Rise, wallet: Wallet) -> list[Step]:
    """What this wallet pays before and after, for each unit whose price changes."""
    at = rise.after.effective_from
    return rises.steps(_own(rise.before.table, wallet, at), _own(rise.after.table, wallet, at))


def _own(table: PriceTable, wallet: Wallet, at: datetime) -> PriceTable:
    rate = catalogue.rate_of(wallet.customer_group_id, at=at)
    return table.with_rate(rate.multiplier_bp) if rate else table
