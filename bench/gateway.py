"""What our gateway adds to LiteLLM: the same calls at LiteLLM alone, and behind the door that asks first and reports after.

LiteLLM runs in an environment of its own, the one that `make gateway` uses. One customer makes all calls with one key, and
the echo answers them, so that nothing is waited for but what runs on this machine.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench import Failed, measures, plan
from bench.load import Load, Outcome
from bench.machine import HOST, Machine, Watch
from bench.results import Round
from cometsite.quickstart import ports
from cometsite.quickstart.commands import PROJECT
from cometsite.quickstart.processes import Service
from logs.models import Call

if TYPE_CHECKING:
    from bench.measures import Lab, Measure

ALONE = "litellm"
REMEMBERED_S = 5
# LiteLLM takes some seconds to be imported, and a minute where a machine does other things besides.
STARTS_WITHIN_S = 240.0
# It looks things up at its first calls of each kind.
WARM_UP_S = 0.5
REPORTED_WITHIN_S = 30.0
LOOK_EVERY_S = 0.05
SAID = (
    "Say in one sentence what a ledger is, and in another one what it is not, for somebody who never saw one. "
    * 3
)
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": SAID}]}
MESSAGE = {"model": "claude-haiku-4-5", "max_tokens": 300, "messages": CHAT["messages"]}


class NotInstalled(Exception):
    """LiteLLM can't be had here, so there is nothing to measure; the sentence says why."""


def every(lab: "Lab") -> list["Measure"]:
    """Server by server for each kind of call, so that what is compared was measured one after the other."""
    servers = Servers(lab.machine, lab.population.gateway_key, lab.population.keys[0].text)
    return [
        measures.Measure(name, _titles(server, kind, number), Calling(lab, servers, server, kind, number))
        for name, server, kind, number in plan.GATEWAY_CALLS
    ]


def _titles(server: str, kind: str, number: int) -> dict[str, str]:
    about = f"{plan.GATEWAY_SERVERS[server]}, {plan.GATEWAY_KINDS[kind]}, {number} conn."
    titles = {plan.gateway_sample(server, kind, number): f"{about}: calls"}
    if kind == "stream":
        titles[plan.gateway_sample(server, "stream-first", number)] = f"{about}, to the first byte: calls"
    return titles


@dataclass(slots=True)
class Servers:
    """LiteLLM alone and behind the gateway: each is started when it is asked for at first, and stays."""

    machine: Machine
    gateway_key: str
    customer_key: str
    ports: dict[str, int] = field(default_factory=dict)
    python: str = ""
    why_missing: str = ""

    def port(self, name: str) -> tuple[int, bool]:
        """Where it listens, and whether that is news. Raises NotInstalled."""
        if self.why_missing:
            raise NotInstalled(self.why_missing)
        if name in self.ports:
            return self.ports[name], False
        self.python = self.python or self._installed()
        port = ports.any_free()
        service = self._alone(port) if name == ALONE else self._gateway(name, port)
        path = "/health/liveliness" if name == ALONE else "/healthz"
        self.machine.start_server(service, port, path=path, within_s=STARTS_WITHIN_S)
        self.ports[name] = port
        return port, True

    def _installed(self) -> str:
        """The Python of LiteLLM's environment, or the one that GATEWAY_PYTHON names."""
        try:
            return _python()
        except NotInstalled as error:
            self.why_missing = str(error)
            print(f"{error}\nWhat the gateway adds is not measured.", file=sys.stderr)
            raise

    def _alone(self, port: int) -> Service:
        command = [
            self.python,
            "-m",
            "bench.litellm_alone",
            str(port),
            self._dashboard,
            str(self._folder(ALONE)),
        ]
        # It does not start where nobody needs a key. The master's is the one that it knows without a database.
        told = {"LITELLM_MASTER_KEY": self.customer_key}
        return Service(ALONE, command, {**self._environment(), **told}, PROJECT)

    def _gateway(self, name: str, port: int) -> Service:
        told = {
            "METERING_URL": self._dashboard,
            "GATEWAY_KEY": self.gateway_key,
            "GATEWAY_DATA_DIR": str(self._folder(name)),
            "GATEWAY_PORT": str(port),
            "GATEWAY_REMEMBER_S": str(REMEMBERED_S if name == "remembering" else 0),
        }
        return Service(name, [self.python, "-m", "gateway"], {**self._environment(), **told}, PROJECT)

    @property
    def _dashboard(self) -> str:
        return f"http://{HOST}:{self.machine.port}"

    def _folder(self, name: str) -> str:
        folder = self.machine.folder.path / f"gateway-{name}"
        folder.mkdir(exist_ok=True)
        return str(folder)

    def _environment(self) -> dict[str, str]:
        """No provider's key, so that the echo answers."""
        return {"PATH": os.defpath, "HOME": str(self.machine.folder.path)}


