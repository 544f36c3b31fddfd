"""What the catalogue tells everybody alike: made once for each state of it, then served from memory with a validator.

The state (`catalogue.state`) says when it has to be made anew. The validator is a digest of what is sent, so it changes with
everything that is shown, a new release or setting included, and a repeat that is answered 304 makes nothing. There is no
Last-Modified: prices take effect by time, several of them within a second, and a model can leave the list.
"""

import functools
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.utils.safestring import SafeString

from pricing import catalogue

# Of kept content in a page. What people type is escaped, so it can't be this.
PLACE = SafeString("<!--kept-->")


@dataclass(frozen=True, slots=True)
class Body:
    """An answer and its validator."""

    content: bytes
    content_type: str
    validator: str

    @classmethod
    def of(cls, content: bytes, content_type: str) -> "Body":
        return cls(content, content_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


class Kept[T]:
    """One thing that is made of the catalogue."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._found: tuple[tuple[Any, ...], T] | None = None

    def current(self, make: Callable[[datetime], T]) -> T:
        """What `make` makes of the catalogue as it is now. One makes it, the others wait for it."""
        now = timezone.now()
        state = catalogue.state(now)
        found = self._found
        if found is not None and found[0] == state:
            return found[1]
        with self._making:
            if self._found is None or self._found[0] != state:
                self._found = (state, make(now))
            return self._found[1]


def answer(request: HttpRequest, body: Body) -> HttpResponse:
    """The body, or 304 for who has it already. Caches may keep it, and ask again each time."""
    # Proxies that compress make a validator weak, which is good enough for this.
    known = {each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))}
    is_known = bool(known & {body.validator, "*"})
    found = (
        HttpResponseNotModified() if is_known else HttpResponse(body.content, content_type=body.content_type)
    )
    found["ETag"] = body.validator
    found["Cache-Control"] = "public, no-cache"
    return found


def around(page: HttpResponse, content: bytes) -> HttpResponse:
    """The page with content that is kept where it was rendered with PLACE: a template would copy it at every level."""
    page.content = content.join(page.content.split(PLACE.encode(), 1))
    return page


def for_visitors(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Decorator: keeps a page of the catalogue as it looks for who asks for nothing in particular and has no session.

    Others get theirs made each time: it shows their balance, their prices, or what they look for.
    """
    kept = Kept[Body]()

    @functools.wraps(view)
    def shown(request: HttpRequest) -> HttpResponse:
        if request.GET or settings.SESSION_COOKIE_NAME in request.COOKIES or "HX-Request" in request.headers:
            return view(request)
        page = kept.current(lambda _: Body.of(view(request).content, "text/html; charset=utf-8"))
        found = answer(request, page)
        patch_vary_headers(found, ["Cookie", "HX-Request"])
        return found

    return shown
