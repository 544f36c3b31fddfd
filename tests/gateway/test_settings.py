"""A setting that can't be used stops the start with its name."""

import ipaddress
from pathlib import Path

import pytest

from gateway.settings import BadSetting, Settings

GIVEN = {"GATEWAY_KEY": "gw-key", "GATEWAY_DATA_DIR": "/nowhere/gateway"}


def test_what_is_not_set_has_a_default() -> None:
    assert Settings.read(GIVEN) == Settings("http://127.0.0.1:8000", "gw-key", Path("/nowhere/gateway"))


def test_what_is_set_is_taken() -> None:
    settings = Settings.read(
        {
            **GIVEN,
            "METERING_URL": " https://dashboard.example.com/ ",
            "GATEWAY_PORT": "4001",
            "GATEWAY_GRACE_S": "0",
            "GATEWAY_REMEMBER_S": "2.5",
            "GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1",
            "GATEWAY_RESPONSE_KEY": "k" * 32,
            "OPENAI_API_KEY": "sk-of-ours",
            "MISTRAL_API_KEY": "",
        }
    )
    assert settings.metering_url == "https://dashboard.example.com"
    assert (set(settings.providers), settings.response_key) == ({"openai"}, "k" * 32)
    assert (settings.port, settings.grace_s, settings.remember_s) == (4001, 0, 2.5)
    assert settings.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("127.0.0.1/32"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_KEY", " "),
        ("GATEWAY_KEY", "gw-kéy"),
        ("GATEWAY_KEY", "gw\nkey"),
        ("METERING_URL", "dashboard.example.com"),
        ("METERING_URL", "http://"),
        ("METERING_URL", "https://dashboard.example.com/?a=b"),
        ("GATEWAY_PORT", "4000.5"),
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_GRACE_S", "nan"),
        ("GATEWAY_GRACE_S", "-1"),
        ("GATEWAY_GRACE_S", "3601"),
        ("GATEWAY_REMEMBER_S", "5.1"),
        ("GATEWAY_MOST_BODY_MIB", "much"),
        ("GATEWAY_MOST_BODY_MIB", "0"),
        ("GATEWAY_UPSTREAM_TIMEOUT_S", "0"),
        ("GATEWAY_RESPONSE_KEY", "short"),
        ("GATEWAY_TRUSTED_PROXIES", "proxy.example.com"),
    ],
)
def test_what_can_not_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name):
        Settings.read({**GIVEN, name: value})


def test_the_key_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("gw-key\n")
    settings = Settings.read({"GATEWAY_KEY_FILE": str(file)})
    assert (settings.gateway_key, settings.key_source) == ("gw-key", str(file))


@pytest.mark.parametrize("content", [None, b"", b"gw key\n\xff", b"gw\nkey"])
def test_a_file_without_a_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadSetting, match=str(file) if content in (b"", b"gw\nkey") else "GATEWAY_KEY_FILE"):
        Settings.read({"GATEWAY_KEY_FILE": str(file)})