def _python() -> str:
    if given := os.environ.get("GATEWAY_PYTHON"):
        if not shutil.which(given):
            raise NotInstalled(f"GATEWAY_PYTHON names {given}, which can't be run.")
        return given
    done = subprocess.run(
        ["make", "-s", "gateway-python"], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise NotInstalled("LiteLLM could not be installed.")
    return done.stdout.splitlines()[-1]


@dataclass(slots=True)
class Calling:
    """One call after the other on each connection. Raises Failed where the log does not get each that was answered."""

    lab: "Lab"
    servers: Servers
    server: str
    kind: str
    connections: int

    def __call__(self, seconds: float) -> Round:
        try:
            port, is_new = self.servers.port(self.server)
        except NotInstalled:
            return {}
        if is_new:
            for kind in plan.GATEWAY_KINDS:
                self._drive(port, kind, WARM_UP_S)
        outcome, watch = self._drive(port, self.kind, seconds)
        found = {self._name(self.kind): self.lab.sample(outcome, watch, calls=False)}
        if self.kind == "stream":
            first = replace(outcome, latencies_s=outcome.first_bytes_s)
            found[self._name("stream-first")] = self.lab.sample(first, watch, calls=False)
        return found

    def _name(self, kind: str) -> str:
        return plan.gateway_sample(self.server, kind, self.connections)

    def _drive(self, port: int, kind: str, seconds: float) -> tuple[Outcome, Watch]:
        before = _succeeded()
        asked = request(kind, self.servers.customer_key)
        (outcome,), watch = self.lab.drive(
            Load(port, [asked], self.connections, seconds, repeat=True), web=self.server
        )
        answered = 0 if self.server == ALONE else len(outcome.latencies_s) - outcome.refused.total()
        self.lab.accepted += answered
        _wait_until_recorded(before, answered)
        return outcome, watch


def request(kind: str, key: str) -> bytes:
    """A call as a client sends it."""
    if kind == "messages":
        return _posted("/v1/messages", MESSAGE, {"x-api-key": key, "anthropic-version": "2023-06-01"})
    body = {**CHAT, "stream": True} if kind == "stream" else CHAT
    return _posted("/v1/chat/completions", body, {"Authorization": f"Bearer {key}"})


def _posted(path: str, body: Mapping[str, object], headers: Mapping[str, str]) -> bytes:
    content = json.dumps(body).encode()
    told = {
        "Host": HOST,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


def _succeeded() -> int:
    return Call.objects.filter(status=Call.Status.SUCCEEDED).count()


def _wait_until_recorded(before: int, answered: int) -> None:
    """So that no window pays for the reports of the one before it."""
    give_up_at = time.monotonic() + REPORTED_WITHIN_S
    while (recorded := _succeeded() - before) < answered and time.monotonic() < give_up_at:
        time.sleep(LOOK_EVERY_S)
    if recorded != answered:
        raise Failed(f"{answered} calls were answered, and {recorded} are in the log.")
