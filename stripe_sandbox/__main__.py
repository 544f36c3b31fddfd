"""`python -m stripe_sandbox --port N --data DIR`: start the stand-in and run until it is told to stop."""

import argparse
import fcntl
import ipaddress
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO

from .app import App
from .background import Background
from .context import Settings
from .errors import ApiError
from .params import Address
from .server import Server

KEY_PREFIX = "sk_test_sandbox"
SECRET_PREFIX = "whsec_"  # noqa: S105  # how a secret begins, not a secret


def main() -> None:
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    arguments = _arguments()
    _check(arguments)
    lock = _take(arguments.data)
    try:
        server = Server((arguments.host, arguments.port))
    except OSError as error:
        sys.exit(f"The Stripe sandbox cannot listen on {arguments.host}:{arguments.port}: {error.strerror}.")
    host, port = str(server.server_address[0]), server.server_port
    settings = Settings(
        secret_key=os.environ["STRIPE_SECRET_KEY"],
        webhook_secret=os.environ["STRIPE_WEBHOOK_SECRET"],
        webhook_url=arguments.webhook_url,
        base_url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}",
        bank_delay_s=arguments.bank_delay,
    )
    with lock:
        _run(server, App(settings, arguments.data))


def _run(server: Server, app: App) -> None:
    server.app = app
    background = Background(app)
    background.start()

    def stop(number: int, frame: object) -> None:
        # From another thread, because shutdown waits for the loop that this signal interrupted.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"The Stripe sandbox is ready on {app.settings.base_url} (no money moves).", flush=True)
    server.serve_forever(poll_interval=0.1)
    background.stop()
    server.server_close()
    app.store.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stripe_sandbox", description="A local stand-in for Stripe."
    )
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder for its state; created if missing")
    parser.add_argument("--host", default="127.0.0.1", help="an address of this machine only")
    parser.add_argument(
        "--webhook-url", help="where events are posted; creates or updates the configured endpoint"
    )
    parser.add_argument("--bank-delay", type=float, default=5.0, help="seconds until a bank debit settles")
    return parser.parse_args()


def _check(arguments: argparse.Namespace) -> None:
    """Leave with a sentence where something cannot be right."""
    if not os.environ.get("STRIPE_SECRET_KEY", "").startswith(KEY_PREFIX):
        sys.exit(
            f"The Stripe sandbox takes a STRIPE_SECRET_KEY that begins with {KEY_PREFIX}, and no real key."
        )
    secret = os.environ.get("STRIPE_WEBHOOK_SECRET", "")
    if not secret.startswith(SECRET_PREFIX) or len(secret) < len(SECRET_PREFIX) + 8:
        sys.exit(
            f"The Stripe sandbox needs a STRIPE_WEBHOOK_SECRET: {SECRET_PREFIX} and 8 or more characters."
        )
    if not _is_local(arguments.host):
        sys.exit(f"The Stripe sandbox listens on this machine only, not on {arguments.host}.")
    if not 0 <= arguments.bank_delay <= 86_400:
        sys.exit("--bank-delay is a number of seconds from 0 to 86400.")
    if arguments.webhook_url:
        try:
            Address().read(arguments.webhook_url, "--webhook-url")
        except ApiError:
            sys.exit("--webhook-url is an absolute http or https address.")


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _take(data: Path) -> IO[str]:
    """The folder's lock, held while the process lives: two stand-ins would send every webhook twice."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "stripe_sandbox.lock").open("w")
    except OSError as error:
        sys.exit(f"The Stripe sandbox cannot keep its state in {data}: {error.strerror}.")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Another Stripe sandbox is running on {data}.")
    return lock


if __name__ == "__main__":
    main()
