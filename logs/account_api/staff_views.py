"""What everybody did and paid, for staff. As in the admin panel, looking is not audited; acts are."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts.models import User
from logs import sums
from logs.account_api import asking, log_views, person_views, rows
from logs.account_api.asking import Unclear
from logs.account_api.looking import Sought, as_uuid
from logs.sums import Span, Sums
from pricing import quota
from pricing.models import Model
from pricing.money import NANO_PER_CENT
from pricing.quota import dollars
from tokens.models import ApiKey, DailyUsage
from wallet.models import TopUp, Wallet

LONGEST_TIME = timedelta(days=366)
USUAL_TIME = timedelta(days=30)
CHANNEL = "stripe"
STATES = {
    TopUp.State.CREATED: "pending",
    TopUp.State.OPEN: "pending",
    TopUp.State.PENDING: "pending",
    TopUp.State.PAID: "success",
    TopUp.State.FAILED: "failed",
    TopUp.State.EXPIRED: "expired",
    TopUp.State.PARKED: "parked",
}


@asking.own
def logs(request: HttpRequest, token: ApiKey) -> HttpResponse:
    """The log of everybody, or of whom `user_id` or `username` names.

    Clients look a call up by its id here, whoever they are: who is not of the staff finds it among their own calls.
    """
    if asking.is_staff(token):
        return log_views.list_of(request, log_views.sought_of(request, _wallets(request)))
    if request.GET.get("request_id"):
        return log_views.list_of(request, log_views.sought_of(request, [token.wallet_id]))
    return asking.refuse_stranger()


@asking.staff
def log_stat(request: HttpRequest, token: ApiKey) -> HttpResponse:
    return log_views.stat_of(log_views.sought_of(request, _wallets(request)))


@asking.staff
def usage_data(request: HttpRequest, token: ApiKey) -> HttpResponse:
    """What was used of each model on each UTC day, of everybody or of whom is named; at most LONGEST_TIME."""
    if request.GET.get("default_time", "day") != "day":
        raise Unclear("default_time must be day.")
    wallets, span = _wallets(request), _span(request)
    sought = Sought(wallets, span)
    usage = DailyUsage.objects.all() if wallets is None else DailyUsage.objects.filter(wallet__in=wallets)
    found: dict[tuple[date, int], Sums] = {}
    for day, model_id, part in sums.by_day_and_model(usage, sought.calls, span):
        found[day, model_id] = found.get((day, model_id), Sums()) + part
    names = dict(Model.objects.filter(pk__in={key[1] for key in found}).values_list("pk", "name"))
    owner = Wallet.objects.get(pk=wallets[0]).owner_id if wallets and len(wallets) == 1 else None
    return asking.answer(
        [
            {
                "user_id": owner or 0,
                "username": rows.username(owner) if owner else "",
                "model_name": names[model_id],
                "created_at": rows.seconds(sums.midnight(day)),
                "count": part.calls,
                "token_used": part.tokens,
                "quota": quota.used_units(part.charged_nanousd),
            }
            for (day, model_id), part in sorted(found.items())
        ]
    )


@csrf_exempt
def person(request: HttpRequest, user_id: int) -> HttpResponseBase:
    """Anybody's profile, as they see it themselves."""

    @asking.staff
    def profile(request: HttpRequest, token: ApiKey) -> HttpResponse:
        known = Wallet.objects.select_related("owner", "customer_group")
        wallet = known.filter(owner=user_id).first() if user_id <= asking.LARGEST_ID else None
        return asking.nobody() if wallet is None else asking.answer(person_views.profile_of(wallet))

    return profile(request)


@asking.staff
def top_ups(request: HttpRequest, token: ApiKey) -> HttpResponse:
    """Top-ups of everybody or of whom is named, newest first."""
    page, found = asking.page(request), _top_ups(request)
    listed = found.order_by("-created_at", "-id")[page.offset : page.offset + page.size]
    return page.answer([_top_up(each) for each in listed.select_related("wallet__owner")], found.count())


def _wallets(request: HttpRequest) -> Sequence[int] | None:
    """Of whom `user_id` and `username` (or an address in its place) name; None where neither is there."""
    owner = asking.integer(request, "user_id", least=1, most=asking.LARGEST_ID)
    name = asking.text(request, "username")
    if owner is None and not name:
        return None
    found = User.objects.all() if owner is None else User.objects.filter(pk=owner)
    if name:
        found = found.filter(_named(name))
    return list(Wallet.objects.filter(owner__in=found).values_list("pk", flat=True))


def _named(name: str) -> Q:
    number = name.removeprefix("user-")
    if number != name and number.isascii() and number.isdecimal() and len(number) < 19:
        return Q(pk=int(number))
    return Q(email=name.lower())


def _span(request: HttpRequest) -> Span:
    """The time asked for; USUAL_TIME until now where it does not begin. Raises Unclear for too long a one."""
    start, end = asking.moments(request, "start_timestamp", "end_timestamp")
    until = min(end or timezone.now(), timezone.now() + timedelta(days=1))
    if start is not None and until - start > LONGEST_TIME:
        raise Unclear(f"start_timestamp may lie at most {LONGEST_TIME.days} days before end_timestamp.")
    return Span(start or until - USUAL_TIME, end)


def _top_ups(request: HttpRequest) -> QuerySet[TopUp]:
    found = TopUp.objects.all()
    owner = asking.integer(request, "user_id", least=1, most=asking.LARGEST_ID)
    if owner is not None:
        found = found.filter(wallet__owner=owner)
    if email := asking.text(request, "email"):
        found = found.filter(wallet__owner__email=email.lower())
    if number := asking.text(request, "trade_no"):
        found = found.filter(_numbered(number))
    if payment := asking.text(request, "payment_intent_id"):
        found = found.filter(payment_intent_id=payment)
    if asking.text(request, "payment_channel") not in {"", CHANNEL}:
        found = found.none()
    if word := asking.text(request, "keyword"):
        known = Q(payment_intent_id=word) | Q(session_id=word) | Q(wallet__owner__email=word.lower())
        found = found.filter(known | _numbered(word))
    start, end = asking.moments(request, "start_time", "end_time")
    if start:
        found = found.filter(created_at__gte=start)
    return found.filter(created_at__lt=end) if end else found


def _numbered(number: str) -> Q:
    top_up_id = as_uuid(number)
    return Q(pk__in=[]) if top_up_id is None else Q(pk=top_up_id)


def _top_up(top_up: TopUp) -> dict[str, Any]:
    """`amount` is what was or would be credited, `money` what was or would be paid: both in dollars, the second with tax."""
    is_paid = top_up.state == TopUp.State.PAID
    credit = top_up.received_nanousd if is_paid else top_up.amount_cents * NANO_PER_CENT
    return {
        "id": str(top_up.pk),
        "trade_no": str(top_up.pk),
        "user_id": top_up.wallet.owner_id,
        "email": top_up.wallet.owner.email,
        "amount": dollars(credit),
        "money": dollars(credit + top_up.tax_nanousd),
        "payment_intent_id": top_up.payment_intent_id or "",
        "payment_channel": CHANNEL,
        "status": STATES[TopUp.State(top_up.state)],
        "create_time": rows.seconds(top_up.created_at),
        "complete_time": rows.seconds(top_up.paid_at) if top_up.paid_at else 0,
        "is_auto_top_up": top_up.is_automatic,
    }
