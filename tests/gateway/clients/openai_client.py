"""The published `openai` package: does the steps that it is given as JSON, and prints what came of each."""

import json
import sys
from typing import Any

import openai

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather at a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    },
}
sent: list[str] = []


def connected(task: dict[str, Any], step: dict[str, Any]) -> Any:
    """As everybody makes it; the hook only counts what goes out, repetitions included."""
    counting = openai.DefaultHttpxClient(
        event_hooks={"request": [lambda request: sent.append(request.url.path)]}
    )
    return openai.OpenAI(
        api_key=step["key"],
        base_url=step["base_url"],
        http_client=counting,
        timeout=60,
        **task.get("options", {}),
    )


def chat(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = client.chat.completions.create(
        model=step["model"], messages=_messages(step), **step.get("options", {})
    )
    return {
        "call_id": answer._request_id,
        "text": answer.choices[0].message.content,
        "usage": answer.usage.model_dump(exclude_none=True),
        "model": answer.model,
    }


def stream(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    raw, chunks = _opened(client, step)
    parts = list(chunks)
    texts = [part.choices[0].delta.content for part in parts if part.choices]
    usage = [part.usage.model_dump(exclude_none=True) for part in parts if part.usage]
    return {
        "call_id": raw.headers["x-request-id"],
        "text": "".join(filter(None, texts)),
        "usage": usage[-1],
        "parts": len(parts),
    }


def leave(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    """Hangs up in mid-stream."""
    raw, chunks = _opened(client, step)
    read = [next(iter(chunks)) for _ in range(3)]
    chunks.close()
    return {"call_id": raw.headers["x-request-id"], "parts": len(read)}


def tool(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = client.chat.completions.create(
        model=step["model"], messages=_messages(step), tools=[TOOL], tool_choice="auto"
    )
    (call,) = answer.choices[0].message.tool_calls
    return {
        "call_id": answer._request_id,
        "tool": [call.function.name, json.loads(call.function.arguments)],
        "finish": answer.choices[0].finish_reason,
        "usage": answer.usage.model_dump(exclude_none=True),
    }


def respond(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = client.responses.create(model=step["model"], input=step["say"])
    return {"call_id": answer._request_id, "text": answer.output_text, "usage": answer.usage.model_dump()}


def respond_streaming(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    with client.responses.stream(model=step["model"], input=step["say"]) as answer:
        parts = [event.delta for event in answer if event.type == "response.output_text.delta"]
        usage = answer.get_final_response().usage.model_dump()
        call_id = answer._response.headers["x-request-id"]
    return {"call_id": call_id, "text": "".join(parts), "usage": usage, "parts": len(parts)}


def embed(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = client.embeddings.create(model=step["model"], input=step["say"])
    return {
        "call_id": answer._request_id,
        "size": len(answer.data[0].embedding),
        "usage": answer.usage.model_dump(exclude_none=True),
    }


def image(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    answer = client.images.generate(model=step["model"], prompt=step["say"])
    return {"call_id": answer._request_id, "images": len(answer.data)}


def models(client: Any, step: dict[str, Any]) -> dict[str, Any]:
    return {"models": [model.id for model in client.models.list()]}


def _opened(client: Any, step: dict[str, Any]) -> tuple[Any, Any]:
    raw = client.chat.completions.with_raw_response.create(
        model=step["model"], messages=_messages(step), stream=True, stream_options={"include_usage": True}
    )
    return raw, raw.parse()


def _messages(step: dict[str, Any]) -> list[dict[str, str]]:
    return [{"role": "user", "content": step["say"]}]


STEPS = {
    made.__name__: made
    for made in (chat, stream, leave, tool, respond, respond_streaming, embed, image, models)
}


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
