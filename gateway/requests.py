"""What a request says before it is passed on: the key, the model, how much it may become, and what it must not say."""

import ipaddress
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.answers import Problem
from gateway.routes import Route
from gateway.settings import Network

LONGEST_MODEL = 200
# A token is some four characters of English. An estimate for the hold alone; what is charged is what the provider counted.
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_ATTACHMENT = 1_000
DEEPEST = 100
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
# What makes a call dearer at the provider than our price for the model, and what it may be set to.
DEARER = {
    "service_tier": ("auto", "default", "flex", "standard_only"),
    "speed": ("standard",),
    "inference_geo": ("global", "not_available"),
    # Its end would never be told.
    "background": (False, "auto", "opaque", "transparent"),
}
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
STREAMED = {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"}
# Tools that the client runs itself. What a provider runs costs beside the tokens, or calls other models, uncounted.
CLIENT_TOOLS = {"function", "custom", "local_shell", "shell", "apply_patch", "computer_use_preview"}
CLIENT_TOOL_PREFIXES = ("bash_", "text_editor_", "computer_", "memory_")
GOOGLE_FUNCTIONS = {"functionDeclarations", "function_declarations"}
# These are counted by those who run them, so that they may be used where they have a price.
SEARCH_TOOL_PREFIXES = ("web_search_20",)
GOOGLE_SEARCHES = {"googleSearch", "google_search"}
SEARCH_FIELDS = ("web_search_options", "search_parameters")
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
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Bad(Problem(400, "invalid_json", "The body is not JSON.", is_final=True)) from None
    if not isinstance(found, dict):
        raise Bad(Problem(400, "invalid_json", "The body must be a JSON object.", is_final=True))
    _check_steering(found, own_names)
    _check_usage_told(route, found)
    # LiteLLM asks a provider for the usage of a stream only where it is told `true`, in so many letters.
    if not isinstance(found.get("stream"), bool | None):
        raise Bad(Problem(400, "invalid_stream", "stream must be true or false.", is_final=True))
    return _said(route, found)


def of_form(route: Route, fields: Mapping[str, Any], own_names: Container[str] = ()) -> Said:
    """The same of a form; its files are not looked into."""
    _check_steering(fields, own_names)
    if fields.get("response_format") in ("srt", "text", "vtt"):
        # They don't tell how long the sound is, which is what it costs.
        message = "response_format must be json or verbose_json."
        raise Bad(Problem(400, "unsupported_parameter", message, is_final=True))
    return _said(route, {name: value for name, value in fields.items() if isinstance(value, str)})


def _check_steering(found: Mapping[str, Any], own_names: Container[str]) -> None:
    # Of a form LiteLLM takes the brackets away.
    for name in (written.removesuffix("[]") for written in found):
        is_own = name in STEERING or name in own_names or name.startswith(STEERING_PREFIXES)
        if is_own and name != "metadata":
            raise Bad(
                Problem(400, "unsupported_parameter", f"{name[:100]!r} can't be set here.", is_final=True)
            )
        dearer, value = DEARER.get(_plain(name)), found.get(name)
        if dearer is not None and value is not None and value not in dearer:
            message = f"{name} can't be {json.dumps(value)[:100]} here."
            raise Bad(Problem(400, "unsupported_parameter", message, is_final=True))
    metadata = found.get("metadata")
    words = metadata if isinstance(metadata, dict) else {}
    is_plain = metadata is None or isinstance(metadata, dict)
    if not is_plain or not all(value is None or isinstance(value, str) for value in words.values()):
        message = "metadata must be an object of strings."
        raise Bad(Problem(400, "invalid_metadata", message, is_final=True))


def check_priced(route: Route, body: Mapping[str, Any], units: frozenset[str]) -> None:
    """Raises Bad where the call would make costs that nothing of what the model is sold by counts."""
    refused = ""
    if route.path == "/v1/audio/speech" and units and not units & {"characters", "seconds", "calls"}:
        refused = "the speech of this model"  # Its provider tells no tokens.
    may_search = bool(units & {"web_searches", "calls"})
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        refused = refused or _refused_tool(tool, may_search=may_search)
    for name in OF_PROVIDERS if may_search else (*OF_PROVIDERS, *SEARCH_FIELDS):
        refused = refused or (name if body.get(name) else "")
    if refused:
        raise Bad(Problem(400, "unsupported_parameter", f"Not offered here: {refused[:100]}.", is_final=True))


def _refused_tool(tool: object, *, may_search: bool) -> str:
    """Its name, or nothing. A tool without a type is a function in Anthropic's format, or names itself in Google's."""
    if not isinstance(tool, Mapping):
        return "tools that are no objects"
    kind = tool.get("type")
    if isinstance(kind, str):
        is_client = kind in CLIENT_TOOLS or kind.startswith(CLIENT_TOOL_PREFIXES)
        is_search = may_search and kind.startswith(SEARCH_TOOL_PREFIXES)
        return "" if is_client or is_search else f"the tool {kind}"
    if kind is None and isinstance(tool.get("name"), str):
        return ""
    allowed = GOOGLE_FUNCTIONS | GOOGLE_SEARCHES if may_search else GOOGLE_FUNCTIONS
    return next((f"the tool {name}" for name in tool if name not in allowed), "")


def _check_usage_told(route: Route, found: Mapping[str, Any]) -> None:
    """LiteLLM asks for the usage of a chat's stream by itself, and of no other."""
    options = found.get("stream_options")
    if (
        route.path == "/v1/completions"
        and isinstance(options, dict)
        and not options.get("include_usage", True)
    ):
        message = "stream_options.include_usage can't be false here."
        raise Bad(Problem(400, "unsupported_parameter", message, is_final=True))


def _plain(name: str) -> str:
    """serviceTier as service_tier."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _said(route: Route, found: Mapping[str, Any]) -> Said:
    model = route.model or found.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= LONGEST_MODEL:
        message = f"model must be the name of a model, of at most {LONGEST_MODEL} characters."
        raise Bad(Problem(400, "invalid_model", message, is_final=True))
    # LiteLLM believes the body before the address.
    if found.get("model", model) != model:
        message = "model must be the one in the address, or be left out."
        raise Bad(Problem(400, "invalid_model", message, is_final=True))
    is_stream = route.is_stream or found.get("stream") is True or found.get("stream") == "true"
    if is_stream and not route.is_stream and route.path not in STREAMED:
        raise Bad(Problem(400, "unsupported_parameter", "stream is not offered here.", is_final=True))
    return Said(
        model,
        is_stream,
        sum(_tokens(value, DEEPEST) for name, value in found.items() if name not in ("model", *LIMITS)),
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


def _tokens(value: object, depth: int, name: str = "") -> int:
    """Of text by its length; only what stands where files do is one, whatever it looks like."""
    if isinstance(value, str):
        tokens = -(-len(value) // CHARACTERS_PER_TOKEN)
        return min(tokens, TOKENS_PER_ATTACHMENT) if name in ATTACHMENTS else tokens
    if depth and isinstance(value, Mapping):
        return sum(
            _tokens(inner, depth - 1, called) + -(-len(called) // CHARACTERS_PER_TOKEN)
            for called, inner in value.items()
        )
    if depth and isinstance(value, list):
        return sum(_tokens(inner, depth - 1, name) for inner in value)
    return 0


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
