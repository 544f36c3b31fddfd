"""Between a process and PostgreSQL, on a Unix socket of its own: loses the COMMIT, or the answer to it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = ".s.PGSQL.5432"


class Proxy:
    """Passes everything on but what `lose` says: for each COMMIT that comes by "request", "reply" or "" (neither)."""

    def __init__(self, listener: socket.socket, server: Path) -> None:
        self.listener = listener
        self.server = server
        self.lose: list[str] = []
        self.lost: list[str] = []

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server))
                loses_replies = threading.Event()
                for work in (self._requests, self._replies):
                    threading.Thread(target=work, args=(client, server, loses_replies), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, loses_replies: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if b"COMMIT" in data and self.lose:
                    what = self.lose.pop(0)
                    self.lost += [what] if what else []
                    if what == "request":
                        break
                    if what == "reply":
                        loses_replies.set()
                server.sendall(data)
        hang_up(client, server)

    def _replies(self, client: socket.socket, server: socket.socket, loses_replies: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if loses_replies.is_set():
                    break  # PostgreSQL has committed, and nobody will know.
                client.sendall(data)
        hang_up(client, server)


def hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def proxy(folder: Path, server: Path) -> Iterator[Proxy]:
    """Listens in `folder` for the server whose socket lies in `server`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / NAME))
        listener.listen()
        made = Proxy(listener, server / NAME)
        threading.Thread(target=made.serve, daemon=True).start()
        try:
            yield made
        finally:
            hang_up(listener)
