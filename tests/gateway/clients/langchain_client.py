"""LangChain's ChatOpenAI, as published: does the steps that it is given as JSON, and prints what came of each."""

import json
import sys
from typing import Any

import openai
from langchain_openai import ChatOpenAI

TOOL = {
    "title": "weather",
    "description": "The weather at a place.",
    "type": "object",
    "properties": {"place": {"type": "string"}},
}
sent: list[str] = []


def connected(task: dict[str, Any], step: dict[str, Any]) -> Any:
    """The hook only counts what goes out, repetitions included."""
    counting = openai.DefaultHttpxClient(
        event_hooks={"request": [lambda request: sent.append(request.url.path)]}
    )
    return ChatOpenAI(
        model=step["model"],
        api_key=step["key"],
        base_url=step["base_url"],
        http_client=counting,
        include_response_headers=True,
        stream_usage=True,
        **task.get("options", {}),
    )


def chat(model: Any, step: dict[str, Any]) -> dict[str, Any]:
    return _read(model.invoke(step["say"]))


def stream(model: Any, step: dict[str, Any]) -> dict[str, Any]:
    parts = list(model.stream(step["say"]))
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    return {**_read(whole), "parts": len(parts)}


def leave(model: Any, step: dict[str, Any]) -> dict[str, Any]:
    """Hangs up in mid-stream."""
    parts = model.stream(step["say"])
    read = [next(parts) for _ in range(3)]
    parts.close()
    return {"parts": len(read), "call_id": read[0].response_metadata["headers"]["x-request-id"]}


def tool(model: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = model.bind_tools([TOOL]).invoke(step["say"])
    (call,) = answer.tool_calls
    finish = answer.response_metadata["finish_reason"]
    return {**_read(answer), "tool": [call["name"], call["args"]], "finish": finish}


def _read(answer: Any) -> dict[str, Any]:
    return {
        "call_id": answer.response_metadata["headers"]["x-request-id"],
        "text": answer.content,
        "usage": answer.usage_metadata,
    }


STEPS = {made.__name__: made for made in (chat, stream, leave, tool)}


def main() -> None:
    task, told = json.load(sys.stdin), []
    for step in task["steps"]:
        sent.clear()
        try:
            found = STEPS[step["do"]](connected(task, step), step)
        except openai.APIStatusError as error:
            found = {
                "error": [base.__name__ for base in type(error).__mro__],
                "status": error.status_code,
                "code": error.code,
            }
            found |= {"type": error.type, "message": error.message, "call_id": error.request_id}
        told.append({**found, "sent": len(sent)})
    print(json.dumps(told))


main()
