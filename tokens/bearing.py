"""Who asks an API by a key of their own: `Authorization: Bearer`, in the form of errors that its clients know.

Only unknown, revoked and expired keys are refused: an exhausted or disabled key, and that of a suspended account, may still
ask for its balance. Where clients run in a browser, they may ask from any site: they bring their key, and no cookie counts.
"""

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from pricing.browsers import is_preflight, open_to_browsers, preflight
from tokens import keys
from tokens.models import ApiKey
from wallet import counting

Kind = ApiKey.Kind
MINUTE_S = 60
LONGEST_KEY = 200

type ErrorForm = Callable[[int, str, str], dict[str, Any]]
type View = Callable[[HttpRequest, ApiKey], HttpResponseBase]


def openai_error(status: int, code: str, message: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "api_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def plain_error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"success": False, "message": message}


@dataclass(frozen=True, slots=True)
class Asks:
    """Decorator: the view gets the key of whoever asks. `kinds` are those of the keys that may.

    `from_browsers`: pages of other sites may ask too. `place`: where a key is expected, for who sends none.
    """

    kinds: Collection[str]
    error: ErrorForm
    from_browsers: bool = False
    place: str = "in the header Authorization: Bearer KEY"

    def __call__(self, view: View) -> Callable[[HttpRequest], HttpResponseBase]:
        @csrf_exempt
        @functools.wraps(view)
        def checked(request: HttpRequest) -> HttpResponseBase:
            asks_before = self.from_browsers and is_preflight(request)
            response = preflight(request) if asks_before else self._answer(view, request)
            response["Cache-Control"] = "private, no-store"
            return open_to_browsers(request, response) if self.from_browsers else response

        return checked

    def _answer(self, view: View, request: HttpRequest) -> HttpResponseBase:
        if request.method not in {"GET", "HEAD"}:
            response = self.failure(405, "method_not_allowed", "Use GET.")
            response["Allow"] = "GET, HEAD, OPTIONS" if self.from_browsers else "GET, HEAD"
            return response
        text = bearer(request)
        if not text:
            return self.failure(401, "invalid_api_key", f"No key was sent. Send it {self.place}.")
        key = known(text)
        if key is None:
            return self.failure(401, "invalid_api_key", "The API key is unknown, revoked or expired.")
        if key.kind not in self.kinds:
            return self.failure(403, "wrong_kind_of_key", f"A key of kind {key.kind} may not ask for this.")
        if asks_too_often(key):
            response = self.failure(429, "rate_limited", "Too many questions in this minute. Ask later.")
            response["Retry-After"] = str(MINUTE_S)
            return response
        keys.note_question(key)
        return view(request, key)

    def failure(self, status: int, code: str, message: str) -> JsonResponse:
        return JsonResponse(self.error(status, code, message), status=status)


def bearer(request: HttpRequest) -> str:
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def known(text: str) -> ApiKey | None:
    """The key of this text, unless it was revoked or has expired."""
    key = keys.find(text) if 0 < len(text) <= LONGEST_KEY else None
    if key is None or key.is_revoked or (key.expires_at and key.expires_at <= timezone.now()):
        return None
    return key


def asks_too_often(key: ApiKey) -> bool:
    """Counts the question. Where the count can't be kept nobody is refused: these questions cost little."""
    minute = int(timezone.now().timestamp()) // MINUTE_S
    asked = counting.count(f"asked:{key.pk}:{minute}", seconds=2 * MINUTE_S)
    return asked > settings.API_QUESTIONS_PER_MINUTE
