"""What is made ready before the gateway serves."""

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from gateway import __main__ as start
from gateway import response_key


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
def test_a_connection_ends_where_the_other_side_takes_in_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing it is not enough: what is left to send keeps it."""
    monkeypatch.setattr(start, "SEND_WITHIN_S", 0.5)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 2**25)
        writer.close()
        with pytest.raises(TimeoutError):
            await writer.wait_closed()
        ended.set()

    async def run() -> None:
        place = start.listening("127.0.0.1", 0)
        async with await asyncio.start_server(serve, sock=place):
            with socket.create_connection(place.getsockname()):
                async with asyncio.timeout(20):
                    await ended.wait()

    asyncio.run(run())


def test_ids_of_answers_are_sealed_with_the_same_key_at_each_start(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "response-key.unfinished").write_text("of a start that was cut off")
    key = response_key.kept_in(tmp_path)
    assert len(key) > 40
    assert response_key.kept_in(tmp_path) == key
    assert response_key.kept_in(other) != key
    assert (tmp_path / response_key.FILE).stat().st_mode & 0o777 == 0o600
