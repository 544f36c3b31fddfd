"""Errors in Stripe's form: `{"error": {"type", "code", "message", "param", ...}}`."""

from typing import Any

DOCUMENTATION = "https://docs.stripe.com/error-codes/"


class ApiError(Exception):
    """An answer other than 200.

    `kept` says whether the answer is stored under the request's idempotency key: Stripe stores what
    an endpoint answered once it had begun to work, and neither validation failures nor conflicts.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kept: bool = False,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.param = param
        self.kept = kept
        self.details = details or {}

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = DOCUMENTATION + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        return {"error": error | self.details}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """A request that is refused before anything is done."""
    return ApiError(400, "invalid_request_error", message, param=param, code=code)


def refused(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """A well-formed request that the object's state does not allow; stored under its idempotency key."""
    return ApiError(400, "invalid_request_error", message, param=param, code=code, kept=True)


def unsupported(what: str, *, param: str | None = None) -> ApiError:
    """Stripe can do this and the stand-in cannot; said plainly rather than faked."""
    return invalid(
        f"The Stripe sandbox does not support {what} yet.", param=param, code="sandbox_unsupported"
    )


def no_such(what: str, key: str, *, param: str, status: int = 404) -> ApiError:
    """`status` is 404 where the address names the object, and 400 where a parameter does."""
    return ApiError(
        status, "invalid_request_error", f"No such {what}: '{key}'", param=param, code="resource_missing"
    )
