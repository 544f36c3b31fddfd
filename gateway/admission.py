"""May this key call this model now? The metering API says so for each call.

Where the operator allows it, an answer stands for further calls of the same key, model and address for some seconds, and
while the metering API is away for a grace. Each call that is let in so uses up what the newest answer about its wallet said
was available, by what that answer expected it to cost; what the metering API does not know of yet is taken off every newer
answer. So on one wallet no more is let in than was available, and one call: docs/decisions/0006-gateway.md.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway import call_ids
from gateway.metering import Admission, Away, Metering, Question, Refused

log = logging.getLogger("gateway.admission")

MOST_KEYS, MOST_ANSWERS_A_KEY = 20_000, 50
# A key that was let in so long before the metering API went away is known meanwhile.
KNOWN_S = 300.0
# While it is away it is asked this often, so that nobody else waits for it.
TRY_EVERY_S = 0.25
# An answer may be that old when it arrives, and so know nothing of a report that was taken since.
OLDEST_ANSWER_S = 15.0
LONG_AGO = datetime.min.replace(tzinfo=UTC)
# A key that these say is wrong is no longer known for any model.
OF_THE_KEY = {"invalid_key", "account_suspended"}


@dataclass(frozen=True, slots=True)
class _Answer:
    admission: Admission
    question: Question
    at_s: float

    def expects(self, question: Question) -> int:
        """What this one is held to cost, nano-dollars: as much as that one, and more in proportion where it is longer."""
        held = max(1, self.admission.held_nanousd)
        return max(held, -(-held * _tokens(question) // _tokens(self.question)))


@dataclass(slots=True)
class _Wallet:
    """What may be let in without asking."""

    left_nanousd: int = 0
    made_at: datetime = LONG_AGO
    """When the metering API made the answer that this is by; answers may arrive in another order."""
    closed_s: float = float("-inf")
    """When the metering API said that nothing is left; what was asked before is not believed any more."""
    unseen: dict[str, tuple[int, float | None]] = field(default_factory=dict)
    """Calls that nobody asked for: what they are held to cost, and since when the metering API has their reports."""


class Admissions:
    """Asks, and remembers what the operator lets it remember. Times are seconds of the monotonic clock."""

    def __init__(
        self,
        metering: Metering,
        *,
        remember_s: float,
        grace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metering, self._remember_s, self._grace_s, self._clock = metering, remember_s, grace_s, clock
        self._keys: OrderedDict[bytes, OrderedDict[tuple[str, str | None], _Answer]] = OrderedDict()
        self._wallets: OrderedDict[int, _Wallet] = OrderedDict()
        self._unseen: dict[str, _Wallet] = {}
        self._away_since_s: float | None = None
        self._answered_s = self._tried_s = float("-inf")

    async def ask(self, question: Question) -> Admission:
        """A call of its own each time. Raises Refused, and Away where nothing that is known lets it in."""
        asked_s = self._clock()
        if self._remember_s and (found := self._again(question, since_s=asked_s - self._remember_s)):
            return found
        if not self._may_try(asked_s):
            return self._in_grace(question)
        try:
            admission = await self._asked_twice(question)
        except Away as away:
            self._is_away(asked_s, away)
            return self._in_grace(question)
        except Refused as refused:
            self._is_back()
            self._forget(question, refused)
            raise
        self._is_back()
        if self._remember_s or self._grace_s:
            self._remember(question, admission, asked_s)
        return admission

    def seen(self, call_ids: Iterable[str]) -> None:
        """The metering API has the reports of these calls: its next answers know of them."""
        for call_id in call_ids:
            if wallet := self._unseen.pop(call_id, None):
                held, _ = wallet.unseen[call_id]
                wallet.unseen[call_id] = held, self._clock()

    async def _asked_twice(self, question: Question) -> Admission:
        """A connection that the other side had closed, or a restart, is no reason to refuse anybody.

        What took too long once does so again, and would hold a second time.
        """
        try:
            return await self._metering.authorize(question)
        except Away as away:
            if away.is_timeout:
                raise
            log.debug("Asking once more: %s", away)
            await asyncio.sleep(0.05)
            return await self._metering.authorize(question)

    def _may_try(self, now_s: float) -> bool:
        if self._away_since_s is not None and now_s - self._tried_s < TRY_EVERY_S:
            return False
        self._tried_s = now_s
        return True

    def _is_away(self, asked_s: float, away: Away) -> None:
        """Unless others were answered since: then it was this question alone."""
        if self._away_since_s is None and self._answered_s <= asked_s:
            self._away_since_s = self._clock()
            log.warning("The metering API is away: %s. Known keys are served for %g s.", away, self._grace_s)

    def _is_back(self) -> None:
        self._answered_s = self._clock()
        if self._away_since_s is not None:
            log.warning("The metering API is back after %.1f s.", self._answered_s - self._away_since_s)
            self._away_since_s = None

    def _in_grace(self, question: Question) -> Admission:
        now_s = self._clock()
        since_s = now_s if self._away_since_s is None else self._away_since_s
        is_in_grace = self._grace_s > 0 and now_s - since_s <= self._grace_s
        if is_in_grace and (found := self._again(question, since_s=since_s - KNOWN_S)):
            return found
        raise Away("The metering API is away.")

    def _again(self, question: Question, *, since_s: float) -> Admission | None:
        answers = self._keys.get(_digest(question.key), OrderedDict())
        answer = answers.get((question.model, question.client_ip))
        if answer is None or answer.at_s < since_s:
            return None
        wallet = self._wallets.get(answer.admission.wallet_id)
        if wallet is None or wallet.left_nanousd <= 0:
            return None
        found = replace(answer.admission, call_id=call_ids.new())
        expected = answer.expects(question)
        wallet.left_nanousd -= expected
        wallet.unseen[found.call_id] = expected, None
        self._unseen[found.call_id] = wallet
        return found

    def _remember(self, question: Question, admission: Admission, asked_s: float) -> None:
        answers = self._keys.setdefault(_digest(question.key), OrderedDict())
        about = question.model, question.client_ip
        answers[about] = _Answer(admission, replace(question, key=""), self._clock())
        answers.move_to_end(about)
        self._keys.move_to_end(_digest(question.key))
        wallet = self._wallets.setdefault(admission.wallet_id, _Wallet())
        self._wallets.move_to_end(admission.wallet_id)
        if asked_s >= wallet.closed_s:
            self._count(wallet, admission)
        for bounded, most in (
            (answers, MOST_ANSWERS_A_KEY),
            (self._keys, MOST_KEYS),
            (self._wallets, MOST_KEYS),
        ):
            while len(bounded) > most:
                bounded.popitem(last=False)

    def _count(self, wallet: _Wallet, admission: Admission) -> None:
        made_at, known_s = call_ids.time_of(admission.call_id), self._clock() - OLDEST_ANSWER_S
        if made_at < wallet.made_at:
            return
        wallet.unseen = {
            call_id: (held, seen_s)
            for call_id, (held, seen_s) in wallet.unseen.items()
            if seen_s is None or seen_s > known_s
        }
        left = admission.available_nanousd - sum(held for held, _ in wallet.unseen.values())
        # Of the same millisecond either may be the newer one.
        wallet.left_nanousd = min(left, wallet.left_nanousd) if made_at == wallet.made_at else left
        wallet.made_at = made_at

    def _forget(self, question: Question, refused: Refused) -> None:
        key = _digest(question.key)
        answers = self._keys.get(key, OrderedDict())
        if refused.code == "insufficient_balance":
            for answer in answers.values():
                if wallet := self._wallets.get(answer.admission.wallet_id):
                    wallet.left_nanousd, wallet.closed_s = 0, self._clock()
        answers.pop((question.model, question.client_ip), None)
        if refused.code in OF_THE_KEY:
            self._keys.pop(key, None)


def _tokens(question: Question) -> int:
    return max(1, (question.input_tokens or 0) + (question.max_output_tokens or 0))


def _digest(key: str) -> bytes:
    """The key itself stays nowhere."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).digest()
