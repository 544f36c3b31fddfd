"""The pages of the admin panel on which staff act: a form with a reason, which has one effect however often it is sent.

The form carries an id that was made when it was opened. What is done with it, by whom it may be done and that it happens
once is up to the domain; this is only the page.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.decorators import action as unfold_action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.audit import LONGEST_REASON, Instruction, Refused, checked_reason
from accounts.models import User
from staff.admin import StaffAdmin, page_of

_REOPEN = "This form is incomplete. Open it again."


class ActForm(forms.Form):
    """Why, and the id that makes it happen once. Forms of acts with more to say add their fields."""

    request_id = forms.UUIDField(
        widget=forms.HiddenInput, error_messages={"required": _REOPEN, "invalid": _REOPEN}
    )
    reason = forms.CharField(
        label="Why",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "maxlength": LONGEST_REASON}),
        help_text="Stays in the audit trail for ever. Name tickets and ids, not people, and never a key.",
        error_messages={"required": "Write why."},
    )
    field_order: Sequence[str] | None = ()

    def clean_reason(self) -> str:
        try:
            return checked_reason(self.cleaned_data["reason"])
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from refusal

    def instruction(self, actor: User) -> Instruction:
        return Instruction(actor, self.cleaned_data["reason"], self.cleaned_data["request_id"])


@dataclass(frozen=True, slots=True)
class Act[Row: Model]:
    """Something that staff may do to a row.

    `do` returns a sentence that says what was done, and raises Refused. `facts` are shown above the form. A button leads
    to the page where `is_offered`, and there is a form on it; where it is not, `over` says why. A form that was sent late
    is answered even then.
    """

    title: str
    button: str
    path: str
    explained: Callable[[], str]
    do: Callable[[Instruction, Row, dict[str, Any]], str]
    may: Callable[[User, Row], bool]
    facts: Callable[[Row], list[tuple[str, object]]]
    is_offered: Callable[[Row], bool] = field(default=lambda row: True)
    form: type[ActForm] = ActForm
    initial: Callable[[Row], dict[str, Any]] = field(default=lambda row: {})
    is_grave: bool = False
    over: Callable[[Row], str] = field(default=lambda row: "As it stands now, there is nothing to do here.")


def button(act: Act[Any]) -> Callable[..., HttpResponse]:
    """The act as one of a page's `actions_detail`."""

    def open_page(page: "ActingAdmin", request: HttpRequest, object_id: str) -> HttpResponse:
        return page.act(request, object_id, act)

    variant = ActionVariant.DANGER if act.is_grave else ActionVariant.DEFAULT
    decorated = unfold_action(description=act.button, url_path=act.path, variant=variant)(open_page)
    decorated.act = act
    return cast("Callable[..., HttpResponse]", decorated)


class ActingAdmin(StaffAdmin):
    """A page with buttons for acts. `actions_detail` names attributes that were made by `button`."""

    def get_actions_detail(self, request: HttpRequest, object_id: int | str) -> list[Any]:
        """Only what this person may do, and what makes sense now."""
        row = self.get_object(request, unquote(str(object_id)))
        if row is None:
            return []
        found: list[Any] = super().get_actions_detail(request, object_id)
        acts = [(each, each.method.act) for each in found]
        return [each for each, act in acts if act.may(request.user, row) and act.is_offered(row)]

    def act(self, request: HttpRequest, object_id: str, act: Act[Any]) -> HttpResponse:
        """The form, and what becomes of it: 404 without the row, 403 without the right, 422 where it is refused."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return self.act_on(request, row, act)

    def act_on(self, request: HttpRequest, row: Model, act: Act[Any]) -> HttpResponse:
        """As `act`; the row may be one that the act is going to make, and then gives its id."""
        actor = cast("User", request.user)
        if not act.may(actor, row):
            raise PermissionDenied
        if request.method == "POST":
            return self._done(request, row, act, actor)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "POST"])
        return self._page(
            request, row, act, act.form(initial={"request_id": uuid.uuid4(), **act.initial(row)})
        )

    def _done(self, request: HttpRequest, row: Model, act: Act[Any], actor: User) -> HttpResponse:
        form = act.form(request.POST)
        if form.is_valid():
            try:
                message = act.do(form.instruction(actor), row, form.cleaned_data)
            except Refused as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(request, message)
                return redirect(page_of(self.opts.label_lower.replace(".", "_"), row.pk))
        return self._page(request, row, act, form, status=422)

    def _page(
        self, request: HttpRequest, row: Model, act: Act[Any], form: ActForm, status: int = 200
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"{act.title}: {row}",
            "act": act,
            "opts": self.opts,
            "original": row,
            "form": form,
            "facts": act.facts(row),
            "over": "" if act.is_offered(row) else act.over(row),
        }
        return TemplateResponse(request, "admin/act.html", context, status=status)
