"""The names of what can be measured, and the groups that one name stands for."""

CONNECTIONS = (1, 8, 32)
SIZES = (1, 10, 100, 1000)
CLIENTS = (1, 2, 8, 16)

# LiteLLM alone, and behind the gateway. Measured only where they are named: each takes a server with half a gigabyte.
GATEWAY_SERVERS = {
    "litellm": "LiteLLM alone",
    "gateway": "Behind the gateway",
    "remembering": "Behind the gateway, answers remembered",
}
GATEWAY_KINDS = {
    "chat": "chat completion",
    "stream": "chat completion, streamed",
    "messages": "Anthropic's message",
}
GATEWAY_CONNECTIONS = (1, 4)


def gateway_sample(server: str, kind: str, number: int) -> str:
    return f"{server}-{kind}-{number}"


GATEWAY_CALLS = tuple(
    (gateway_sample(server, kind, number), server, kind, number)
    for number in GATEWAY_CONNECTIONS
    for kind in GATEWAY_KINDS
    for server in GATEWAY_SERVERS
)
GATEWAY = ("empty-1", "authorize-1", *(name for name, *_ in GATEWAY_CALLS))

GROUPS = {
    "yardsticks": (
        "tpcb",
        "copy",
        "statement",
        "statement-as-is",
        *(f"empty-{number}" for number in CONNECTIONS),
    ),
    "record": ("tpcb", "copy", "spread", "hot", "single"),
    "sizes": ("spread", *(f"size-{size}" for size in SIZES)),
    "clients": ("spread", *(f"clients-{number}" for number in CLIENTS)),
    "authorize": (
        "tpcb",
        "statement",
        "statement-as-is",
        *(f"{name}-{number}" for number in CONNECTIONS for name in ("empty", "authorize", "limited")),
    ),
    "together": ("spread", "authorize-8", "together"),
    "catalogue": (
        "page-empty",
        "page",
        "page-again",
        "page-signed-in",
        "page-search",
        "models",
        "models-again",
        "prices",
        "prices-again",
    ),
    "webhooks": ("webhook", "webhook-paced", "dj-stripe"),
    "gateway": GATEWAY,
}
# Measured by themselves, on a machine with many calls.
LOG_PAGES = {
    "first": "first page",
    "deep": "page 20,000",
    "model": "of a model",
    "model-never": "of a model that was never called",
    "key": "of a key that is seldom used",
    "day": "of a day",
    "failed": "of calls that failed",
    "dear": "of calls above an amount",
    "call": "by request id",
    "receipt": "a receipt",
    "poll": "asked for new calls, of which there are none",
    "totals": "totals of what no roll-up tells apart",
    "statistics": "statistics",
    "statistics-long": "statistics of all of the time",
    "statistics-hours": "statistics by the hour",
}
# As many rows among few calls as among many.
PAGES_OF_ROWS = {"first", "deep", "model", "model-never", "key", "day", "call"}
# Asked for by a page itself, and what it is answered.
PARTS_OF_LOG = {"poll": b"204", "totals": b"200"}
LOG_PAGES_IN_SQL = ("first", "deep", "model", "key", "day")
LOGS = {
    *(f"log-{page}{suffix}" for page in LOG_PAGES for suffix in ("", "-few")),
    *(f"{how}-{page}" for page in LOG_PAGES_IN_SQL for how in ("count-offset", "keyset")),
    "copy-out",
    "copy-text",
    "export",
    "undisturbed",
    "disturbed",
}
NAMES = {name for members in GROUPS.values() for name in members}
NAMED_ONLY = {name for name, *_ in GATEWAY_CALLS}


def chosen(words: list[str]) -> set[str]:
    """The measurements that these names and groups stand for; nearly all where there are none. Raises KeyError."""
    return {name for word in words for name in _named(word)} or NAMES - NAMED_ONLY


def of_logs(words: list[str]) -> set[str]:
    """The same of the measurements of the log, which have no groups."""
    if unknown := set(words) - LOGS:
        raise KeyError(min(unknown))
    return set(words) or LOGS


def _named(word: str) -> tuple[str, ...]:
    return (word,) if word in NAMES else GROUPS[word]
