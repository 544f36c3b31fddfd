"""The client's own memory of what it sent and what it was answered: what the books must agree with afterwards."""

import json
import threading
import time
from pathlib import Path
from typing import Any


class Journal:
    """Also a file of JSON lines, appended to as things happen, to read after a difference was found."""

    def __init__(self, file: Path) -> None:
        self.sent: set[str] = set()
        self.charged: dict[str, int] = {}
        """Of each acknowledged call, nano-dollars."""
        self.paid: dict[str, int] = {}
        """Of each session that was paid at the stand-in, cents."""
        self.signed_up: set[str] = set()
        self.contradictions: list[str] = []
        self.good = self.retries = self.admitted = 0
        self.longest_gap_s = 0.0
        self._lock = threading.Lock()
        self._last_good_at: float | None = None
        self._file = file.open("a", encoding="utf-8")

    def send(self, call_ids: list[str]) -> None:
        """Before the request goes out: from now on these calls may be in the books."""
        with self._lock:
            self.sent.update(call_ids)
            self._note("sent", call_ids)

    def acknowledge(self, call_id: str, result: str, charged_nanousd: int, expected_nanousd: int) -> None:
        """An answer of the metering API about a call; whatever contradicts itself is kept as a finding."""
        with self._lock:
            before = self.charged.setdefault(call_id, charged_nanousd)
            self._note("answer", [call_id, result, charged_nanousd])
            if result not in {"accepted", "duplicate"}:
                self.contradictions.append(f"call {call_id} was {result}")
            if not before == charged_nanousd == expected_nanousd:
                self.contradictions.append(
                    f"call {call_id} costs {expected_nanousd}; answered {before}, then {charged_nanousd}"
                )

    def admit(self, answer: Any) -> None:
        with self._lock:
            self.admitted += 1
            self._note("admitted", answer)

    def pay(self, session: str, cents: int) -> None:
        with self._lock:
            self.paid[session] = cents
            self._note("paid", [session, cents])

    def sign_up(self, email: str) -> None:
        with self._lock:
            self.signed_up.add(email)
            self._note("signed up", email)

    def wrong(self, finding: str) -> None:
        with self._lock:
            self.contradictions.append(finding)
            self._note("wrong", finding)

    def answered_well(self) -> None:
        """Of the metering API; the longest time between two of these is told at the end."""
        with self._lock:
            now = time.monotonic()
            if self._last_good_at is not None:
                self.longest_gap_s = max(self.longest_gap_s, now - self._last_good_at)
            self._last_good_at = now
            self.good += 1

    def retry(self) -> None:
        with self._lock:
            self.retries += 1

    def close(self) -> None:
        self._file.close()

    def _note(self, what: str, content: object) -> None:
        self._file.write(json.dumps([round(time.time(), 3), what, content]) + "\n")
        self._file.flush()
