"""curl, and CometAPI's published command-line tool, against the real gateway: what people paste into a terminal."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.account_api.cometapi_cli.tool import Tool
from tests.gateway.customers import Customer
from tests.gateway.running import RunningGateway

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1500)]
needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None, reason="NO curl ON THIS MACHINE: it was not tried with the gateway"
)

GPT, CLAUDE, GEMINI = "gpt-4o-mini", "claude-haiku-4-5", "gemini-2.5-flash"
SEEN_S = 20.0
HELLO: dict[str, Any] = {"model": GPT, "messages": [{"role": "user", "content": "Hello."}]}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def call_id(self) -> str:
        return self.headers.get("x-request-id") or self.headers["request-id"]


def curl(url: str, *arguments: str, body: object = None) -> Answer:
    """As typed; redirects are not followed."""
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--include", "--max-time", "60", url]
    if body is not None:
        data = body if isinstance(body, str) else json.dumps(body)
        command += ["-H", "Content-Type: application/json", "--data-binary", data]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True, timeout=90)
    head, _, rest = done.stdout.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return Answer(int(first.split()[1]), headers, rest)


@pytest.fixture(scope="module")
def customer(gateway: RunningGateway) -> Customer:
    return Customer(gateway.stack)


@pytest.fixture(scope="module")
def key(customer: Customer) -> str:
    return customer.key()


@needs_curl
@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "/chat/completions",
        "/chat/completions/",
        "/v1/chat/completions/chat/completions",
    ],
)
@pytest.mark.parametrize("header", ["Authorization: Bearer ", "x-api-key: ", "x-goog-api-key: "])
def test_every_address_takes_the_key_from_every_header(
    gateway: RunningGateway, customer: Customer, key: str, path: str, header: str
) -> None:
    answer = curl(gateway.url + path, "-H", header + key, body=HELLO)
    assert answer.status == 200, answer
    told = answer.json["usage"]
    receipt = customer.receipt(answer.call_id, within_s=SEEN_S)
    assert receipt.usage == {
        "input_tokens": told["prompt_tokens"],
        "output_tokens": told["completion_tokens"],
    }
    assert not [name for name in answer.headers if "litellm" in name]


@needs_curl
def test_streams_end_as_each_format_says(gateway: RunningGateway, customer: Customer, key: str) -> None:
    asked = {**HELLO, "stream": True}
    openai = curl(f"{gateway.url}/v1/chat/completions", "-H", f"Authorization: Bearer {key}", body=asked)
    assert openai.headers["content-type"].startswith("text/event-stream")
    assert openai.body.rstrip().endswith("data: [DONE]")
    claude = {**asked, "model": CLAUDE, "max_tokens": 100}
    anthropic = curl(f"{gateway.url}/v1/messages", "-H", f"x-api-key: {key}", body=claude)
    assert '"type": "message_stop"' in anthropic.body or '"type":"message_stop"' in anthropic.body
    google = curl(
        f"{gateway.url}/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse",
        *("-H", f"x-goog-api-key: {key}"),
        body={"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]},
    )
    assert '"usageMetadata"' in google.body, google
    for answer in (openai, anthropic, google):
        receipt = customer.receipt(answer.call_id, within_s=SEEN_S)
        assert receipt.charged_nanousd > 0
        assert receipt.told["status"] == "succeeded"


@needs_curl
def test_google_s_format_with_its_own_header(gateway: RunningGateway, customer: Customer, key: str) -> None:
    answer = curl(
        f"{gateway.url}/v1beta/models/{GEMINI}:generateContent",
        *("-H", f"x-goog-api-key: {key}"),
        body={"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]},
    )
    assert "You said: Hello." in answer.json["candidates"][0]["content"]["parts"][0]["text"]
    told = answer.json["usageMetadata"]
    receipt = customer.receipt(answer.call_id, within_s=SEEN_S)
    assert receipt.usage == {
        "input_tokens": told["promptTokenCount"],
        "output_tokens": told["candidatesTokenCount"],
    }


@needs_curl
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/models", "/v1/chat/completions/models"])
def test_the_models_of_a_key(gateway: RunningGateway, customer: Customer, path: str) -> None:
    narrow = customer.key(models=GPT)
    for header in ("Authorization: Bearer ", "x-api-key: ", "x-goog-api-key: "):
        assert [found["id"] for found in curl(gateway.url + path, "-H", header + narrow).json["data"]] == [
            GPT
        ]


@needs_curl
def test_mistakes_are_told_in_the_format_of_the_address(gateway: RunningGateway, key: str) -> None:
    bearer = ("-H", f"Authorization: Bearer {key}")
    chat, messages = f"{gateway.url}/v1/chat/completions", f"{gateway.url}/v1/messages"
    assert _openai(curl(chat, body=HELLO)) == (401, "invalid_api_key")
    assert _openai(curl(chat, *bearer, body="{nothing")) == (400, "invalid_json")
    assert _openai(curl(chat, *bearer, body={"messages": []})) == (400, "invalid_model")
    assert _openai(curl(f"{gateway.url}/v1/nothing", *bearer, body={})) == (404, "not_found")
    assert _openai(curl(chat, *bearer)) == (405, "method_not_allowed")
    assert _anthropic(curl(messages, body=HELLO)) == (401, "authentication_error")
    assert _anthropic(curl(messages, *bearer, body="[]")) == (400, "invalid_request_error")


@needs_curl
def test_an_answer_is_known_as_the_one_before_after_a_restart(gateway: RunningGateway, key: str) -> None:
    asked = {"model": GPT, "input": "Hello."}
    to = f"{gateway.url}/v1/responses", "-H", f"Authorization: Bearer {key}"
    first = curl(*to, body=asked)
    gateway.down()
    gateway.up()
    again = curl(*to, body={**asked, "previous_response_id": first.json["id"]})
    assert again.status == 200, again
    unknown = curl(*to, body={**asked, "previous_response_id": "resp_of_another_gateway"})
    assert _openai(unknown) == (400, "previous_response_not_found")


def _openai(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["code"]


def _anthropic(answer: Answer) -> tuple[int, str]:
    assert answer.json["type"] == "error"
    return answer.status, answer.json["error"]["type"]


@pytest.fixture(scope="module")
def tool(
    gateway: RunningGateway, key: str, tool_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Tool:
    return Tool(tool_python, tmp_path_factory.mktemp("tool"), gateway.url, key, "")


def test_cometapi_chat(tool: Tool, customer: Customer) -> None:
    before = customer.newest_call()
    told = tool.run("chat", "Hello there.", "--model", GPT, "--json").json
    assert "You said: Hello there." in told["content"]
    receipt = customer.receipt(customer.newest_call_after(before))
    assert receipt.usage == {
        "input_tokens": told["usage"]["prompt_tokens"],
        "output_tokens": told["usage"]["completion_tokens"],
    }


@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_cometapi_chat_as_a_person_reads_it(tool: Tool, customer: Customer, how: str) -> None:
    before = customer.newest_call()
    assert "You said: Hello there." in tool.run("chat", "Hello there.", "-m", CLAUDE, how).text
    receipt = customer.receipt(customer.newest_call_after(before))
    assert (receipt.told["model"], receipt.told["status"]) == (CLAUDE, "succeeded")


def test_cometapi_chat_without_a_good_key(tool: Tool) -> None:
    done = Tool(tool.python, tool.home, tool.base_url, "sk-nobody-has-this-key", "").run("chat", "Hello.")
    assert done.code != 0
    assert "Traceback" not in done.complaint
