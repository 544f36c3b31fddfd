"""The page to pay on. Plain forms; every choice does one thing, and it always does it."""

import re
from urllib.parse import urlsplit

from . import params, payments, sessions
from .context import Context
from .errors import ApiError
from .http import Answer, Request, see_other
from .methods import METHODS
from .store import Json, Record
from .templating import Markup, fill, joined, page, style

PAY = re.compile(r"/c/pay/([A-Za-z0-9_]+)")

CHOICES = (
    ("card", "pay-card", "Card that works", "Visa ending in 4242, paid at once"),
    ("declined", "pay-declined", "Card that is declined", "Visa ending in 0002, you can try again after it"),
    ("bank", "pay-bank", "Bank debit that settles later", "Pending first, paid in about {delay}"),
    ("bank_fails", "pay-bank-fails", "Bank debit that fails", "Pending first, refused in about {delay}"),
)


def answer(ctx: Context, request: Request) -> Answer:
    if request.path == "/sandbox.css" and request.method == "GET":
        return style()
    match = PAY.fullmatch(request.path)
    record = ctx.store.find(sessions.KIND, match[1]) if match else None
    if record is None:
        return _message(
            "Page not found", "There is no checkout session and no other page at this address.", 404
        )
    if request.method == "POST":
        return _pay(ctx, record, request)
    if request.method in ("GET", "HEAD"):
        return _show(ctx, record)
    return _message("Not possible", "This page is read with GET and paid with POST.", 405)


def dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"


def success_url(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def cancel_url(session: Json) -> str | None:
    address = session["cancel_url"]
    return address and str(address).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _pay(ctx: Context, record: Record, request: Request) -> Answer:
    if record.body["status"] == "complete":
        # A second click, or the form sent again after going back: on to where the payment leads.
        return see_other(success_url(record.body))
    if record.body["status"] == "expired":
        return _show(ctx, record)
    try:
        fields = dict(params.pairs(request.body.decode(errors="replace")))
        with ctx.store.savepoint():
            method = payments.pay(ctx, record, fields.get("method", ""))
    except ApiError as error:
        return _show(ctx, record, error=error.message, status=error.status)
    if record.body["status"] == "complete":
        return see_other(success_url(record.body))
    return _show(
        ctx, record, error=f"{method.failure_message} Nothing was paid. You can choose another way to pay."
    )


def _show(ctx: Context, record: Record, *, error: str = "", status: int = 200) -> Answer:
    session = record.body
    if session["status"] == "expired":
        return _over(
            session, "This checkout has expired", "Nothing was paid. Go back and start a new payment."
        )
    if session["status"] == "complete":
        text = {
            "paid": "The payment was made. You can close this page.",
            "unpaid": "The bank debit was started. Its result comes to the shop by itself.",
        }[session["payment_status"]]
        return _over(session, "This checkout is complete", text)
    content = fill(
        "pay.html",
        shop=_shop(session),
        total=dollars(session["amount_total"]),
        currency=session["currency"].upper(),
        items=joined([_item(item) for item in record.private["items"]]),
        error=fill("error.html", text=error) if error else Markup(),
        choices=joined(_choices(ctx, session)),
        payer=_payer(session),
        cancel=_link("cancel", cancel_url(session), "Cancel and go back"),
    )
    title = f"Pay {dollars(session['amount_total'])}"
    return page(title, content, status=status, form_targets=_origin(session["success_url"]))


def _item(item: Json) -> Markup:
    data = {"name": item["description"], "amount": dollars(item["amount_total"])}
    return fill("item.html", quantity=f"{item['quantity']} × " if item["quantity"] > 1 else "", **data)


def _choices(ctx: Context, session: Json) -> list[Markup]:
    delay = f"{ctx.settings.bank_delay_s:g} seconds"
    offered = [choice for choice in CHOICES if METHODS[choice[0]].type in session["payment_method_types"]]
    return [
        fill("choice.html", method=method, key=key, label=label, hint=hint.format(delay=delay))
        for method, key, label, hint in offered
    ]


def _payer(session: Json) -> Markup:
    email = (session["customer_details"] or {}).get("email")
    return fill("payer.html", email=email) if email else Markup()


def _link(key: str, address: str | None, text: str) -> Markup:
    return fill("link.html", key=key, address=address, text=text) if address else Markup()


def _shop(session: Json) -> str:
    return urlsplit(session["success_url"]).netloc


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _over(session: Json, title: str, text: str) -> Answer:
    paid = session["status"] == "complete"
    address = success_url(session) if paid else cancel_url(session)
    link = _link("return", address, f"Back to {_shop(session)}")
    return page(title, fill("message.html", title=title, text=text, link=link))


def _message(title: str, text: str, status: int) -> Answer:
    link = _link("dashboard", "/", "Open the sandbox's dashboard")
    return page(title, fill("message.html", title=title, text=text, link=link), status=status)
