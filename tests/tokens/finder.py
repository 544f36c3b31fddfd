"""A finder of leaked keys as GitHub is one: signs its reports, and serves the public keys to check them with."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from accounts.models import User
from tokens import keys
from wallet.wallets import wallet_of

URL = "https://github.example/octocat/hello/blob/1/config.py"


@dataclass
class Finder:
    """Signs reports, and serves its public keys on a port of this machine."""

    keys: dict[str, Any] = field(default_factory=lambda: {"one": ec.generate_private_key(ec.SECP256R1())})
    answer: bytes | None = None
    status: int = 200
    asked: int = 0
    url: str = ""

    def document(self) -> bytes:
        if self.answer is not None:
            return self.answer
        listed = [
            {
                "key_identifier": name,
                "key": key.public_key()
                .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                .decode(),
                "is_current": True,
            }
            for name, key in self.keys.items()
        ]
        return json.dumps({"public_keys": listed}).encode()

    def sign(self, body: bytes, name: str = "one") -> str:
        return base64.b64encode(self.keys[name].sign(body, ec.ECDSA(SHA256()))).decode()

    def report(self, findings: object, **headers: str) -> Any:
        body = findings if isinstance(findings, bytes) else json.dumps(findings).encode()
        sent = {
            "Github-Public-Key-Identifier": "one",
            "Github-Public-Key-Signature": self.sign(body),
            **headers,
        }
        return Client().post("/tokens/leaks/", body, content_type="application/json", headers=sent)

    @contextmanager
    def serving(self) -> Iterator[None]:
        finder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                finder.asked += 1
                body = finder.document()
                self.send_response(finder.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def finding(text: str, url: str = URL) -> dict[str, str]:
    return {"token": text, "type": "comet_key", "url": url, "source": "content"}


def labels(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [each["label"] for each in response.json()]


def unknown_text(alice: User) -> str:
    """Of a key's form, checksum and all, but nobody's."""
    return keys.draw(wallet_of(alice), "never stored").text
