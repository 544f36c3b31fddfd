"""Servers that go away under load: the database stands still or is down, the broker is emptied or gone."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import redis

from tests.chaos import victims
from tests.chaos.connection import Answer, Connection
from tests.chaos.trial import Trial
from tests.stack import Stack

PROBES = 3
# Those who wait for authorize have little patience; a report may wait for one that is on its way, and then for itself.
LONGEST_REFUSAL_S = {"authorize": 6.0, "calls": 9.0}
# Seconds from the database's return to the first good answer.
LONGEST_RETURN_S = 10.0

type Say = Callable[[str], None]


@contextmanager
def standing_still(stack: Stack) -> Iterator[None]:
    """The database's processes are there and take connections, and none of them moves."""
    stopped: list[int] = []
    while rest := [pid for pid in victims.database(stack) if pid not in stopped]:
        for pid in rest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)
    try:
        yield
    finally:
        for pid in reversed(stopped):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def down(stack: Stack, name: str = "postgres") -> Iterator[None]:
    """The service is killed, and nobody starts it again."""
    (stack.data_dir / "run" / f"{name}.hold").touch()
    with contextlib.suppress(AssertionError, ProcessLookupError):
        # Where it is stopped in order just before, that is an end too.
        stack.kill(name)
    stack.stop(name)
    try:
        yield
    finally:
        stack.start(name)


@dataclass
class Outage:
    """What those who asked all the time were answered while it lasted, and how soon a good answer came after it."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LONGEST_REFUSAL_S, 0.0))
    without_retry_after: int = 0
    good_after_s: float = float("inf")

    def refuse(self, name: str, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        self.slowest_s[name] = max(self.slowest_s[name], answer.took_s)
        self.without_retry_after += answer.status == 503 and not answer.retry_after

    @property
    def findings(self) -> list[str]:
        found = []
        if set(self.statuses) != {503} or self.without_retry_after:
            found.append(f"answers while it lasted: {dict(self.statuses)}, not 503 with Retry-After alone")
        for name, limit_s in LONGEST_REFUSAL_S.items():
            if self.slowest_s[name] > limit_s:
                found.append(f"the slowest refusal of {name} took {self.slowest_s[name]:.1f} s")
        if self.good_after_s > LONGEST_RETURN_S:
            found.append(f"the first good answer came {self.good_after_s:.1f} s after it was back")
        return found

    def __str__(self) -> str:
        slowest = ", ".join(f"{name} {took_s:.1f} s" for name, took_s in self.slowest_s.items())
        return (
            f"{dict(self.statuses)}, slowest {slowest},"
            f" first good answer {self.good_after_s:.1f} s after it was back"
        )


class Probe(threading.Thread):
    """Asks `authorize`, or reports a call, all the time, and notes when it asked."""

    def __init__(self, trial: Trial, *, reports: bool) -> None:
        super().__init__(name="probe", daemon=True)
        self.trial, self.reports = trial, reports
        self.gateway = trial.gateway(f"probe {reports}")
        self.connection = Connection(trial.stack.port, trial.customers.gateway_key)
        self.answers: list[tuple[float, Answer]] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(0.1):
            asked_at = time.monotonic()
            answer = self._report() if self.reports else self._ask()
            self.answers.append((asked_at, answer))
        self.connection.close()

    def _ask(self) -> Answer:
        key, _ = self.trial.customers.keys[0]
        return self.connection.post("authorize", {"key": key, "model": "gpt-4o"})

    def _report(self) -> Answer:
        """A call of its own, sent once: if there is no good answer it may be in the books or not."""
        call = self.gateway.call(is_asked=False)
        self.trial.journal.send([call["call_id"]])
        answer = self.connection.post("calls", {"calls": [call]})
        if answer.status == 200:
            self.gateway.acknowledged([call], answer)
        return answer


def without_database(trial: Trial, how: AbstractContextManager[None], seconds: float) -> Outage:
    """The database away for some seconds under load. Ends with the first good answer to each kind of question."""
    # What was killed before may still be starting.
    trial.stack.wait_for(lambda: trial.stack.get("/readyz")[0] == 200, victims.PATIENCE_S)
    probes = [Probe(trial, reports=number == 0) for number in range(PROBES)]
    for probe in probes:
        probe.start()
    time.sleep(1)
    with how:
        began_at = time.monotonic()
        time.sleep(seconds)
        ended_at = time.monotonic()
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at and not all(_good_after(probe, ended_at) for probe in probes):
        time.sleep(0.05)
    outage = Outage()
    for probe in probes:
        probe.stopping.set()
    for probe in probes:
        probe.join(30)
        for asked_at, answer in probe.answers:
            if began_at < asked_at + answer.took_s < ended_at and (
                answer.status != 200 or asked_at > began_at
            ):
                outage.refuse("calls" if probe.reports else "authorize", answer)
    outage.good_after_s = max(_good_after(probe, ended_at) or float("inf") for probe in probes)
    return outage


def _good_after(probe: Probe, ended_at: float) -> float | None:
    """Seconds until the first good answer to a question asked since the outage began."""
    ends = [at + answer.took_s for at, answer in list(probe.answers) if answer.status == 200]
    return next((end - ended_at for end in ends if end > ended_at), None)


def empty_broker(stack: Stack) -> None:
    with redis.Redis.from_url(stack.env["VALKEY_URL"]) as broker:
        broker.flushall()


def without_broker(trial: Trial, seconds: float) -> list[str]:
    """Asks and reports while the broker is away; whatever is not a good answer is a finding."""
    gateway = trial.gateway("no broker")
    connection = Connection(trial.stack.port, trial.customers.gateway_key)
    found: Counter[int] = Counter()
    with down(trial.stack, "valkey"):
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            key, _ = trial.customers.keys[0]
            found[connection.post("authorize", {"key": key, "model": "gpt-4o"}).status] += 1
            gateway.report(gateway.batch())
            time.sleep(0.1)
    connection.close()
    gateway.connection.close()
    return [] if set(found) == {200} else [f"without the broker authorize answered {dict(found)}"]


def lose_the_queue(trial: Trial, name: str) -> None:
    """A top-up is paid, and what the queue knows of its events is lost before the worker sees it."""
    shopper = trial.shopper(name)
    browser = shopper.arrive(f"{name}@example.com")
    trial.stack.stop("worker")
    shopper.top_up(browser, 700, pays=True)
    trial.stack.wait_for(lambda: trial.pending_events() > 0, 20)
    empty_broker(trial.stack)
    trial.stack.start("worker")


def all_of_them(trial: Trial, seconds: float, say: Say) -> None:
    """Each outage for so many seconds, under load, with its findings in the journal."""
    trial.load(name="outage")
    for name, how in (("stands still", standing_still), ("is down", down)):
        outage = without_database(trial, how(trial.stack), seconds)
        say(f"The database {name} for {seconds:.0f} s: {outage}")
        for finding in outage.findings:
            trial.journal.wrong(f"the database {name}: {finding}")
    lose_the_queue(trial, "queue")
    # And once more with everything running.
    empty_broker(trial.stack)
    for finding in without_broker(trial, min(seconds, 20)):
        trial.journal.wrong(finding)
    say("The broker was emptied, and gone for a while")
    trial.unload()
