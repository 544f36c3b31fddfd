"""The OpenAPI 3.1 description of every API that this site serves."""

from typing import Any


def document(site_url: str) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "API", "version": "1"},
        "servers": [{"url": site_url}],
        "paths": {},
    }
