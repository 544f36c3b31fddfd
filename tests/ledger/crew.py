"""Processes of their own that do the product's work on the test's database, all at the same moment.

The parent sends each a job by name (a function of tests/ledger/jobs.py), waits until all are ready, and lets them go.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from django.db import connections

from tests.plugin import CLUSTER


@dataclass(frozen=True)
class Member:
    """The ends of a process's two pipes."""

    orders: IO[str]
    answers: IO[str]

    def tell(self, line: str) -> None:
        self.orders.write(line + "\n")
        self.orders.flush()

    def hear(self) -> str:
        line = self.answers.readline()
        assert line, "A process of the crew died."
        return line.rstrip("\n")


@dataclass(frozen=True)
class Crew:
    """A number of processes. They live until the block ends, so that a job need not wait for their start."""

    members: Sequence[Member]

    def all_at_once(self, job: str, **arguments: object) -> list[Any]:
        """What the job returned in each process; `number` tells it which one it is."""
        for number, member in enumerate(self.members):
            member.tell(json.dumps({"job": job, "arguments": {"number": number, **arguments}}))
        for member in self.members:
            assert member.hear() == "ready"
        for member in self.members:
            member.tell("go")
        answers = [json.loads(member.hear()) for member in self.members]
        failed = [answer["failed"] for answer in answers if "failed" in answer]
        assert not failed, failed[0]
        return [answer["done"] for answer in answers]


@contextmanager
def crew(size: int, sockets: str = "") -> Iterator[Crew]:
    """Start them on the database of this test run; `sockets` is the folder of another way to it.

    One process loads Django and then divides, because loading it is what takes long.
    """
    name = str(connections["default"].settings_dict["NAME"])
    url = CLUSTER.url(name) if not sockets else f"postgresql://cometsite@/{name}?host={sockets}"
    environment = {**os.environ, "DATABASE_URL": url, "DATABASE_POOL_SIZE": "32", "PYTHONWARNINGS": "ignore"}
    with ExitStack() as stack:
        members, theirs = [], []
        for _ in range(size):
            (listens, orders), (answers, speaks) = os.pipe(), os.pipe()
            members.append(
                Member(stack.enter_context(os.fdopen(orders, "w")), stack.enter_context(os.fdopen(answers)))
            )
            theirs += [listens, speaks]
        first = subprocess.Popen(
            [sys.executable, "-m", "tests.ledger.jobs", *map(str, theirs)],
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=theirs,
            start_new_session=True,
        )
        for end in theirs:
            os.close(end)
        try:
            yield Crew(members)
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
