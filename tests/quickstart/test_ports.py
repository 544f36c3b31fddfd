import socket
from collections.abc import Iterator

import pytest

from cometsite.quickstart import StartError, ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_is_named_with_the_way_out(taken: int) -> None:
    with pytest.raises(StartError) as caught:
        ports.require_free("127.0.0.1", taken)
    assert str(caught.value).startswith(f"Port {taken} is in use by another program")
    assert f"PORT={taken + 10} make run" in str(caught.value) or taken > 65525


def test_a_port_taken_on_all_addresses_is_in_use_too() -> None:
    with socket.socket() as server:
        server.bind(("", 0))
        server.listen()
        with pytest.raises(StartError, match="is in use"):
            ports.require_free("127.0.0.1", server.getsockname()[1])


def test_a_free_port_passes(taken: int) -> None:
    free = ports.next_free(taken)
    ports.require_free("127.0.0.1", free)
    assert free > taken


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartError, match=r"HOST=192\.0\.2\.1 is no address of this machine"):
        ports.require_free("192.0.2.1", 8000)


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80.0", "eighty", "１２３", "1e3", ""])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="PORT must be a whole number from 1 to 65535"):
        ports.parse(text)


def test_a_port_is_read() -> None:
    assert ports.parse("65535") == 65535
