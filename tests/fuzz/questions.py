"""What is asked: data that fits the document and data that doesn't, now and then with what there really is in it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from cometsite.openapi.asking import STAFF
from logs import call_ids
from tests.fuzz.world import World

type Operation = APIOperation[Any, Any, Any, Any]

MODELS = ["gpt-4o", "gpt-4-1-mini", "gpt-4.1-mini", "suno_music", "dall-e-3"]
# Of twenty; not the least or the largest of them, which are drawn more often.
HOSTILE = 7
DAYS = ["2026-11-01", "2026-11-30", "2026-02-30"]


@dataclass(frozen=True, slots=True)
class Question:
    case: Case[Any]
    is_signed: bool


@st.composite
def questions(draw: st.DrawFn, operation: Operation, world: World) -> Question:
    """One question to this operation; half of them are of another form than the document says, where that can be."""
    mode = draw(st.sampled_from(_modes(operation)))
    case = draw(operation.as_strategy(generation_mode=mode))
    _show_who_asks(draw, case, world)
    _name_what_there_is(draw, case, _there(world))
    if draw(st.integers(0, 19)) == HOSTILE:
        odd = draw(st.sampled_from(["\x00", "a\x00b", world.inference.text, "%", "é" * 300]))
        case.query = {**_named(case.query), draw(st.sampled_from(["x", "keyword", "p"])): odd}
    case.body = _with_what_there_is(draw, case.body, world)
    return Question(case, is_signed=draw(st.integers(0, 3)) > 0)


def _modes(operation: Operation) -> list[GenerationMode]:
    """Everything fits an operation that asks for nothing."""
    raw = operation.definition.raw
    can_be_wrong = raw["security"] or "requestBody" in raw
    return list(GenerationMode) if can_be_wrong else [GenerationMode.POSITIVE]


def _show_who_asks(draw: st.DrawFn, case: Case[Any], world: World) -> None:
    """Mostly by a key that may ask, else by any other text, or by what was made up."""
    for scheme in [name for choice in case.operation.definition.raw["security"] for name in choice]:
        if scheme == "session":
            if draw(st.integers(0, 3)):
                case.cookies = {"sessionid": world.session}
            continue
        text = draw(
            st.one_of(
                *[st.sampled_from(_good(scheme, case, world))] * 4, st.sampled_from(world.texts), st.none()
            )
        )
        if text is not None and scheme == "keyInAddress":
            case.query = {**_named(case.query), "key": text}
        elif text is not None:
            case.headers = {**_named(case.headers), "Authorization": f"Bearer {text}"}  # type: ignore[assignment]


def _good(scheme: str, case: Case[Any], world: World) -> list[str]:
    if scheme == "gatewayKey":
        return [world.gateway.key]
    if scheme == "accessToken":
        is_for_staff = STAFF in case.operation.definition.raw["tags"]
        return [world.staffs.text, world.access.text] if is_for_staff else [world.access.text]
    return [each.text for each in (world.inference, world.query, world.limited, world.elsewhere, world.poor)]


def _there(world: World) -> dict[str, list[Any]]:
    """By the name of a parameter."""
    now = int(time.time())
    return {
        "code": MODELS,
        "call_id": world.calls,
        "model_name": MODELS,
        "token_name": ["laptop", "=meter"],
        "group": ["partners", "default"],
        "request_id": world.calls,
        "response_id": ["chatcmpl-1"],
        "user_id": [world.alice.pk, world.charlie.pk],
        "username": [f"user-{world.alice.pk}", world.alice.email, "user-0"],
        "email": [world.alice.email],
        "trade_no": [world.top_up],
        "keyword": ["gpt", "credit", "laptop", "%_%_%", world.calls[0], world.top_up],
        "token": [world.inference.text, world.inference.text[:10]],
        "platform": ["suno", "mj"],
        "status": ["SUCCESS", "failure", "QUEUED"],
        "action": ["music"],
        "start_date": DAYS,
        "end_date": DAYS,
        "start_timestamp": [0, now - 60],
        "end_timestamp": [now - 60, now],
        "start_time": [0],
        "end_time": [now],
        "type": list(range(7)),
        "p": [1, 2],
        "page_size": [1, 100, "1e9"],
        "default_time": ["day"],
        "payment_channel": ["stripe"],
        "If-None-Match": ["*", '"x"'],
        "Accept": ["application/json", "text/html"],
    }


def _name_what_there_is(draw: st.DrawFn, case: Case[Any], there: Mapping[str, list[Any]]) -> None:
    for one in case.operation.definition.raw.get("parameters", []):
        if one["name"] not in there or not draw(st.booleans()):
            continue
        value = draw(st.sampled_from(there[one["name"]]))
        if one["in"] == "query":
            case.query = {**_named(case.query), one["name"]: value}
        elif one["in"] == "path":
            case.path_parameters = {**_named(case.path_parameters), one["name"]: value}
        else:
            case.headers = {**_named(case.headers), one["name"]: value}  # type: ignore[assignment]


def _with_what_there_is(draw: st.DrawFn, body: Any, world: World) -> Any:
    """The body with some of its fields as a gateway, Stripe or a finder would fill them."""
    if isinstance(body, list):
        return [_with_what_there_is(draw, each, world) for each in body]
    if not isinstance(body, dict):
        return body
    told = {**world.report(), "key": world.inference.text, "client_ip": "192.0.2.7"}
    found = dict(body)
    for name, value in body.items():
        if name == "calls":
            found[name] = _with_what_there_is(draw, value, world)
        elif name == "key":
            found[name] = draw(
                st.sampled_from([*[told["key"]] * 9, *world.texts, world.elsewhere.text, value])
            )
        elif name == "token":
            found[name] = draw(st.sampled_from([value, world.leaked.text]))
        elif name == "model":
            found[name] = draw(st.sampled_from([*MODELS, value]))
        elif name == "call_id":
            found[name] = draw(st.sampled_from([str(call_ids.new()), *world.calls, value]))
        elif name in told and draw(st.integers(0, 3)):
            found[name] = told[name]
    return found


def _named(values: Any) -> dict[str, Any]:
    return dict(values) if isinstance(values, Mapping) else {}
