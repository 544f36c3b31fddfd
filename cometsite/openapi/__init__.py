"""The OpenAPI 3.1 description of every HTTP API that this site serves: what is in the code, and nothing else.

Tests hold it to the code: real answers must fit its schemas, and every API address must stand in it.
"""

from typing import Any

from cometsite.openapi import account, metering, site
from cometsite.openapi.account_schemas import SCHEMAS as ACCOUNT_SCHEMAS
from cometsite.openapi.schemas import SCHEMAS, SECURITY_SCHEMES

ABOUT = (
    "The account and billing side of the service. Gateways ask before a call whether it may be made, and report "
    "afterwards what it used.\n\n"
    "Amounts are integers: nano-dollars where a name ends in `_nanousd` (1,000,000,000 = $1), pico-dollars where it "
    "ends in `_picousd`. Times are RFC 3339. Unknown fields are ignored."
)


def document(site_url: str) -> dict[str, Any]:
    """The whole document, with `site_url` as its server."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Account and metering API", "version": "1.0.0", "description": ABOUT},
        "servers": [{"url": site_url}],
        "tags": [*metering.TAGS, *account.TAGS, *site.TAGS],
        "paths": {**metering.PATHS, **account.PATHS, **site.PATHS},
        "components": {
            "schemas": {**SCHEMAS, **ACCOUNT_SCHEMAS},
            "securitySchemes": {**SECURITY_SCHEMES, **account.SECURITY_SCHEMES},
        },
    }
