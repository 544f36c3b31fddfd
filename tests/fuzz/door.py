"""The site's WSGI application, with somebody before it who signs bodies: a stranger's signature ends at the door."""

import base64
import hmac
import io
import time
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.conf import settings
from django.core.wsgi import get_wsgi_application

KEY_ID = "one"


class Door:
    """The application itself; `signs` says whether what is posted to it next is signed well."""

    def __init__(self, finder: ec.EllipticCurvePrivateKey) -> None:
        self.application = get_wsgi_application()
        self.finder = finder
        self.signs = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.signs and environ["REQUEST_METHOD"] == "POST":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ.update(self._signed(body), **{"wsgi.input": io.BytesIO(body)})
        return self.application(environ, start_response)

    def _signed(self, body: bytes) -> dict[str, str]:
        at = int(time.time())
        # By hand, since Stripe's own library signs text only.
        of_moment = hmac.digest(settings.STRIPE_WEBHOOK_SECRET.encode(), b"%d." % at + body, "sha256").hex()
        of_body = self.finder.sign(body, ec.ECDSA(SHA256()))
        return {
            "HTTP_STRIPE_SIGNATURE": f"t={at},v1={of_moment}",
            "HTTP_GITHUB_PUBLIC_KEY_IDENTIFIER": KEY_ID,
            "HTTP_GITHUB_PUBLIC_KEY_SIGNATURE": base64.b64encode(of_body).decode(),
        }
