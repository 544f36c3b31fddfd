"""HTTP/1.1 on a socket of this machine: keep-alive, one thread a connection, one write an answer."""

import json
import logging
import socket
import struct
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import urlsplit

from .app import App
from .http import Answer, Ending, Request

log = logging.getLogger("stripe_sandbox")

LARGEST_BODY = 1_048_576
IDLE_S = 75


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.app: App | None = None
        super().__init__(address, Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no fault of ours."""
        log.debug("A connection ended early", exc_info=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "StripeSandbox"
    sys_version = ""
    # Answers are collected and sent in one piece, without waiting for the other side's acknowledgement.
    wbufsize = 65_536
    disable_nagle_algorithm = True
    timeout = IDLE_S

    def _serve(self) -> None:
        app = cast("Server", self.server).app
        length = self._length()
        if app is None or length is None:
            return
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        request = Request(self.command, parts.path, parts.query, headers, body)
        self._send(app.handle(request))

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = _serve  # noqa: N815  # the base class's names

    def _length(self) -> int | None:
        """The length of the body; None after a refusal was sent."""
        given = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (given.isascii() and given.isdecimal()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Send the body with a Content-Length.")
            return None
        if len(given) > 9 or int(given) > LARGEST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {LARGEST_BODY} bytes.")
            return None
        return int(given)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """The body is left unread, so the connection cannot go on."""
        self.close_connection = True
        error = {"error": {"type": "invalid_request_error", "message": message}}
        self._send(Answer(status, error, {"Connection": "close"}))

    def _send(self, answer: Answer) -> None:
        if answer.wait_s:
            time.sleep(answer.wait_s)
        if answer.ending is not Ending.ANSWER:
            self._cut(reset=answer.ending is Ending.RESET)
        body = answer.body
        head = dict(answer.headers)
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body, indent=2).encode()
            head["Content-Type"] = "application/json"
        self.send_response(answer.status)
        for name, value in head.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _cut(self, *, reset: bool) -> None:
        """End the connection without an answer; the exception ends its thread."""
        if reset:
            # Closed without lingering and without saying goodbye, a socket answers with RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for one in (self.rfile, self.wfile, self.connection):
            one.close()
        raise ConnectionAbortedError("Cut off on purpose")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        log.debug(format, *args)
