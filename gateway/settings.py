"""What the gateway reads from its environment. A value that can't be used stops the start with the variable's name."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# An answer that is remembered longer would keep a revoked key alive.
LONGEST_REMEMBERED_S = 5.0
# The environment variable of each provider's key, by the code of the provider in the catalogue, and LiteLLM's name of it.
PROVIDERS = {
    "openai": ("OPENAI_API_KEY", "openai"),
    "anthropic": ("ANTHROPIC_API_KEY", "anthropic"),
    "google": ("GEMINI_API_KEY", "gemini"),
    "deepseek": ("DEEPSEEK_API_KEY", "deepseek"),
    "x-ai": ("XAI_API_KEY", "xai"),
    "mistral": ("MISTRAL_API_KEY", "mistral"),
    "cohere": ("COHERE_API_KEY", "cohere"),
    "minimax": ("MINIMAX_API_KEY", "minimax"),
    "moonshotai": ("MOONSHOT_API_KEY", "moonshot"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "perplexity"),
    "recraft": ("RECRAFT_API_KEY", "recraft"),
    "voyageai": ("VOYAGE_API_KEY", "voyage"),
    "zai": ("ZAI_API_KEY", "zai"),
}


class BadSetting(Exception):
    """A variable can't be used; the sentence names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds."""

    metering_url: str
    gateway_key: str
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 4000
    grace_s: float = 10.0
    """So long after the metering API went away, keys that it let in lately are still served."""
    remember_s: float = 0.0
    """So long an answer of the metering API stands for further calls of that key; 0 asks every time."""
    most_body_bytes: int = 32 * 2**20
    upstream_timeout_s: float = 600.0
    key_source: str = "GATEWAY_KEY"
    """The variable or the file that `gateway_key` is from."""
    trusted_proxies: tuple[Network, ...] = ()
    """Peers whose X-Forwarded-For is believed."""
    response_key: str = ""
    """What ids of answers are sealed with; empty where the gateway keeps one of its own."""
    providers: frozenset[str] = frozenset()
    """Codes of those that have a key here; where there are none an echo answers."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises BadSetting."""
        key, source = _key(environment)
        return cls(
            metering_url=_url(environment, "METERING_URL", "http://127.0.0.1:8000"),
            gateway_key=key,
            key_source=source,
            data_dir=Path(environment.get("GATEWAY_DATA_DIR") or ".data/gateway").resolve(),
            host=environment.get("GATEWAY_HOST") or "127.0.0.1",
            port=_port(environment, "GATEWAY_PORT", 4000),
            grace_s=_number(environment, "GATEWAY_GRACE_S", 10, most=3600),
            remember_s=_number(environment, "GATEWAY_REMEMBER_S", 0, most=LONGEST_REMEMBERED_S),
            most_body_bytes=int(
                _number(environment, "GATEWAY_MOST_BODY_MIB", 32, least=1, most=1024) * 2**20
            ),
            upstream_timeout_s=_number(environment, "GATEWAY_UPSTREAM_TIMEOUT_S", 600, least=1, most=86_400),
            trusted_proxies=_networks(environment, "GATEWAY_TRUSTED_PROXIES"),
            response_key=_response_key(environment),
            providers=frozenset(code for code, (name, _) in PROVIDERS.items() if environment.get(name)),
        )


def _key(environment: Mapping[str, str]) -> tuple[str, str]:
    """The key, and the variable or the file that it is from."""
    key, source = environment.get("GATEWAY_KEY", "").strip(), "GATEWAY_KEY"
    if not key and (file := environment.get("GATEWAY_KEY_FILE")):
        source = file
        try:
            key = Path(file).read_text().strip()
        except (OSError, ValueError) as error:
            raise BadSetting(f"GATEWAY_KEY_FILE can't be read: {error}.") from None
    if not key:
        raise BadSetting(
            f"{source} has no key: manage.py create_gateway_key NAME prints one for the dashboard."
        )
    if not key.isascii() or not key.isprintable():
        raise BadSetting(f"{source} has characters that no key has.")
    return key, source


def _response_key(environment: Mapping[str, str]) -> str:
    key = environment.get("GATEWAY_RESPONSE_KEY", "").strip()
    if key and not (len(key) >= 32 and key.isascii() and key.isprintable()):
        raise BadSetting("GATEWAY_RESPONSE_KEY must be 32 characters of ASCII, or more.")
    return key


def _url(environment: Mapping[str, str], name: str, default: str) -> str:
    value = (environment.get(name) or default).strip().rstrip("/")
    if not re.fullmatch(r"https?://[^/?#\s]+[^?#\s]*", value):
        raise BadSetting(f"{name} must be an address such as https://dashboard.example.com, not {value!r}.")
    return value


def _number(
    environment: Mapping[str, str], name: str, default: float, *, least: float = 0, most: float
) -> float:
    text = environment.get(name, "").strip()
    try:
        value = float(text) if text else float(default)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise BadSetting(f"{name} must be a number from {least:g} to {most:g}, not {text!r}.")
    return value


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise BadSetting(f"{name} must be a whole number from 1 to 65535, not {text!r}.")
    return int(text)


def _networks(environment: Mapping[str, str], name: str) -> tuple[Network, ...]:
    words = [word.strip() for word in environment.get(name, "").split(",") if word.strip()]
    try:
        return tuple(ipaddress.ip_network(word, strict=False) for word in words)
    except ValueError as error:
        raise BadSetting(f"{name} must be addresses or networks with commas between them: {error}.") from None
