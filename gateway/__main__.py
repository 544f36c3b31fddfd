"""`python -m gateway`: LiteLLM behind our door, reporting to the dashboard. Runs in LiteLLM's own environment."""

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from gateway import call_ids, response_key
from gateway.catalogue import model_list
from gateway.gateway import Gateway
from gateway.journal import InUse, Journal
from gateway.metering import UNKNOWN_GATEWAY_KEY, Away, Metering
from gateway.passage import SEND_WITHIN_S
from gateway.settings import BadSetting, Settings
from gateway.warming import DEPLOYMENT, warm

log = logging.getLogger("gateway")

# LiteLLM is a library here: no pages, no admin, no telemetry, no price list from elsewhere.
LITELLM = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "False",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
}
# It would keep things of its own in whichever of these it finds.
LITELLM_SERVERS = ("DATABASE_URL", "DIRECT_URL", "REDIS_URL", "REDIS_HOST", "STORE_MODEL_IN_DB")
DASHBOARD_RETRY_S = 1.0
# Calls that are not over then are broken off, and told as failed by the next start.
STOPS_WITHIN_S = 30


def main() -> int:
    """Runs until it is stopped. The exit code is 1 where it can't start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        settings = Settings.read()
        with Journal(settings.data_dir) as journal:
            asyncio.run(_serve(settings, journal))
    except (BadSetting, InUse, OSError, sqlite3.Error) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(settings: Settings, journal: Journal) -> None:
    async with Metering(settings.metering_url, settings.gateway_key) as metering:
        gateway = Gateway(settings, metering, journal, _read_form)
        listed = await _until_answered(gateway.catalogue.read, settings)
        await _until_answered(lambda: _check_key(metering, settings), settings)
        echo_socket = None if settings.providers else listening("127.0.0.1", 0)
        echo_url = f"http://127.0.0.1:{echo_socket.getsockname()[1]}" if echo_socket else ""
        told = configuration(
            [*model_list(listed, os.environ, echo_url), DEPLOYMENT], settings.upstream_timeout_s
        )
        configure(settings.data_dir / "litellm.yaml", told)
        os.environ["LITELLM_MASTER_KEY"] = f"sk-{secrets.token_urlsafe(32)}"
        os.environ["LITELLM_SALT_KEY"] = settings.response_key or response_key.kept_in(settings.data_dir)
        async with gateway:
            await _run(gateway, settings, echo_socket, echo_url)


async def _until_answered[T](ask: Callable[[], Awaitable[T]], settings: Settings) -> T:
    """Waits for the dashboard: without its list nothing could be called."""
    told = ""
    while True:
        try:
            return await ask()
        except Away as away:
            if str(away) != told:
                log.warning("Waiting for the dashboard at %s: %s", settings.metering_url, away)
            told = str(away)
            await asyncio.sleep(DASHBOARD_RETRY_S)


async def _check_key(metering: Metering, settings: Settings) -> None:
    """Asks for something that changes nothing. Raises Away, and BadSetting where the dashboard does not know the key."""
    try:
        await metering.release(call_ids.new())
    except Away as away:
        if UNKNOWN_GATEWAY_KEY in str(away):
            raise BadSetting(
                f"{UNKNOWN_GATEWAY_KEY}. {settings.key_source} must have one that manage.py create_gateway_key NAME"
                " printed; where make gateway made that file, remove it, and it makes another."
            ) from None
        raise


def configuration(models: list[dict[str, Any]], upstream_timeout_s: float) -> dict[str, Any]:
    """LiteLLM's, with our two places in it."""
    return {
        "model_list": models,
        "litellm_settings": {
            "callbacks": ["gateway.adapter.outcomes"],
            "request_timeout": upstream_timeout_s,
            "drop_params": True,
        },
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"custom_auth": "gateway.adapter.admitted", "cancel_on_disconnect": False},
    }


def configure(path: Path, told: Mapping[str, Any]) -> None:
    """Writes LiteLLM's configuration, and points it there before it is imported."""
    # JSON is YAML.
    path.write_text(json.dumps(told, indent=1))
    for name in LITELLM_SERVERS:
        os.environ.pop(name, None)
    os.environ.update(LITELLM, CONFIG_FILE_PATH=str(path))


async def _run(
    gateway: Gateway, settings: Settings, echo_socket: socket.socket | None, echo_url: str
) -> None:
    import uvicorn
    from litellm.proxy import proxy_server

    from gateway import adapter, echo
    from gateway.door import Door

    def serve_models(listed: list[dict[str, Any]]) -> None:
        if proxy_server.llm_router:
            proxy_server.llm_router.set_model_list([*model_list(listed, os.environ, echo_url), DEPLOYMENT])
            log.info("%s models are for sale now.", len(listed))

    _quieten_litellm()
    gateway.catalogue.on_change = serve_models
    door = server(uvicorn, Door(proxy_server.app, gateway, adapter.OWN_NAMES))
    upstream = server(uvicorn, echo.app, lifespan="off")
    _stop_on_signals(door)
    place = listening(settings.host, settings.port)
    # LiteLLM prints a list of all models at its start.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        async with asyncio.TaskGroup() as serving:
            if echo_socket:
                log.info("No provider's key is set: every model is answered by an echo.")
                serving.create_task(upstream.serve(sockets=[echo_socket]))
            log.info("Listening on http://%s:%s", settings.host, settings.port)
            serving.create_task(_warm(door, proxy_server.app, gateway))
            await door.serve(sockets=[place])
            # The echo serves longer than the door, whose last calls need it.
            await gateway.wait_for_calls()
            upstream.should_exit = upstream.force_exit = True
    if not door.started:
        raise OSError("LiteLLM did not start.")


def _quieten_litellm() -> None:
    """Each failure of a provider would be two pages here; it stands in the customer's log."""
    for name, level in (
        ("LiteLLM", logging.ERROR),
        ("LiteLLM Proxy", logging.CRITICAL),
        ("LiteLLM Router", logging.CRITICAL),
    ):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).propagate = False


async def _warm(server: Any, inside: Any, gateway: Gateway) -> None:
    """As soon as it is started."""
    while not (server.started or server.should_exit):
        await asyncio.sleep(0.1)
    if server.started:
        await warm(inside)
        gateway.is_warm = True


def server(uvicorn: Any, app: Any, **options: Any) -> Any:
    """One that leaves the signals to us."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOPS_WITHIN_S,
        **options,
    )
    made = uvicorn.Server(config)
    # Each would take the signals for itself.
    made.capture_signals = _no_signals
    return made


class _no_signals:  # noqa: N801 - stands in for a function
    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None


def _stop_on_signals(door: Any) -> None:
    """The first one lets calls that are under way end; the second one does not wait for them."""

    def stop() -> None:
        door.force_exit = door.should_exit
        door.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def listening(host: str, port: int) -> socket.socket:
    """Raises OSError where the port is taken."""
    made = socket.create_server((host, port), backlog=2048)
    # What it accepts inherits this, which asyncio sets only where it made the socket itself. Without it an answer's body
    # waits for the other side's acknowledgement of its head: 40 ms.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # So is this. A connection that is closed stays until the other side has taken in what is left.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(SEND_WITHIN_S * 1000))
    return made


async def _read_form(scope: MutableMapping[str, Any], body: bytes) -> Mapping[str, Any]:
    from starlette.requests import Request

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async with Request(scope, receive).form() as form:
        return dict(form)


if __name__ == "__main__":
    sys.exit(main())
