"""The API under /v1: who asks, with which parameters and idempotency key, and which row answers."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from types import ModuleType

from . import (
    API_VERSION,
    account,
    balance,
    charges,
    coupons,
    customers,
    disputes,
    endpoints,
    events,
    idempotency,
    intents,
    invoices,
    off_session,
    params,
    payment_methods,
    payouts,
    portal,
    refunds,
    sessions,
    setup_intents,
    setup_sessions,
)
from .context import Context
from .errors import ApiError, invalid, unsupported
from .http import Answer, Request
from .routes import Route

# Refunds, disputes, payment methods and what else comes later each bring their rows here.
MODULES: list[ModuleType] = [balance, charges, customers, endpoints, events, intents, off_session]
MODULES += [account, coupons, invoices, payment_methods, portal, sessions, setup_intents, setup_sessions]
MODULES += [disputes, payouts, refunds]
ROUTES = [(route, route.pattern()) for module in MODULES for route in module.ROUTES]

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Call:
    """A request that has found its row."""

    request: Request
    route: Route
    ids: tuple[str, ...]
    fields: list[tuple[str, str]]

    @property
    def key(self) -> str | None:
        """Only POST requests have an idempotency key; others are idempotent by themselves."""
        return self.request.headers.get("idempotency-key") if self.route.method == "POST" else None


def authorize(request: Request, secret_key: str) -> None:
    """ApiError 401 unless the key comes as a bearer token or as the user name of basic authentication."""
    scheme, _, credentials = request.headers.get("authorization", "").strip().partition(" ")
    given = credentials.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    if not given or scheme.lower() not in ("basic", "bearer"):
        message = (
            "You did not provide an API key. Provide it in the Authorization header, as 'Bearer YOUR_KEY'."
        )
        raise ApiError(401, "invalid_request_error", message)
    if not hmac.compare_digest(given.encode(errors="replace"), secret_key.encode()):
        shown = f"{given[:7]}{'*' * 8}{given[-4:]}" if len(given) > 20 else "*" * 8
        raise ApiError(401, "invalid_request_error", f"Invalid API Key provided: {shown}")


def resolve(request: Request) -> Call:
    """Find the row of a request and decode its parameters; ApiError where there is none."""
    for route, pattern in ROUTES:
        match = pattern.fullmatch(request.path) if route.method == request.method else None
        if match:
            _check_version(request)
            return Call(request, route, match.groups(), _fields(request))
    message = f"Unrecognized request URL ({request.method}: {request.path[:200]})."
    raise ApiError(404, "invalid_request_error", message)


def _check_version(request: Request) -> None:
    version = request.headers.get("stripe-version", API_VERSION)
    if version != API_VERSION:
        raise unsupported(f"version {version[:40]} of the API, only {API_VERSION}")


def _fields(request: Request) -> list[tuple[str, str]]:
    fields = params.pairs(request.query)
    if not request.body:
        return fields
    if request.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
        raise invalid(f"Invalid request (check that your POST content type is {FORM}).")
    try:
        return fields + params.pairs(request.body.decode())
    except UnicodeDecodeError:
        raise invalid("Invalid request: the body is not valid UTF-8.") from None


def perform(ctx: Context, call: Call) -> Answer:
    """Do the work, or give the stored answer of its key. Runs inside a transaction that is always committed.

    An error that is no decline undoes what the row did; a decline (402) is itself a result and stays.
    """
    if call.key is None:
        return _attempt(ctx, call)
    print_ = idempotency.fingerprint(call.request.method, call.request.path, call.fields)
    answer = idempotency.stored(ctx, call.key, print_)
    if answer is None:
        try:
            answer = _attempt(ctx, call)
        except ApiError as error:
            if error.kept:
                idempotency.keep(ctx, call.key, print_, Answer(error.status, error.body()))
            raise
        idempotency.keep(ctx, call.key, print_, answer)
    return Answer(answer.status, answer.body, {**answer.headers, "Idempotency-Key": call.key})


def _attempt(ctx: Context, call: Call) -> Answer:
    read = params.read(params.tree(call.fields), call.route.fields)
    declined: ApiError | None = None
    with ctx.store.savepoint():
        try:
            return Answer(200, call.route.handler(ctx, read, *call.ids))
        except ApiError as error:
            if error.status != 402:
                raise
            declined = error
    raise declined
