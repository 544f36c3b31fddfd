"""The metering API of the dashboard, as its client: ask before a call, report after it.

Nothing here tries again: who asks knows whether waiting is worth it, and the journal keeps reports until they are taken.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import httpx2

# Asking must be quick, or the client had better be refused.
ASK_TIMEOUT = httpx2.Timeout(5.0, connect=1.0)
REPORT_TIMEOUT = httpx2.Timeout(60.0, connect=2.0)
CONNECTIONS = httpx2.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=30.0)

UNKNOWN_GATEWAY_KEY = "The dashboard does not know this gateway's key"


class Away(Exception):
    """The metering API did not answer, or not as it should; the sentence says how.

    `retry_after_s` is when it wants to be asked again, where it says so.
    """

    def __init__(self, message: str, *, retry_after_s: int | None = None, is_timeout: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s, self.is_timeout = retry_after_s, is_timeout


class Refused(Exception):
    """The call may not be made. `code` and `status` are the metering API's."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s


class NotTaken(Exception):
    """The metering API refused a batch of reports as a whole, with this status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Question:
    """May this key call this model? What is not known is None."""

    key: str
    model: str
    client_ip: str | None = None
    input_tokens: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """It may. Amounts are nano-dollars."""

    call_id: str
    token_id: int
    wallet_id: int
    available_nanousd: int
    held_nanousd: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one report: "accepted", "duplicate" or "rejected", and why."""

    call_id: str
    result: str
    code: str = ""
    message: str = ""


class Metering:
    """Used as `async with`, which closes its connections."""

    def __init__(
        self, url: str, gateway_key: str, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {gateway_key}", "Content-Type": "application/json"},
            limits=CONNECTIONS,
            transport=transport,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def authorize(self, question: Question) -> Admission:
        """Raises Refused and Away. Asked twice, it holds twice; what is held for no call expires."""
        asked = {
            "key": question.key,
            "model": question.model,
            "client_ip": question.client_ip,
            "input_tokens": question.input_tokens,
            "max_output_tokens": question.max_output_tokens,
        }
        told = {name: value for name, value in asked.items() if value is not None}
        status, answer, retry_after = await self._post("authorize", told, ASK_TIMEOUT)
        if status != 200:
            raise _refusal(status, answer, retry_after)
        try:
            return Admission(
                str(UUID(answer["call_id"])),
                int(answer["token_id"]),
                int(answer["wallet_id"]),
                int(answer["available_nanousd"]),
                int(answer["held_nanousd"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Away(f"authorize answered without {error}") from error

    async def release(self, call_id: str) -> None:
        """The call never happened: its hold is closed. Twice is fine. Raises Away."""
        status, answer, retry_after = await self._post("release", {"call_id": call_id}, ASK_TIMEOUT)
        if status not in (200, 204):
            raise _away("release", status, answer, retry_after)

    async def report(self, reports: Sequence[Mapping[str, Any]]) -> list[Result]:
        """One result per report, in order. Sent again it changes nothing. Raises NotTaken and Away."""
        status, answer, retry_after = await self._post("calls", {"calls": list(reports)}, REPORT_TIMEOUT)
        # What stands between may refuse a long body before the metering API sees it; else only its own word counts.
        if status == 413 or (status == 400 and _error(answer)[0]):
            raise NotTaken(status, _error(answer)[1])
        if status != 200:
            raise _away("calls", status, answer, retry_after)
        try:
            return [_result(found) for found in answer["results"]]
        except (AttributeError, KeyError, TypeError) as error:
            raise Away(f"calls answered without {error}") from error

    async def models(self, key: str) -> list[dict[str, Any]]:
        """What a customer's key may call, as OpenAI lists it. Raises Refused and Away."""
        try:
            answer = await self._client.get(
                "/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=ASK_TIMEOUT
            )
            if answer.status_code == 401:
                raise Refused(401, "invalid_key", "This API key is unknown, revoked or expired.")
            listed: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise Away(f"models: {_why(error)}") from error
        return listed

    async def prices(self) -> list[dict[str, Any]]:
        """All models for sale with their prices in force. Raises Away."""
        try:
            answer = await self._client.get("/api/pricing", timeout=REPORT_TIMEOUT)
            listed: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise Away(f"pricing: {_why(error)}") from error
        return listed

    async def _post(self, name: str, body: object, timeout: httpx2.Timeout) -> tuple[int, Any, int | None]:
        try:
            answer = await self._client.post(
                f"/metering/v1/{name}", content=json.dumps(body), timeout=timeout
            )
            found = answer.json() if answer.content else {}
        except httpx2.HTTPError as error:
            is_timeout = isinstance(error, httpx2.TimeoutException) and not isinstance(
                error, httpx2.ConnectTimeout
            )
            raise Away(f"{name}: {_why(error)}", is_timeout=is_timeout) from error
        except ValueError:
            # Of something that stands between.
            found = None
        retry_after = answer.headers.get("Retry-After", "")
        return (
            answer.status_code,
            found,
            int(retry_after) if retry_after.isascii() and retry_after.isdigit() else None,
        )


def _why(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def _error(answer: Any) -> tuple[str, str]:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return "", "no reason given"
    return str(error.get("code", "")), str(error.get("message", ""))


def _refusal(status: int, answer: Any, retry_after_s: int | None) -> Exception:
    code, message = _error(answer)
    # Of these the customer is to know; all else is between the gateway and the dashboard.
    if status in (400, 401, 402, 403, 404, 429) and code and code != "invalid_gateway_key":
        return Refused(status, code, message, retry_after_s)
    return _away("authorize", status, answer, retry_after_s)


def _away(name: str, status: int, answer: Any, retry_after_s: int | None) -> Away:
    code, message = _error(answer)
    if code == "invalid_gateway_key":
        message = UNKNOWN_GATEWAY_KEY
    return Away(f"{name} answered {status}: {message}", retry_after_s=retry_after_s)


def _result(found: Mapping[str, Any]) -> Result:
    code, message = _error(found) if found.get("error") else ("", "")
    return Result(str(found["call_id"]), str(found["result"]), code, message)
