"""The pages of statements: the list of months, and one month as a file."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from wallet.models import Wallet
from wallet.statements import months, numbers, pdf, table
from wallet.statements.months import Month
from wallet.wallets import wallet_of

TYPES = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}


@login_required
@require_safe
def statements(request: HttpRequest) -> HttpResponse:
    """Every month of the wallet, newest first, with what it began and ended with."""
    try:
        found = numbers.list_of(wallet_of(cast("User", request.user)))
    except numbers.DoesNotClose:
        return _refused(request)
    return render(request, "wallet/statements.html", {"months": found})


@login_required
@require_safe
def statement(request: HttpRequest, month: str, kind: str) -> HttpResponse:
    """A month of one's own wallet as a file; not found before it was opened, and in the future."""
    mine = wallet_of(cast("User", request.user))
    wanted = _existing(mine, month)
    try:
        found = numbers.of(mine, wanted)
    except numbers.DoesNotClose:
        return _refused(request)
    content = pdf.written(found) if kind == "pdf" else table.written(found)
    name = f"statement-{wanted}{'' if found.ends.is_closed else '-so-far'}.{kind}"
    return HttpResponse(
        content,
        content_type=TYPES[kind],
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
        },
    )


def _existing(mine: Wallet, text: str) -> Month:
    try:
        wanted = months.read(text)
    except ValueError as error:
        raise Http404(str(error)) from None
    if not months.first_of(mine) <= wanted <= months.of(timezone.now()):
        raise Http404("Your wallet has no statement of this month.")
    return wanted


def _refused(request: HttpRequest) -> HttpResponse:
    return render(request, "wallet/statements.html", {"is_refused": True}, status=500)
