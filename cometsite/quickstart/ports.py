"""Ports on this machine."""

import socket

from cometsite.quickstart import StartError

PORTS_TRIED = 200


def parse(text: str) -> int:
    """PORT as a number; raises StartError for anything that is no port."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise StartError(f"PORT must be a whole number from 1 to 65535, not {text!r}.")
    return int(text)


def require_free(host: str, port: int) -> None:
    """Raises StartError unless a server could listen there now."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise StartError(f"HOST={host} is no address of this machine.") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # A port in its time-out after an earlier server is free for a new one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise StartError(
                f"This user may not listen on port {port}; choose another: PORT=8080 make run."
            ) from None
        except OSError as error:
            if host not in {"127.0.0.1", "::1", "localhost"} and error.errno == 99:
                raise StartError(f"HOST={host} is no address of this machine.") from None
            raise StartError(
                f"Port {port} is in use by another program; choose another: PORT={_other(port)} make run."
            ) from None


def _other(port: int) -> int:
    return port + 10 if port <= 65525 else port - 10


def next_free(after: int) -> int:
    """The first port above `after` that a server could listen on at 127.0.0.1."""
    for port in range(after + 1, min(after + PORTS_TRIED, 65535) + 1):
        try:
            require_free("127.0.0.1", port)
        except StartError:
            continue
        return port
    raise StartError(f"No free port was found above {after}; choose another: PORT=… make run.")


def any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
