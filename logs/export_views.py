"""The export of the filtered log as a file, how far it is, and its stop."""

import logging
from functools import partial
from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET, require_POST, require_safe

from accounts.models import User
from logs import archive, bounds, export_progress
from logs.archive import Unreadable
from logs.export_copies import Copies
from logs.export_places import RETRY_AFTER_S, Busy, TooMany
from logs.export_progress import Progress
from logs.export_streams import HEADERS, Export
from logs.exporting import Format
from logs.listing import FilterForm
from logs.wanted import Wanted
from wallet.wallets import wallet_of

log = logging.getLogger(__name__)

# Of what the page asks until the download has begun; a browser that refused it never does.
MOST_ASKED = 15
TEXT, HTML = "text/plain", "text/html"
# Before a file begins, so that its progress has an end.
COUNT_WAIT_MS = 1_000


@login_required
@require_GET
def export(request: HttpRequest) -> HttpResponseBase:
    """All calls that the filters of the log's list leave, as a file; 400 with a sentence where they make no sense."""
    form = FilterForm(request.GET)
    refusal = partial(_refusal, request, form)
    written = request.GET.get("format", Format.CSV)
    if written not in list(Format):
        return refusal(400, "The format is csv or jsonl.")
    if not form.is_valid():
        return refusal(400, " ".join(str(error) for errors in form.errors.values() for error in errors))
    wanted = form.wanted(wallet_of(cast("User", request.user)).pk)
    try:
        return _file(wanted, Format(written), _id(request.GET.get("export", "")))
    except TooMany:
        return refusal(429, "Your exports that are under way must end before another one can begin.")
    except Unreadable:
        log.exception("An export could not begin.")
        return refusal(
            503, "Calls of an archived month can't be read at the moment. Choose a later time, or try again."
        )
    except Busy:
        return refusal(
            503,
            "The export can't begin now: too many are under way, or the database is busy. Try again in a moment.",
        )


@require_safe
@login_required
def progress(request: HttpRequest, export_id: UUID) -> HttpResponse:
    """How far one's own export of this id is: a part of the list's page."""
    asked = request.GET.get("asked", "0")
    count = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 else MOST_ASKED
    context = {
        "export_id": export_id,
        "told": export_progress.told(wallet_of(cast("User", request.user)).pk, export_id),
        "asked": count + 1,
        "is_given_up": count >= MOST_ASKED,
    }
    return render(request, "logs/export.html", context)


@login_required
@require_POST
def stop(request: HttpRequest, export_id: UUID) -> HttpResponse:
    """Ends one's own export of this id, if there is one."""
    export_progress.stop(wallet_of(cast("User", request.user)).pk, export_id)
    return redirect("export_progress", export_id)


def _file(wanted: Wanted, form: Format, export_id: UUID | None) -> StreamingHttpResponse:
    count = _count(wanted) if export_id else None
    progress = Progress(wanted.wallet_id, export_id, count, head_rows=1 if form is Format.CSV else 0)
    # It closes what it streams, however it ends.
    return StreamingHttpResponse(
        Export(progress, form, lambda: Copies(wanted, form)),
        content_type=form.content_type,
        headers={
            "Content-Disposition": f'attachment; filename="calls-{timezone.now():%Y%m%d-%H%M%S}.{form}"',
            **HEADERS,
        },
    )


def _count(wanted: Wanted) -> int | None:
    """How many calls there will be; None where counting takes too long, or can't have the archived ones."""
    if not wanted.is_rolled_up and archive.since(wanted.wallet_id):
        return None
    try:
        with bounds.alone(wanted.wallet_id, COUNT_WAIT_MS):
            return wanted.sums().calls
    except (bounds.TooLong, bounds.Busy):
        return None


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _refusal(request: HttpRequest, form: FilterForm, status: int, sentence: str) -> HttpResponse:
    """A page for people, whom a refused download takes away from the list; the sentence alone for programs."""
    if request.get_preferred_type([TEXT, HTML]) == HTML:
        context = {"status": status, "sentence": sentence, "query": form.query}
        response = render(request, "logs/export_refused.html", context, status=status)
    else:
        response = HttpResponse(sentence, content_type=f"{TEXT}; charset=utf-8", status=status)
    patch_vary_headers(response, ["Accept"])
    if status in (429, 503):
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response
