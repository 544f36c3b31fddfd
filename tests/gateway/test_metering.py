"""The metering API's client, before something that stands between."""

import asyncio

import httpx2
import pytest

from gateway.metering import Away, Metering, Refused

LISTED = [{"id": "gpt", "object": "model"}]


def _models(status: int, content: bytes) -> object:
    async def run() -> object:
        async with Metering("http://dashboard", "gateway-key", httpx2.MockTransport(answer)) as metering:
            return await metering.models("sk-a")

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer sk-a"
        return httpx2.Response(status, content=content)

    return asyncio.run(run())


def test_models_are_what_the_dashboard_lists() -> None:
    assert _models(200, b'{"object":"list","data":[{"id":"gpt","object":"model"}]}') == LISTED
    with pytest.raises(Refused, match="unknown, revoked or expired"):
        _models(401, b"{}")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (502, b"<html>"),
        (500, b'{"data":[]}'),
        (302, b""),
        (429, b'{"error":{}}'),
        (200, b"<p>"),
        (200, b"[]"),
    ],
)
def test_what_is_no_list_is_nobody_there(status: int, content: bytes) -> None:
    with pytest.raises(Away, match="models"):
        _models(status, content)
