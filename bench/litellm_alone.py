"""`python -m bench.litellm_alone PORT DASHBOARD FOLDER`: LiteLLM without our gateway, with all else as the gateway has it.

Runs in LiteLLM's environment: the same models and settings, the same echo in the same process, the same web server. It
knows one key, LITELLM_MASTER_KEY; nobody is asked before a call and told after it.
"""

import asyncio
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from gateway.__main__ import configuration, configure, listening, server
from gateway.catalogue import model_list

HOST = "127.0.0.1"
UPSTREAM_TIMEOUT_S = 600.0


def alone(models: list[dict[str, Any]]) -> dict[str, Any]:
    """The gateway's configuration of LiteLLM, without the places where LiteLLM asks and tells the gateway."""
    told = configuration(models, UPSTREAM_TIMEOUT_S)
    del told["litellm_settings"]["callbacks"], told["general_settings"]["custom_auth"]
    return told


async def _serve(port: int, dashboard: str, folder: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{dashboard}/api/pricing", timeout=60) as answer:
        listed = json.load(answer)["data"]
    upstream = listening(HOST, 0)
    echo_url = f"http://{HOST}:{upstream.getsockname()[1]}"
    configure(folder / "litellm.yaml", alone(model_list(listed, {}, echo_url)))
    # Read where it is imported.
    import uvicorn
    from litellm.proxy import proxy_server

    from gateway import echo

    await asyncio.gather(
        server(uvicorn, proxy_server.app).serve(sockets=[listening(HOST, port)]),
        server(uvicorn, echo.app, lifespan="off").serve(sockets=[upstream]),
    )


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
