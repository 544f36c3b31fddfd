"""The published `anthropic` package: does the steps that it is given as JSON, and prints what came of each."""

import json
import sys
from typing import Any

import anthropic

TOOL = {
    "name": "weather",
    "description": "The weather at a place.",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
}
sent: list[str] = []


def connected(task: dict[str, Any], step: dict[str, Any]) -> Any:
    """As everybody makes it, its key in x-api-key; the hook only counts what goes out, repetitions included."""
    counting = anthropic.DefaultHttpxClient(
        event_hooks={"request": [lambda request: sent.append(request.url.path)]}
    )
    return anthropic.Anthropic(
        api_key=step["key"],
        base_url=step["base_url"],
        http_client=counting,
        timeout=60,
        **task.get("options", {}),
    )


def chat(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = client.messages.create(**_asked(step))
    return {**_read(answer), "call_id": answer._request_id}


def stream(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    with client.messages.stream(**_asked(step)) as answer:
        parts = list(answer.text_stream)
        return {
            **_read(answer.get_final_message()),
            "text": "".join(parts),
            "parts": len(parts),
            "call_id": answer.response.headers["request-id"],
        }


def leave(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    """Hangs up in mid-stream."""
    with client.messages.stream(**_asked(step)) as answer:
        read = [next(answer.text_stream) for _ in range(3)]
        answer.close()
        return {"parts": len(read), "call_id": answer.response.headers["request-id"]}


def tool(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = client.messages.create(**_asked(step), tools=[TOOL])
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    return {
        "tool": [call.name, call.input],
        "finish": answer.stop_reason,
        "usage": answer.usage.model_dump(exclude_none=True),
        "call_id": answer._request_id,
    }


def models(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    return {"models": [model.id for model in client.models.list()]}


def _asked(step: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "user", "content": step["say"]}]
    return {"model": step["model"], "max_tokens": 500, "messages": messages, **step.get("options", {})}


def _read(answer: Any) -> dict[str, Any]:
    return {
        "text": "".join(block.text for block in answer.content if block.type == "text"),
        "usage": answer.usage.model_dump(exclude_none=True),
        "model": answer.model,
    }


STEPS = {made.__name__: made for made in (chat, stream, leave, tool, models)}


def main() -> None:
    task, told = json.load(sys.stdin), []
    for step in task["steps"]:
        sent.clear()
        try:
            found = STEPS[step["do"]](connected(task, step), step)
        except anthropic.APIStatusError as error:
            body = error.body if isinstance(error.body, dict) else {}
            found = {"error": [base.__name__ for base in type(error).__mro__], "status": error.status_code}
            found |= {"type": body.get("error", {}).get("type"), "message": error.message}
            found["call_id"] = error.request_id
        told.append({**found, "sent": len(sent)})
    print(json.dumps(told))


main()
