"""May this key call this model now? The metering API says so for each call.

Where the operator allows it, an answer stands for further calls of the same key, model and address for some seconds, and
while the metering API is away for a grace. Either way no more calls are let in on one answer than its available amount holds
expected charges: that bounds by how much a balance can fall below zero because nobody asked.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from gateway import call_ids
from gateway.metering import Admission, Away, Metering, Question

log = logging.getLogger("gateway.admission")

MOST_REMEMBERED = 100_000
# A key that was let in so lately is known while the metering API is away.
KNOWN_S = 300.0


@dataclass(slots=True)
class _Remembered:
    admission: Admission
    at_s: float
    left_nanousd: int
    """What this answer lets be held still."""


class Admissions:
    """Asks, and remembers what the operator lets it remember. Times are seconds of the monotonic clock."""

    def __init__(self, metering: Metering, *, remember_s: float, grace_s: float) -> None:
        self._metering, self._remember_s, self._grace_s = metering, remember_s, grace_s
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._away_since_s: float | None = None

    async def ask(self, question: Question) -> Admission:
        """A call of its own each time. Raises Refused, and Away where nothing that is known lets it in."""
        name = _name(question)
        if found := self._again(name, self._remember_s):
            return found
        try:
            admission = await self._asked_twice(question)
        except Away:
            return self._in_grace(name)
        except Exception:
            self._remembered.pop(name, None)
            self._away_since_s = None
            raise
        self._away_since_s = None
        self._remember(name, admission)
        return admission

    async def _asked_twice(self, question: Question) -> Admission:
        """A connection that the other side had closed, or a restart, is no reason to refuse anybody."""
        try:
            return await self._metering.authorize(question)
        except Away as away:
            log.info("Asking once more: %s", away)
            await asyncio.sleep(0.05)
            return await self._metering.authorize(question)

    def _in_grace(self, name: bytes) -> Admission:
        now_s = time.monotonic()
        if self._away_since_s is None:
            self._away_since_s = now_s
            log.warning("The metering API is away; keys that are known are served for %g s.", self._grace_s)
        if now_s - self._away_since_s <= self._grace_s and (found := self._again(name, KNOWN_S)):
            return found
        raise Away("The metering API is away.")

    def _again(self, name: bytes, for_s: float) -> Admission | None:
        remembered = self._remembered.get(name)
        if remembered is None or not for_s or time.monotonic() - remembered.at_s > for_s:
            return None
        if remembered.left_nanousd <= 0:
            return None
        remembered.left_nanousd -= max(1, remembered.admission.held_nanousd)
        return replace(remembered.admission, call_id=call_ids.new())

    def _remember(self, name: bytes, admission: Admission) -> None:
        if not self._remember_s and not self._grace_s:
            return
        self._remembered[name] = _Remembered(admission, time.monotonic(), admission.available_nanousd)
        self._remembered.move_to_end(name)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _name(question: Question) -> bytes:
    """Of what the answer is about; the key itself stays nowhere."""
    told = "\0".join((question.key, question.model, question.client_ip or ""))
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=32).digest()
