"""The page to pay on. Plain forms; every choice does one thing, and it always does it."""

import re

from . import documents, params, payments, portal_page, sessions, setup_page, terms, terms_page
from .context import Context
from .errors import ApiError, invalid
from .http import Answer, Request, see_other
from .methods import METHODS
from .returning import cancel_url, dollars, error_box, link, message, origin, over, shop, success_url
from .store import Json, Record
from .templating import Markup, fill, joined, page, style

PAY = re.compile(r"/c/pay/([A-Za-z0-9_]+)")

# The method, the button's id, what it says, and what comes of it.
type Choice = tuple[str, str, str, str]

CHOICES: tuple[Choice, ...] = (
    ("card", "pay-card", "Card that works", "Visa ending in 4242, paid at once"),
    ("declined", "pay-declined", "Card that is declined", "Visa ending in 0002, you can try again after it"),
    ("bank", "pay-bank", "Bank debit that settles later", "Pending first, paid in about {delay}"),
    ("bank_fails", "pay-bank-fails", "Bank debit that fails", "Pending first, refused in about {delay}"),
)
# They all pay at once, like the first; the difference comes afterwards.
LATER: tuple[Choice, ...] = (
    ("refund_pends", "pay-refund-pends", "Card whose refunds are slow", "7726, refunded in about {delay}"),
    (
        "refund_fails_later",
        "pay-refund-fails-later",
        "Card whose refunds fail",
        "5126, refunded, and returned after about {delay}",
    ),
    ("refund_waits", "pay-refund-waits", "Card whose refunds wait", "Pending until you decide them"),
    (
        "refund_needs_action",
        "pay-refund-needs-action",
        "Card whose refunds need the person",
        "They wait for details and can be canceled",
    ),
    ("disputed", "pay-disputed", "Card that is disputed", "0259, the money is withdrawn at once"),
    (
        "disputed_early",
        "pay-disputed-early",
        "Card that is disputed early",
        "0259, told of before the payment is",
    ),
    ("disputed_twice", "pay-disputed-twice", "Card that is disputed twice", "0079, each time half of it"),
    ("inquired", "pay-inquired", "Card whose bank only asks", "1976, an inquiry that moves no money"),
)


def answer(ctx: Context, request: Request) -> Answer:
    if request.path == "/sandbox.css" and request.method == "GET":
        return style()
    if found := portal_page.answer(ctx, request) or documents.answer(ctx, request):
        return found
    match = PAY.fullmatch(request.path)
    record = ctx.store.find(sessions.KIND, match[1]) if match else None
    if record is None:
        return message(
            "Page not found", "There is no checkout session and no other page at this address.", 404
        )
    if request.method not in ("POST", "GET", "HEAD"):
        return message("Not possible", "This page is read with GET and paid with POST.", 405)
    if request.method == "POST" and record.body["status"] == "complete":
        # A second click, or the form sent again after going back: on to where it leads.
        return see_other(success_url(record.body))
    act, show = (setup_page.act, setup_page.show) if record.body["mode"] == "setup" else (_pay, _show)
    if request.method == "POST" and record.body["status"] == "open":
        return act(ctx, record, request)
    return show(ctx, record)


def _pay(ctx: Context, record: Record, request: Request) -> Answer:
    try:
        fields = dict(params.pairs(request.body.decode(errors="replace")))
        with ctx.store.savepoint():
            if "terms" in fields:
                return _choose(ctx, record, request, fields)
            method = payments.pay(ctx, record, fields.get("method", ""))
    except ApiError as error:
        return _show(ctx, record, error=error.message, status=error.status)
    if record.body["status"] == "complete":
        return see_other(success_url(record.body))
    return _show(
        ctx, record, error=f"{method.failure_message} Nothing was paid. You can choose another way to pay."
    )


def _choose(ctx: Context, record: Record, request: Request, fields: dict[str, str]) -> Answer:
    """The country, the code or the currency; then the page again, with other amounts."""
    if "code" in fields and not record.body["allow_promotion_codes"]:
        raise invalid("This session takes no codes.", param="code")
    terms.choose(
        record, country=fields.get("country"), code=fields.get("code"), currency=fields.get("currency")
    )
    ctx.store.save(record)
    return see_other(request.path)


def _show(ctx: Context, record: Record, *, error: str = "", status: int = 200) -> Answer:
    session = record.body
    if session["status"] == "expired":
        return over(
            session, "This checkout has expired", "Nothing was paid. Go back and start a new payment."
        )
    if session["status"] == "complete":
        text = {
            "paid": "The payment was made. You can close this page.",
            "no_payment_required": "Nothing had to be paid. You can close this page.",
            "unpaid": "The bank debit was started. Its result comes to the shop by itself.",
        }[session["payment_status"]]
        return over(session, "This checkout is complete", text)
    content = fill(
        "pay.html",
        shop=shop(session["success_url"]),
        total=dollars(session["amount_total"]),
        currency=session["currency"].upper(),
        items=joined([_item(item) for item in record.private["items"]]),
        amounts=terms_page.amounts(session),
        presented=terms_page.presented(record),
        terms=terms_page.forms(record),
        error=error_box(error),
        ways=_ways(ctx, session),
        payer=_payer(session),
        cancel=link("cancel", cancel_url(session), "Cancel and go back"),
    )
    title = f"Pay {dollars(session['amount_total'])}"
    return page(title, content, status=status, form_targets=origin(session["success_url"]))


def _ways(ctx: Context, session: Json) -> Markup:
    """The ways to pay; one button where nothing has to be paid."""
    if not session["amount_total"]:
        texts = {"label": "Complete without paying", "hint": "The discount covers all of it"}
        return fill("choice.html", method="card", key="pay-card", **texts)
    choices = joined(_choices(ctx, session, CHOICES))
    return fill("ways.html", choices=choices, later=joined(_choices(ctx, session, LATER)))


def _item(item: Json) -> Markup:
    data = {"name": item["description"], "amount": dollars(item["amount_subtotal"])}
    return fill("item.html", quantity=f"{item['quantity']} × " if item["quantity"] > 1 else "", **data)


def _choices(ctx: Context, session: Json, known: tuple[Choice, ...]) -> list[Markup]:
    delay = f"{ctx.settings.bank_delay_s:g} seconds"
    offered = [choice for choice in known if METHODS[choice[0]].type in session["payment_method_types"]]
    return [
        fill("choice.html", method=method, key=key, label=label, hint=hint.format(delay=delay))
        for method, key, label, hint in offered
    ]


def _payer(session: Json) -> Markup:
    email = (session["customer_details"] or {}).get("email")
    return fill("payer.html", email=email) if email else Markup()
