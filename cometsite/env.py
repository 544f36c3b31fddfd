"""Typed readers of the environment. A value that can't be used stops the start with the variable's name."""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in TRUE:
        return True
    if value.strip().lower() in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def integer(name: str, default: int, *, minimum: int = 0, maximum: int = 2**31) -> int:
    value = text(name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit()) or not minimum <= int(value) <= maximum:
        raise ImproperlyConfigured(
            f"{name} must be a whole number from {minimum} to {maximum}, not {value!r}."
        )
    return int(value)


def optional_integer(name: str, *, minimum: int = 0, maximum: int = 2**31) -> int | None:
    """None where the variable is not set."""
    return integer(name, minimum, minimum=minimum, maximum=maximum) if text(name) else None


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def required(name: str, *, local_default: str | None, local: bool, is_secret: bool = False) -> str:
    """The variable. On a local machine `local_default` stands in; elsewhere nothing does, and no default secret either."""
    value = text(name)
    if value and (local or not is_secret or value != local_default):
        return value
    if local and local_default is not None:
        return local_default
    reason = "is not set" if not value else "still has the default of the quick start"
    raise ImproperlyConfigured(
        f"{name} {reason}. Set it in the environment; with DEBUG off nothing stands in for it."
    )


# Whoever sets one of these to something else than the quick start did means another installation.
OF_AN_INSTALLATION = ("DATABASE_URL", "SECRET_KEY", "ALLOWED_HOSTS", "SITE_URL", "STRIPE_SECRET_KEY", "DEBUG")


def load_file(path: Path) -> None:
    """Take over the environment that a quick start wrote down, unless the caller's own is another installation's."""
    if not path.is_file():
        return
    lines = [line.partition("=") for line in path.read_text(encoding="utf-8").splitlines()]
    written = {
        name.strip(): value for name, separator, value in lines if separator and not name.startswith("#")
    }
    if any(name in os.environ and os.environ[name] != written.get(name) for name in OF_AN_INSTALLATION):
        return
    for name, value in written.items():
        os.environ.setdefault(name, value)


def database(url: str) -> dict[str, object]:
    """Django's settings for a `postgresql://user:password@host:port/name` address; `?host=/folder` names a socket."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or len(parts.path) < 2:
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user:password@host:5432/name.")
    options: dict[str, str] = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(options.pop("port", "") or parts.port or ""),
        "OPTIONS": options,
    }


def mail(url: str) -> dict[str, object]:
    """Django's mailer for `smtp://user:password@host:587` (STARTTLS), `smtps://…` (TLS), `file:///folder`, `console:`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = unquote(parts.path)
        return {
            "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "OPTIONS": {"file_path": folder},
        }
    if parts.scheme == "console":
        return {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ImproperlyConfigured(
            "EMAIL_URL must look like smtp://user:password@host:587, smtps://… or file:///folder."
        )
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": parts.hostname,
            "port": parts.port or (465 if parts.scheme == "smtps" else 587),
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "use_ssl": parts.scheme == "smtps",
            "use_tls": parts.scheme == "smtp" and bool(parts.username),
            "timeout": 10,
        },
    }
