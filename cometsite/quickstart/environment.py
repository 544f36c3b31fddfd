"""The environment of the site's processes: the caller's, filled up with what the quick start stands in for.

What the caller set is used as it is, even when it is empty: the settings then stop the start with its name.
With DEBUG off nothing at all is filled in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cometsite.quickstart.folder import DataFolder, write_private

# Every variable that the settings read. These, and no others, are written down for a second terminal.
NAMES = (
    "ALLOWED_HOSTS",
    "API_QUESTIONS_PER_MINUTE",
    "BALANCE_BY_ADDRESS",
    "CALLS_ARCHIVE_DIR",
    "CALLS_KEPT_MONTHS",
    "CELERY_BROKER_URL",
    "DATABASE_MAY_LOSE_DATA",
    "DATABASE_POOL_SIZE",
    "DATABASE_URL",
    "DATA_DIR",
    "DEBUG",
    "EMAIL_URL",
    "EMAIL_VERIFICATION",
    "FROM_EMAIL",
    "GATEWAY_BASE_URL",
    "GATEWAY_PORT",
    "HOLD_SECONDS",
    "IDENTITY_KEY",
    "KEYS_PER_WALLET",
    "LEAK_REPORT_KEYS_URL",
    "LOG_LEVEL",
    "PORT",
    "PRICE_IMPORT_DAILY",
    "PRICE_IMPORT_FACTOR",
    "PRICE_RISE_NOTICE_DAYS",
    "REFUNDS_PER_HOUR",
    "REFUND_APPROVAL_ABOVE_CENTS",
    "REFUND_MIN_ACCOUNT_AGE_DAYS",
    "SECRET_KEY",
    "SITE_NAME",
    "SITE_URL",
    "STAFF_LIMIT_CENTS",
    "STARTER_CREDIT_CENTS",
    "STARTER_CREDIT_DAILY_LIMIT",
    "STRIPE_API_BASE",
    "STRIPE_INVOICES",
    "STRIPE_PROMOTION_CODES",
    "STRIPE_SECRET_KEY",
    "STRIPE_TAX",
    "STRIPE_TAX_CODE",
    "STRIPE_WEBHOOK_SECRET",
    "SUPPORT_EMAIL",
    "TOP_UPS_PER_HOUR",
    "TOP_UP_MAXIMUM_CENTS",
    "TOP_UP_MINIMUM_CENTS",
    "TRUSTED_PROXY_COUNT",
    "VALKEY_URL",
)
# Marks the processes of a quick start, so that the next one finds what a killed one left behind.
MARKER = "QUICKSTART_DATA_DIR"
_FALSE = {"0", "false", "no", "off", ""}


@dataclass(frozen=True)
class StandIns:
    """Which servers the caller leaves to the quick start."""

    postgres: bool
    valkey: bool
    stripe: bool

    @classmethod
    def missing_from(cls, caller: Mapping[str, str]) -> "StandIns":
        if not is_local(caller):
            return cls(postgres=False, valkey=False, stripe=False)
        return cls(
            postgres="DATABASE_URL" not in caller,
            valkey="VALKEY_URL" not in caller,
            stripe="STRIPE_SECRET_KEY" not in caller and "STRIPE_API_BASE" not in caller,
        )


def is_local(caller: Mapping[str, str]) -> bool:
    return caller.get("DEBUG", "true").strip().lower() not in _FALSE


def filled_up(
    caller: Mapping[str, str],
    folder: DataFolder,
    port: int,
    *,
    postgres_url: str | None,
    valkey_url: str | None,
    stripe_url: str | None,
) -> dict[str, str]:
    """The caller's environment and what is missing from it; a None address is a server of the caller's."""
    found = {"DEBUG": "true"}
    if is_local(caller):
        found["SECRET_KEY"] = folder.secret("SECRET_KEY")
    if postgres_url is not None:
        found["DATABASE_URL"] = postgres_url
    if valkey_url is not None:
        found["VALKEY_URL"] = valkey_url
    if stripe_url is not None:
        found["STRIPE_API_BASE"] = stripe_url
        found["STRIPE_SECRET_KEY"] = folder.secret("STRIPE_SECRET_KEY", "sk_test_sandbox")
        found["STRIPE_WEBHOOK_SECRET"] = folder.secret("STRIPE_WEBHOOK_SECRET", "whsec_")
    fixed = {
        "DATA_DIR": str(folder.path),
        "PORT": str(port),
        MARKER: str(folder.path),
        "PYTHONUNBUFFERED": "1",
    }
    return {**found, **caller, **fixed}


def write_down(environment: Mapping[str, str], folder: DataFolder) -> None:
    """Lets `manage.py` in a second terminal work on the same data."""
    lines = [f"{name}={environment[name]}\n" for name in NAMES if name in environment]
    write_private(folder.environment_file, "# Written by the quick start at each start.\n" + "".join(lines))
