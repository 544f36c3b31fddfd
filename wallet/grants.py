"""Credit that is given, and taken back. Starter credit is given once per person: per account, and per inbox
(accounts/identity.py).

Never gives twice: the reference of the transfer is the keyed hash of the normalised address, and references are unique.
Never takes bought money back: a grant is withdrawn once, and only what is left of promotional credit.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.audit import Refused
from accounts.identity import identity_hash
from accounts.models import User
from pricing.money import usd
from wallet import corrections, ledger
from wallet.models import Account, Code, Transfer, Wallet
from wallet.wallets import wallet_of

GRANTS = (Code.GRANT, Code.STARTER_GRANT)


def give_starter_credit(user: User) -> Transfer | None:
    """Post this person's starter credit if it is due and was never given; safe to call at any time, any number of times.

    Due means: the address is verified, or the operator needs no verification. None where it isn't due, where this
    inbox had it under another account, or where today's budget for all sign-ups (STARTER_CREDIT_DAILY_LIMIT) is spent.
    """
    if not settings.STARTER_CREDIT_NANOUSD or not user.is_active or not _address_counts(user):
        return None
    wallet = wallet_of(user)
    with transaction.atomic():
        ledger.lock([wallet.pk])
        if Transfer.objects.filter(wallet=wallet, code=Code.STARTER_GRANT).exists():
            return None
        reference = _starter_reference(user)
        # The lock that the budget takes also puts other accounts of the same inbox in line.
        if _budget_is_spent() or Transfer.objects.filter(reference=reference).exists():
            return None
        return ledger.post(
            code=Code.STARTER_GRANT,
            reference=reference,
            debit=ledger.house("promotions"),
            credit=ledger.promotional(wallet),
            amount_nanousd=settings.STARTER_CREDIT_NANOUSD,
        )


def had_starter_credit_elsewhere(user: User) -> bool:
    """Whether this person's inbox had its starter credit under another account.

    Told of a verified address only: to anybody else it would say who has an account here.
    """
    if not _is_verified(user):
        return False
    return Transfer.objects.filter(reference=_starter_reference(user)).exclude(wallet__owner=user).exists()


def give_missing_starter_credit(limit: int = 500) -> int:
    """Find people whose starter credit got lost between sign-up and grant, and give it. Returns how many got it."""
    had_it = Transfer.objects.filter(wallet__owner=OuterRef("pk"), code=Code.STARTER_GRANT)
    recent = timezone.now() - datetime.timedelta(days=7)
    waiting = User.objects.filter(~Exists(had_it), is_active=True, date_joined__gte=recent).order_by("?")[
        :limit
    ]
    return sum(give_starter_credit(user) is not None for user in waiting)


def give(wallet: Wallet, amount_nanousd: int, *, reference: str, details: Mapping[str, Any]) -> Transfer:
    """Post credit that staff give, inside the caller's transaction. Who may is decided in wallet/acts.py."""
    return ledger.post(
        code=Code.GRANT,
        reference=reference,
        debit=ledger.house("promotions"),
        credit=ledger.promotional(wallet),
        amount_nanousd=amount_nanousd,
        details=details,
    )


def check_void(grant: Transfer, amount_nanousd: int) -> None:
    """Raises Refused unless this much of this grant can be withdrawn; it then can until the transaction ends.

    Locks the grant and the wallet (`ledger.lock`).
    """
    corrections.check(grant)
    is_given = grant.code in GRANTS and grant.credit_account.kind == Account.Kind.PROMOTIONAL
    if not is_given or grant.wallet is None:
        raise Refused("Only credit that was given can be withdrawn.")
    if amount_nanousd > grant.amount_nanousd:
        raise Refused(f"Only {usd(grant.amount_nanousd)} was given.")
    left = ledger.lock([grant.wallet.pk])[grant.wallet.pk].promotional_nanousd
    if amount_nanousd > left:
        raise Refused(f"Only {usd(max(left, 0))} of promotional credit is left; the rest was used.")


def void(grant: Transfer, amount_nanousd: int, *, reference: str, details: Mapping[str, Any]) -> Transfer:
    """Post the withdrawal of a grant, or of a part of it, inside the caller's transaction. Raises Refused."""
    check_void(grant, amount_nanousd)
    return ledger.post(
        code=Code.GRANT_VOID,
        reference=reference,
        debit=grant.credit_account,
        credit=grant.debit_account,
        amount_nanousd=amount_nanousd,
        details=details,
        corrects=grant,
    )


def _starter_reference(user: User) -> str:
    return f"starter:{identity_hash(user.email)}"


def _address_counts(user: User) -> bool:
    return not settings.EMAIL_VERIFICATION_REQUIRED or _is_verified(user)


def _is_verified(user: User) -> bool:
    return bool(EmailAddress.objects.filter(user=user, email__iexact=user.email, verified=True).exists())


def _budget_is_spent() -> bool:
    """One lock for all grants of starter credit, so that the daily budget holds under parallel sign-ups too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('starter-credit'))")
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    given = Transfer.objects.filter(code=Code.STARTER_GRANT, created_at__gte=midnight).count()
    return given >= settings.STARTER_CREDIT_DAILY_LIMIT
