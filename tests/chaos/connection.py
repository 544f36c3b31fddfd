"""One client's connection to the metering API. No library of its own retries: what is lost, is seen."""

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status 0: no answer, or a broken one. The outcome is then unknown."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    retry_after: str | None = None
    took_s: float = 0.0


class Connection:
    """Kept open while it works, opened again when it does not. For one thread."""

    def __init__(self, port: int, gateway_key: str, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self._headers = {"Authorization": f"Bearer {gateway_key}", "Content-Type": "application/json"}

    def post(self, name: str, body: object) -> Answer:
        began_at = time.monotonic()
        try:
            self._connection.request("POST", f"/metering/v1/{name}", json.dumps(body), self._headers)
            response = self._connection.getresponse()
            content = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            return Answer(0, took_s=time.monotonic() - began_at)
        took_s = time.monotonic() - began_at
        return Answer(response.status, content, response.getheader("Retry-After"), took_s)

    def close(self) -> None:
        self._connection.close()
