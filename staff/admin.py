"""Admin pages that show and never change, over tables of any size.

A list is neither counted nor sorted by what has no index, and is searched and filtered only by what its page names.
Whoever may open the admin panel may look at everything in it; what can be changed at all asks for a permission.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import ActionLocation
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator as UnfoldPaginator

ROWS_PER_PAGE = 50
DEEPEST_PAGE = 200


class InfinitePaginator(UnfoldPaginator):  # type: ignore[misc]  # Unfold publishes no types
    """Previous and next, without a count; Unfold's templates know it by this name.

    It ends where a search is quicker, for people and for the database.
    """

    count = ROWS_PER_PAGE * DEEPEST_PAGE


class StaffAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold publishes no types
    """A model that staff look at. Nothing is added, deleted or done in bulk; changing asks for a permission."""

    actions: Sequence[str] | None = None
    list_per_page = ROWS_PER_PAGE
    list_max_show_all = 0
    list_fullwidth = True
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by: Sequence[str] = ()
    # What links from other pages may filter by, besides the filters that the list shows.
    linked_by: Sequence[str] = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_staff(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_staff(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def matching(self, term: str) -> Q:
        """What a search finds; every part of it must be answered by an index. Needs `search_fields` to be shown."""
        raise NotImplementedError(f"{type(self).__name__} has a search field but no search")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        is_search = term and self.get_search_fields(request)
        return (queryset.filter(self.matching(term)) if is_search else queryset), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Django lets a query string filter by any column, indexed or secret; here only by what is named."""
        filters = {each if isinstance(each, str) else each.parameter_name for each in self.list_filter}
        return lookup in self.linked_by or lookup.partition("__")[0] in filters

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Sequence[tuple[str, str]] | None = None,
        action_location: ActionLocation = ActionLocation.CHANGE_LIST,
    ) -> list[tuple[str, str]]:
        """Unfold's own has not the parameters that Django 6.1 asks for, and is warned about."""
        nothing = [("", "Select action")]
        found: list[tuple[str, str]] = admin.ModelAdmin.get_action_choices(
            self, request, nothing, action_location
        )
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and not self.get_actions(request):
            raise PermissionDenied
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response


class ReadOnlyAdmin(StaffAdmin):
    """A model that nobody changes here, superusers neither."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[Any]:
        return tuple(flatten_fieldsets(self.get_fieldsets(request, obj)))


def _is_staff(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_staff", False))


def column[F: Callable[..., Any]](
    title: str, *, labels: dict[str, str] | None = None, yes_or_no: bool | None = None
) -> Callable[[F], F]:
    """A computed column. `labels` gives a text its colour: success, info, warning, danger."""

    def decorate(function: F) -> F:
        attributes: dict[str, Any] = {"short_description": title}
        if labels is not None:
            attributes["label"] = labels
        if yes_or_no is not None:
            attributes["boolean"] = yes_or_no
        for name, value in attributes.items():
            setattr(function, name, value)
        return function

    return decorate


def page_of(table: str, pk: int | str | UUID) -> str:
    """The address of a row's page, of a table such as "wallet_dispute". The panel quotes ids that are texts."""
    return reverse(f"admin:{table}_change", args=[quote(pk)])


def link(to: Model | None, text: str | None = None) -> str:
    """A link to the page of a row, or a dash."""
    if to is None:
        return "-"
    address = page_of(f"{to._meta.app_label}_{to._meta.model_name}", to.pk)
    return format_html(
        '<a class="staff-link" href="{}">{}</a>', address, text if text is not None else str(to)
    )


def list_link(model: str, text: str, **filters: object) -> str:
    """A link to the list of a model ("wallet_transfer"), filtered."""
    address = reverse(f"admin:{model}_changelist") + (f"?{urlencode(filters)}" if filters else "")
    return format_html('<a class="staff-link" href="{}">{}</a>', address, text)


def lines(items: Sequence[object]) -> str:
    """Items below each other."""
    return format_html_join("", '<div class="staff-line">{}</div>', ((item,) for item in items)) or "-"


def table(head: Sequence[str], body: Sequence[Sequence[object]]) -> SafeString:
    """A small table inside a page; all columns but the first are numbers."""
    cells = format_html_join("", "<th>{}</th>", ((title,) for title in head))
    rows = format_html_join(
        "", "<tr>{}</tr>", ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in body)
    )
    return format_html(
        '<div class="staff-table"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        cells,
        rows,
    )


def pretty(data: object) -> SafeString:
    """JSON as people read it, escaped."""
    return format_html('<pre class="staff-json">{}</pre>', json.dumps(data, indent=2, ensure_ascii=False))


def code(text: object) -> SafeString | str:
    """An id or a message in the letters of a terminal, exactly as stored."""
    return format_html('<code class="staff-code">{}</code>', text) if text not in (None, "") else "-"
