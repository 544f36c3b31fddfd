"""What a shopper keeps: the receipt of a charge, and an invoice as a page and as a PDF."""

import re
from datetime import UTC, datetime

from . import invoices, presentment
from .context import Context
from .http import Answer, Request
from .pdf import document
from .returning import dollars, message
from .store import Json, Record
from .templating import Markup, fill, joined, page

RECEIPT = re.compile(r"/receipts/([A-Za-z0-9]+)")
INVOICE = re.compile(r"/invoice/([A-Za-z0-9]+)(/pdf)?")

# What stands on the left, and on the right.
type Line = tuple[str, str]


def answer(ctx: Context, request: Request) -> Answer | None:
    """None where the address belongs to another page."""
    if match := RECEIPT.fullmatch(request.path):
        where = "kind = 'charge' AND json_extract(private, '$.receipt') = ?"
        found = ctx.store.select(where, [match[1]])
        return _receipt(ctx, found[0]) if found else _unknown()
    if match := INVOICE.fullmatch(request.path):
        invoice = invoices.by_token(ctx, match[1])
        if invoice is None:
            return _unknown()
        return _pdf(ctx, invoice) if match[2] else _invoice(ctx, invoice)
    return None


def _unknown() -> Answer:
    return message("Page not found", "There is no receipt and no invoice at this address.", 404)


def _receipt(ctx: Context, record: Record) -> Answer:
    charge = record.body
    lines = [("Paid on", _day(charge["created"])), ("Paid with", _instrument(charge))]
    if charge["description"]:
        lines.insert(0, ("For", charge["description"]))
    lines.append(("Amount paid", dollars(charge["amount"])))
    if shown := presentment.written(charge):
        lines.append(("In your currency", shown))
    if charge["amount_refunded"]:
        lines.append(("Refunded", dollars(charge["amount_refunded"])))
    return _page("Receipt", charge["billing_details"]["email"] or "", charge["id"], lines)


def _instrument(charge: Json) -> str:
    details = charge["payment_method_details"]
    return f"{details.get('card', {}).get('brand', 'bank account').capitalize()} ending in {_last4(details)}"


def _last4(details: Json) -> str:
    return str(details[details["type"]]["last4"])


def _invoice(ctx: Context, record: Record) -> Answer:
    pdf = fill("link.html", key="pdf", address=record.body["invoice_pdf"], text="Download as PDF")
    return _page(f"Invoice {record.body['number']}", record.body["customer_email"] or "", "Paid",
                 _lines(ctx, record), pdf)  # fmt: skip


def _lines(ctx: Context, record: Record) -> list[Line]:
    invoice = record.body
    session = ctx.get("checkout.session", record.private["session"])
    lines = [("Date", _day(invoice["created"]))]
    lines += [(item["description"], dollars(item["amount_subtotal"])) for item in session.private["items"]]
    details = session.body["total_details"]
    if details["amount_discount"]:
        lines.append(("Discount", f"-{dollars(details['amount_discount'])}"))
    if invoice["automatic_tax"]["enabled"]:
        lines.append(("Tax", dollars(details["amount_tax"])))
    lines.append(("Total", dollars(invoice["total"])))
    if shown := presentment.written(session.body):
        lines.append(("Paid in your currency", shown))
    return lines


def _pdf(ctx: Context, record: Record) -> Answer:
    head = ["Stripe sandbox: no money was moved", f"Invoice {record.body['number']}", ""]
    text = [f"{left}: {right}" for left, right in _lines(ctx, record)]
    name = f"invoice-{record.body['number']}.pdf"
    headers = {
        "Content-Type": "application/pdf",
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(200, document(head + text), headers)


def _page(title: str, who: str, about: str, lines: list[Line], more: Markup | None = None) -> Answer:
    rows = joined([fill("document_line.html", left=left, right=right) for left, right in lines])
    content = fill("document.html", title=title, who=who, about=about, lines=rows, more=more or Markup())
    return page(title, content)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B %Y")
