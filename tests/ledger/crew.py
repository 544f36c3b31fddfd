"""Processes of their own that do the product's work on the test's database, all at the same moment.

The parent sends each a job by name (a function of tests/ledger/jobs.py), waits until all are ready, and lets them go.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections

from tests.plugin import CLUSTER


class Crew:
    """A number of processes. They live until the block ends, so that a job need not wait for their start."""

    def __init__(self, members: Sequence["subprocess.Popen[str]"]) -> None:
        self.members = members

    def all_at_once(self, job: str, **arguments: object) -> list[Any]:
        """What the job returned in each process; `number` tells it which one it is."""
        return self.each(job, [arguments] * len(self.members))

    def each(self, job: str, arguments: Sequence[dict[str, object]]) -> list[Any]:
        """As `all_at_once`, for the first of them, each with arguments of its own."""
        working = self.members[: len(arguments)]
        for number, (member, own) in enumerate(zip(working, arguments, strict=True)):
            tell(member, json.dumps({"job": job, "arguments": {"number": number, **own}}))
        for member in working:
            assert hear(member) == "ready"
        for member in working:
            tell(member, "go")
        answers = [json.loads(hear(member)) for member in working]
        failed = [answer["failed"] for answer in answers if "failed" in answer]
        assert not failed, failed[0]
        return [answer["done"] for answer in answers]


@contextmanager
def crew(size: int, sockets: str = "") -> Iterator[Crew]:
    """Start them on the database of this test run; `sockets` is the folder of another way to it."""
    name = str(connections["default"].settings_dict["NAME"])
    url = CLUSTER.url(name) if not sockets else f"postgresql://cometsite@/{name}?host={sockets}"
    environment = {**os.environ, "DATABASE_URL": url, "DATABASE_POOL_SIZE": "32", "PYTHONWARNINGS": "ignore"}
    members = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ledger.jobs"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(size)
    ]
    try:
        yield Crew(members)
    finally:
        for member in members:
            member.kill()
            member.communicate()


def tell(member: "subprocess.Popen[str]", line: str) -> None:
    assert member.stdin is not None
    member.stdin.write(line + "\n")
    member.stdin.flush()


def hear(member: "subprocess.Popen[str]") -> str:
    assert member.stdout is not None
    line = member.stdout.readline()
    assert line, f"A process of the crew died with {member.poll()}."
    return line.rstrip("\n")
