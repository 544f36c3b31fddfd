"""What a request says before it is passed on: the key, the model, how much it may become, and what it must not say."""

import ipaddress
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from gateway.answers import Problem
from gateway.routes import Route, Style
from gateway.settings import Network

LONGEST_MODEL = 200
# A token is some four characters of English. An estimate for the hold alone; what is charged is what the provider counted.
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_ATTACHMENT = 1_000
# So many values are looked at for it.
MOST_COUNTED = 20_000
# What takes longer to read than anybody may take before it is known who asks. A text with so many commas is longer than
# what models take.
MOST_VALUES = 500_000
MOST_FIELDS = 1_000
# By these a request would steer LiteLLM itself: to another model than was asked for, another server, or out of the log.
# The names that LiteLLM takes for itself are asked of it at the start (adapter.OWN_NAMES); these are what its router reads.
STEERING = {
    "additional_drop_params", "allowed_openai_params", "api_base", "api_key", "api_version", "base_url",
    "callbacks", "config", "content_policy_fallbacks", "context_window_fallbacks", "custom_llm_provider",
    "default_fallbacks", "deployment_id", "drop_params", "extra_body", "extra_headers", "extra_query",
    "failure_callback", "fallbacks", "fastest_response", "headers", "input_callback", "model_list", "model_info",
    "no-log", "num_retries", "organization", "router_settings_override", "service_callback", "specific_deployment",
    "stream_timeout", "success_callback", "tags", "timeout", "user_config", "weights",
}  # fmt: skip
STEERING_PREFIXES = (
    "_",
    "litellm",
    "mock_",
    "vertex_",
    "aws_",
    "azure_",
    "disable_",
    "turn_off_",
    "metadata[",
)
# Of metadata, which is the client's own otherwise, what LiteLLM believes or breaks at.
STEERING_METADATA = ("litellm", "turn_off_", "user_api_key")
# What makes a call dearer at the provider than our price for the model, and what it may be set to.
DEARER = {
    "service_tier": ("auto", "default", "flex", "standard_only"),
    "speed": ("standard",),
    "inference_geo": ("global", "not_available"),
    # Its end would never be told.
    "background": (False, "auto", "opaque", "transparent"),
}
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
# What a model is sold by, of one that may be called at an address; one that is sold by the call may be called at any.
_TEXT, _IMAGES = ("output_tokens", "output_image_tokens"), ("images", "output_image_tokens")
MADE = {
    "/v1/chat/completions": _TEXT,
    "/v1/completions": _TEXT,
    "/v1/responses": _TEXT,
    "/v1/messages": _TEXT,
    "/v1beta/models": (*_TEXT, *_IMAGES),
    # OpenAI sells pictures by their tokens, as output.
    "/v1/images/generations": (*_TEXT, *_IMAGES),
    "/v1/images/edits": (*_TEXT, *_IMAGES),
}
STREAMED = {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"}
# Tools that the client runs itself. What a provider runs costs beside the tokens, or calls other models, uncounted.
CLIENT_TOOLS = {"function", "custom", "local_shell", "apply_patch", "computer_use_preview"}
CLIENT_TOOL_PREFIXES = ("bash_", "text_editor_", "computer_", "memory_")
# What a tool of a client may have; LiteLLM believes what else stands there before it believes the type.
TOOL_FIELDS = {
    "allowed_callers", "cache_control", "custom", "defer_loading", "description", "display_height", "display_height_px",
    "display_number", "display_width", "display_width_px", "eager_input_streaming", "enable_zoom", "environment",
    "format", "function", "input_examples", "input_schema", "max_characters", "name", "parameters", "strict", "type",
}  # fmt: skip
GOOGLE_FUNCTIONS = {"functionDeclarations", "function_declarations"}
# Anthropic's, by its date; OpenAI writes the date of its own with dashes, and tells no count.
SEARCH_TOOL = re.compile(r"web_search_\d{8}")
SEARCH_TOOL_FIELDS = {"allowed_domains", "blocked_domains", "max_uses", "user_location"}
GOOGLE_SEARCHES = {"googleSearch", "google_search"}
SEARCH_FIELDS = ("web_search_options", "search_parameters")
# Who tells how often was searched, by the codes of providers: there it may be used where it has a price.
COUNTING_SEARCHES = {"anthropic", "google"}
# These search in each call, whatever they are asked.
SEARCHING_MODEL = re.compile(r"-search-(?:preview|api)\b")
OF_PROVIDERS = ("mcp_servers", "plugins", "container")
ATTACHMENTS = {"data", "file_data", "image_url", "url"}


class Bad(Exception):
    """The request can't be passed on; `problem` is the answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Said:
    """What a request says. Tokens are estimates, None where nothing is known."""

    model: str
    is_stream: bool
    input_tokens: int | None
    max_output_tokens: int | None
    body: Mapping[str, Any]
    instead: bytes | None = None
    """What is passed on in place of the body, where it has to say more; the client is told nothing of that."""


def key_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The client's key, from where its kind of client puts it. Raises Bad where there is none.

    A key in the address is refused, since addresses are written into logs.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else ""
    key = key or headers.get("x-api-key", "").strip() or headers.get("x-goog-api-key", "").strip()
    if not key:
        message = "No API key was sent. Send it as Authorization: Bearer KEY, x-api-key or x-goog-api-key."
        if "key" in query:
            message = "The API key must not stand in the address. Send it in a header: x-goog-api-key."
        raise Bad(Problem(401, "invalid_api_key", message, is_final=True))
    if len(key) > 500 or not key.isascii() or not key.isprintable():
        raise Bad(Problem(401, "invalid_api_key", "This is not an API key.", is_final=True))
    return key


def client_ip(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str | None:
    """The address that the call comes from: the last one in X-Forwarded-For that is no proxy of ours."""
    found = _address(peer)
    for hop in reversed([hop.strip() for hop in forwarded_for.split(",") if hop.strip()]):
        if found is None or not any(
            found in network for network in trusted if network.version == found.version
        ):
            break
        found = _address(hop)
    return str(found) if found else None


def of_json(route: Route, body: bytes, own_names: Container[str] = ()) -> Said:
    """Raises Bad where it is no JSON object with a model, or tries to steer what is behind the gateway.

    `own_names` are the names that LiteLLM takes for itself wherever they stand.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES:
        raise _too_many("values")
    try:
        found = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Bad(Problem(400, "invalid_json", "The body is not JSON.", is_final=True)) from None
    if not isinstance(found, dict):
        raise Bad(Problem(400, "invalid_json", "The body must be a JSON object.", is_final=True))
    for fields in (found, found.get("metadata"), found.get("tools")):
        if isinstance(fields, dict | list) and len(fields) > MOST_FIELDS:
            raise _too_many("fields")
    _check_steering(found.items(), own_names)
    _check_metadata(found.get("metadata"))
    # LiteLLM asks a provider for the usage of a stream only where it is told `true`, in so many letters.
    if not isinstance(found.get("stream"), bool | None):
        raise Bad(Problem(400, "invalid_stream", "stream must be true or false.", is_final=True))
    if not isinstance(found.get("stream_options"), dict | None):
        raise _unsupported("stream_options must be an object.")
    if not isinstance(found.get("messages"), list | None):
        raise Bad(Problem(400, "invalid_messages", "messages must be a list.", is_final=True))
    said = _said(route, found, most_tokens=len(body) // CHARACTERS_PER_TOKEN)
    return replace(said, instead=_asking_for_usage(found)) if _is_uncounted(route, said) else said


def of_form(route: Route, fields: Mapping[str, Any], own_names: Container[str] = ()) -> Said:
    """The same of a form; its files are not looked into."""
    # LiteLLM takes the brackets away, so what is looked at here has none either.
    given = [(name.removesuffix("[]"), value) for name, value in fields.items()]
    if len(dict(given)) < len(given):
        raise Bad(Problem(400, "invalid_form", "The form has a field twice.", is_final=True))
    words = {name: value for name, value in given if isinstance(value, str)}
    _check_steering(given, own_names)
    _check_metadata(dict(given).get("metadata"))
    if words.get("response_format") in ("srt", "text", "vtt"):
        # They don't tell how long the sound is, which is what it costs.
        raise _unsupported("response_format must be json or verbose_json.")
    if words.get("stream", "false").lower() not in ("", "0", "false"):
        raise _unsupported("stream is not offered here.")
    return _said(route, words, most_tokens=sum(map(len, words.values())))


def _check_steering(given: Iterable[tuple[str, Any]], own_names: Container[str]) -> None:
    """Raises Bad where a name steers LiteLLM, or its value costs more than our price."""
    for name, value in given:
        is_own = name in STEERING or name in own_names or name.startswith(STEERING_PREFIXES)
        if is_own and name != "metadata":
            raise _unsupported(f"{name[:100]!r} can't be set here.")
        dearer = DEARER.get(_in_snake_case(name[:LONGEST_MODEL]))
        if dearer is not None and value is not None and value not in dearer:
            raise _unsupported(f"{name} can't be {json.dumps(value, default=str)[:100]} here.")


def _check_metadata(metadata: object) -> None:
    """Raises Bad where it is more than the client's own words."""
    words = metadata if isinstance(metadata, dict) else {}
    is_object = metadata is None or isinstance(metadata, dict)
    if not is_object or not all(value is None or isinstance(value, str) for value in words.values()):
        message = "metadata must be an object of strings."
        raise Bad(Problem(400, "invalid_metadata", message, is_final=True))
    if name := next((name for name in words if name.startswith(STEERING_METADATA)), ""):
        message = f"metadata can't have {name[:100]!r} here."
        raise Bad(Problem(400, "invalid_metadata", message, is_final=True))


def check_priced(route: Route, said: Said, units: frozenset[str], provider: str) -> None:
    """Raises Bad where the call would make costs that nothing of what the model is sold by counts.

    `units` are what the model has prices for, `provider` is the code of who serves it.
    """
    body, refused = said.body, ""
    if route.path == "/v1/audio/speech" and units and not units & {"characters", "seconds", "calls"}:
        refused = "the speech of this model"  # Its provider tells no tokens.
    if not _is_sold_for(route, units):
        raise _unsupported(
            f"{said.model} can't be called at this address: it is not sold for what is made here."
        )
    if always_searches(said.model) and not units & {"web_searches", "calls"}:
        refused = "this model, whose searches have no price"
    may_search = "calls" in units or ("web_searches" in units and provider in COUNTING_SEARCHES)
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        refused = "tools that are no list"
    for tool in tools if isinstance(tools, list) else []:
        refused = refused or _refused_tool(tool, may_search=may_search)
    for name in OF_PROVIDERS if may_search else (*OF_PROVIDERS, *SEARCH_FIELDS):
        refused = refused or (name if body.get(name) else "")
    if refused:
        raise _unsupported(f"Not offered here: {refused[:100]}.")


def _refused_tool(tool: object, *, may_search: bool) -> str:
    """Its name, or nothing. A tool without a type is a function in Anthropic's format, or names itself in Google's."""
    if not isinstance(tool, Mapping):
        return "tools that are no objects"
    kind = tool.get("type")
    is_search = may_search and isinstance(kind, str) and bool(SEARCH_TOOL.fullmatch(kind))
    if isinstance(kind, str) and not is_search and not _is_of_client(kind, tool.get("environment")):
        return f"the tool {kind}"
    if is_search:
        allowed = TOOL_FIELDS | SEARCH_TOOL_FIELDS
    elif isinstance(kind, str) or (kind is None and isinstance(tool.get("name"), str)):
        allowed = TOOL_FIELDS
    else:
        allowed = GOOGLE_FUNCTIONS | GOOGLE_SEARCHES if may_search else GOOGLE_FUNCTIONS
    return next((f"the tool {name}" for name in tool if name not in allowed), "")


def _is_of_client(kind: str, environment: object) -> bool:
    if kind == "shell":
        # Else the provider rents out a machine for it.
        return isinstance(environment, Mapping) and environment.get("type") == "local"
    return kind in CLIENT_TOOLS or kind.startswith(CLIENT_TOOL_PREFIXES)


def _is_sold_for(route: Route, units: frozenset[str]) -> bool:
    """Whether what this address makes has a price: a model that makes videos is asked nothing in a chat."""
    made = MADE.get("/v1beta/models" if route.style is Style.GOOGLE else route.path)
    return not made or not units or bool(units & {*made, "calls"})


def always_searches(model: str) -> bool:
    """Whether this model searches the web in each call, for which its provider takes something and tells no count."""
    return bool(SEARCHING_MODEL.search(model))


def without_long_context(beta: bytes) -> bytes:
    """The value of `anthropic-beta` without what makes Anthropic take longer prompts, at prices that we don't have."""
    names = [name.strip() for name in beta.split(b",")]
    return b",".join(name for name in names if not name.startswith(b"context-1m"))


def _is_uncounted(route: Route, said: Said) -> bool:
    """Whether its usage would be told by nobody. LiteLLM asks for that of a chat's stream by itself, and of no other."""
    return (
        route.path == "/v1/completions"
        and said.is_stream
        and (said.body.get("stream_options") or {}).get("include_usage") is not True
    )


def _asking_for_usage(found: Mapping[str, Any]) -> bytes:
    options = {**(found.get("stream_options") or {}), "include_usage": True}
    return json.dumps({**found, "stream_options": options}).encode()


def _refuse_constant(name: str) -> NoReturn:
    """NaN and the infinities, which Python reads and no provider takes."""
    raise ValueError(name)


def _unsupported(message: str) -> Bad:
    return Bad(Problem(400, "unsupported_parameter", message, is_final=True))


def _too_many(things: str) -> Bad:
    message = f"The body has too many {things}."
    return Bad(Problem(400, f"too_many_{things}", message, is_final=True))


def _in_snake_case(name: str) -> str:
    """serviceTier as service_tier."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _said(route: Route, found: Mapping[str, Any], *, most_tokens: int) -> Said:
    model = route.model or found.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL:
        message = f"model must be the name of a model, of at most {LONGEST_MODEL} characters."
        raise Bad(Problem(400, "invalid_model", message, is_final=True))
    # LiteLLM believes the body before the address.
    if found.get("model", model) != model:
        message = "model must be the one in the address, or be left out."
        raise Bad(Problem(400, "invalid_model", message, is_final=True))
    is_stream = route.is_stream or found.get("stream") is True
    if is_stream and not route.is_stream and route.path not in STREAMED:
        raise _unsupported("stream is not offered here.")
    return Said(
        model,
        is_stream,
        _tokens(
            {name: value for name, value in found.items() if name not in ("model", *LIMITS)}, most_tokens
        ),
        _most_output(found),
        found,
    )


def _most_output(found: Mapping[str, Any]) -> int | None:
    config = found.get("generationConfig")
    given = [found.get(name) for name in LIMITS]
    given += [config.get("maxOutputTokens")] if isinstance(config, dict) else []
    limits = [limit for limit in given if type(limit) is int and 0 < limit <= 100_000_000]
    answers = found.get("n")
    times = answers if type(answers) is int and 0 < answers <= 128 else 1
    return min(100_000_000, min(limits) * times) if limits else None


def _tokens(found: Mapping[str, Any], most: int) -> int:
    """Of text by its length; only what stands where files do is one, whatever it looks like. `most` where it has no end."""
    tokens, waiting = 0, list(found.items())
    for _ in range(MOST_COUNTED):
        if not waiting:
            return tokens
        name, value = waiting.pop()
        if isinstance(value, str):
            length = -(-len(value) // CHARACTERS_PER_TOKEN)
            tokens += min(length, TOKENS_PER_ATTACHMENT) if name in ATTACHMENTS else length
        elif isinstance(value, Mapping):
            tokens += sum(-(-len(called) // CHARACTERS_PER_TOKEN) for called in value)
            waiting += value.items()
        elif isinstance(value, list):
            waiting += ((name, inner) for inner in value)
    return most


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
