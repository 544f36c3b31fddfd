"""The OpenAPI 3.1 description of every HTTP API that this site serves: what is in the code, and nothing else.

Tests hold it to the code: real answers must fit its schemas, and every API address must stand in it.
"""

from typing import Any

from cometsite.openapi import (
    account,
    account_schemas,
    balance,
    balance_schemas,
    catalogue,
    catalogue_schemas,
    leaks,
    metering,
    price_list,
    site,
    staff,
)
from cometsite.openapi.schemas import SCHEMAS, SECURITY_SCHEMES

ABOUT = (
    "The account and billing side of the service. Gateways ask before a call whether it may be made, and report "
    "afterwards what it used.\n\n"
    "Amounts are integers: nano-dollars where a name ends in `_nanousd` (1,000,000,000 = $1), pico-dollars where it "
    "ends in `_picousd`. Times are RFC 3339. Unknown fields are ignored. The account and balance APIs, which clients of "
    "other services speak, have amounts and times of their own.\n\n"
    "Pages of any site may ask for the balance, prices and this document, with a key where one is needed; for nothing else."
    "\n\n"
    "What is below `/v1/` or `/api/` and not described here answers 404, as JSON in the form of errors that the addresses "
    "beside it have. Models are not called on this site but at its gateway."
)
# In the order in which they are read.
PARTS = (metering, balance, account, staff, catalogue, price_list, leaks, site)


def document(site_url: str) -> dict[str, Any]:
    """The whole document, with `site_url` as its server."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Account and metering API", "version": "1.0.0", "description": ABOUT},
        "servers": [{"url": site_url}],
        "tags": [tag for part in PARTS for tag in part.TAGS],
        "paths": {path: item for part in PARTS for path, item in part.PATHS.items()},
        "components": {
            "schemas": {
                **SCHEMAS,
                **account_schemas.SCHEMAS,
                **balance_schemas.SCHEMAS,
                **catalogue_schemas.SCHEMAS,
                **price_list.SCHEMAS,
                **leaks.SCHEMAS,
            },
            "securitySchemes": {
                **SECURITY_SCHEMES,
                **account.SECURITY_SCHEMES,
                **balance.SECURITY_SCHEMES,
            },
        },
    }
